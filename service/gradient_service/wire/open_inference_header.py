"""The JSON part of an Open Inference request as a whole: parsed, each name given once, its members read one by one."""

from typing import Any

from gradient_service.core.errors import Fault, InvalidInputError, raise_if_any
from gradient_service.schemas.conflicts import unknown_fields
from gradient_service.schemas.fields import Body
from gradient_service.schemas.tensor import integer_fields
from gradient_service.wire.json_document import Locate, Place, parse_quickly, parse_strictly
from gradient_service.wire.json_grammar import JsonScanner, Path
from gradient_service.wire.json_values import is_array, is_object, members_of, python_value
from gradient_service.wire.open_inference_data import index_of
from gradient_service.wire.open_inference_members import INPUT_MEMBERS, READERS, Header
from gradient_service.wire.tensor_fields import is_counts

MAX_MEMBERS = 64
"""More than any object has."""
DEEPEST_OBJECT = 4
"""The document, an input, its parameters, and one more."""

NUL = "\0"
"""The parser looks a member up by its name up to this character, and so finds another or none."""


def read_header(text: bytes, model: type[Body], max_nesting: int) -> Header:
    """Parse the JSON part.

    Raises:
        MalformedBodyError: it is no JSON, nests too deep, names something twice, or an input is not described as one.
        InvalidInputError: it is no object, or holds a member that there is not.
    """
    document, faults = _parse(text, model, max_nesting)
    if not is_object(document):
        raise InvalidInputError([Fault("wrong-type", None, (), "The body must be a JSON object.")])
    if _may_repeat_names(document):
        JsonScanner(text, max_nesting).scan()
    raise_if_any(fault for fault in faults if fault.field is None)
    raise_if_any(unknown_fields(READERS, document))
    header = Header(model.model_fields, faults)
    for name in document:
        READERS[name](document[name], header)
    return header


def _parse(text: bytes, model: type[Body], max_nesting: int) -> tuple[Any, list[Fault]]:
    document = parse_quickly(text)
    if document is not None:
        return document, []
    # A long number is rewritten by its field, and the inputs' names are known once all is parsed: so it is read twice.
    draft, _ = parse_strictly(text, max_nesting, lambda path: (None, path), ())
    return parse_strictly(text, max_nesting, _locator(draft), integer_fields(model))


def _locator(draft: Any) -> Locate:
    """Return what tells the field of a number in a document like the draft."""
    inputs: Any = members_of(draft, ("inputs",)).get("inputs")
    described = [_described(each) for each in (inputs if is_array(inputs) else ())]

    def locate(path: Path) -> Place:
        match path:
            case ("parameters", str() as name, *index):
                return name, tuple(index)
            case ("inputs", int() as place, "data", int() as position):
                return described[place][0], index_of(described[place][1], position)
            case ("inputs", int() as place, "data", *index):
                return described[place][0], tuple(index)
        return None, ()

    return locate


def _described(entry: Any) -> tuple[str | None, tuple[int, ...]]:
    """Return the name and the shape of an input as far as they are ones."""
    members = members_of(entry, INPUT_MEMBERS)
    name, shape = members.get("name"), python_value(members.get("shape"))
    return (name if isinstance(name, str) else None), (tuple(shape) if is_counts(shape) else ())


def _may_repeat_names(value: Any, depth: int = 1) -> bool:
    """Return whether an object names something twice; also where a closer look is needed to know."""
    if is_object(value):
        names = list(value)
        return (
            depth > DEEPEST_OBJECT
            or len(names) > MAX_MEMBERS
            or len(set(names)) < len(names)
            or any(NUL in name for name in names)
            or any(_may_repeat_names(value[name], depth + 1) for name in names)
        )
    return (
        is_array(value)
        and len(value) > 0
        and is_object(value[0])
        and any(_may_repeat_names(part, depth) for part in value)
    )
