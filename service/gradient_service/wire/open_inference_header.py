"""The JSON part of an Open Inference request as a whole: parsed, each name given once, its members read one by one."""

from typing import Any

from gradient_service.core.errors import Fault, InvalidInputError, raise_if_any
from gradient_service.schemas.conflicts import unknown_fields
from gradient_service.schemas.fields import Body
from gradient_service.wire.json_document import read_document
from gradient_service.wire.json_grammar import JsonText
from gradient_service.wire.json_values import MAX_NAMES, first_names, is_array, is_object, members_of
from gradient_service.wire.open_inference_members import MAX_TENSORS, READERS, Header

DEEPEST_OBJECT = 4
"""The document, an input, its parameters, and one more."""

NUL = "\0"
"""The parser looks a member up by its name up to this character, and so finds another or none."""


def read_header(source: JsonText, model: type[Body]) -> Header:
    """Parse the JSON part.

    Raises:
        MalformedBodyError: it is no JSON, nests too deep, names something twice, or an input is not described as one.
        InvalidInputError: it is no object, or holds a member that there is not.
    """
    root = read_document(source)
    if not is_object(root):
        raise InvalidInputError([Fault("wrong-type", None, (), "The body must be a JSON object.")])
    if _may_repeat_names(root):
        source.check()
    raise_if_any(unknown_fields(READERS, root))
    header = Header(model.model_fields, source)
    for name, value in members_of(root, READERS).items():
        READERS[name](value, header)
    return header


def _may_repeat_names(value: Any, depth: int = 1) -> bool:
    """Return whether an object names something twice; also where a closer look is needed to know."""
    if is_object(value):
        names = first_names(value)
        return (
            depth > DEEPEST_OBJECT
            or len(names) > MAX_NAMES
            or len(set(names)) < len(names)
            or any(NUL in name for name in names)
            or any(_may_repeat_names(value[name], depth + 1) for name in names)
        )
    return (
        is_array(value)
        and len(value) > 0
        and is_object(value[0])
        and (len(value) > MAX_TENSORS or any(_may_repeat_names(part, depth) for part in value))
    )
