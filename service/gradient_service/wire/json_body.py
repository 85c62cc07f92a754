"""JSON bytes to a request and a reply to JSON bytes. Number arrays never become Python objects.

Accepted bodies take one fast route; whatever it does not accept is read again, strictly (`json_document.py`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import orjson

from gradient_service.core.errors import MAX_FAULTS, Fault, InvalidInputError
from gradient_service.schemas.conflicts import check_fields
from gradient_service.schemas.fields import Body
from gradient_service.schemas.tensor import integer_fields, tensor_fields
from gradient_service.schemas.validation import validate
from gradient_service.wire.decoded import Decoded, Model
from gradient_service.wire.json_array import find_faults, read_array
from gradient_service.wire.json_document import Place, parse_quickly, parse_strictly
from gradient_service.wire.json_grammar import JsonScanner, Path
from gradient_service.wire.json_values import is_nested, is_object, python_value

MEDIA_TYPE = "application/json"
BYTES_PER_NUMBER = 25  # a comma and -1.2345678901234567e-300
MEMORY_PER_BYTE = (
    17  # the body, and 16 bytes that the parser notes of each number, as short as `1,` may be; 17.0 measured
)


def decode(body: bytes, model: type[Model], *, max_nesting: int) -> Decoded[Model]:
    """Read a JSON object as a request.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or name a field twice.
        InvalidInputError: a field is unknown, missing, in conflict with another, or no value of its type.
    """
    try:
        return _decode(body, model, max_nesting)
    except InvalidInputError:
        JsonScanner(body, max_nesting).scan()  # what is wrong with the bytes comes before what they say
        raise


def encode(reply: Body) -> list[bytes]:
    """Write the outputs of a reply: shortest text that round-trips in each array's dtype, null for −∞."""
    return [dump(present(reply))]


def dump(values: Mapping[str, Any]) -> bytes:
    """Write values, arrays among them, as JSON."""
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)


def present(body: Body) -> dict[str, Any]:
    """Return the fields that were given, bodies within as dictionaries too; nothing is copied."""
    values, given = body.__dict__, body.model_fields_set
    return {
        name: present(values[name]) if isinstance(values[name], Body) else values[name]
        for name in type(body).model_fields
        if name in given
    }


def _decode(body: bytes, model: type[Model], max_nesting: int) -> Decoded[Model]:
    document = read_object(body, model, max_nesting)
    check_fields(model, document.names)
    values, faults = _values(document, model)
    if not faults and body.count(b"[") != _count_of_arrays(values):
        faults = _hidden_arrays(document, model)
    try:
        return Decoded(validate(model, values, faults), document.names)
    except InvalidInputError as error:
        raise error.in_order_of(document.names) from None


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A parsed object, each field named once."""

    values: Any
    names: list[str]
    faults: list[Fault]
    """The numbers in it that no float64 holds; these read 0."""


def read_object(body: bytes, model: type[Body], max_nesting: int) -> JsonObject:
    """Parse bytes as an object.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or name a field twice.
        InvalidInputError: they are, but no object.
    """
    values, faults = _parse(body, model, max_nesting)
    if not is_object(values):
        raise InvalidInputError([Fault("wrong-type", None, (), "The body must be a JSON object.")])
    names = list(values)
    options = [name for name in names if name in model.model_fields and name not in tensor_fields(model)]
    if len(set(names)) < len(names) or any(is_nested(values[name]) for name in options):
        JsonScanner(body, max_nesting).scan()  # names repeated here or further in, or nesting that nothing may follow
    return JsonObject(values, names, faults)


def _parse(body: bytes, model: type[Body], max_nesting: int) -> tuple[Any, list[Fault]]:
    """Return the document, and the numbers in it that no float64 holds; these read 0 in the document."""
    document = parse_quickly(body)
    if document is not None:
        return document, []
    return parse_strictly(body, max_nesting, _place, integer_fields(model))


def _place(path: Path) -> Place:
    """Return the field that a number belongs to: the first name on its path."""
    return (str(path[0]) if path else None), path[1:]


def _count_of_arrays(values: Mapping[str, Any]) -> int:
    """Return how many brackets open in a document of these values: one an array, and one a row of it."""
    return sum(
        1 + (len(value) if isinstance(value, np.ndarray) and value.ndim > 1 else 0)
        for value in values.values()
        if isinstance(value, np.ndarray | list)
    )


def _hidden_arrays(document: JsonObject, model: type[Body]) -> list[Fault]:
    """Return where an array stands among the numbers of another, which the flat buffer does not show."""
    tensors = tensor_fields(model)
    faults = (
        fault
        for name in document.names
        if name in tensors
        for fault in find_faults(name, document.values[name], tensors[name])
    )
    return list(islice(faults, MAX_FAULTS))


def _values(document: JsonObject, model: type[Body]) -> tuple[dict[str, Any], list[Fault]]:
    """Return every field that is an array of its rank and kind, or any value but null; the others as faults."""
    values, faults = read_options(document, without=tensor_fields(model))
    for name, tensor in tensor_fields(model).items():
        if name in document.names:
            try:
                values[name] = read_array(document.values[name], tensor)
            except (TypeError, ValueError):
                faults.extend(islice(find_faults(name, document.values[name], tensor), MAX_FAULTS))
    return values, faults


def read_options(document: JsonObject, *, without: Collection[str] = ()) -> tuple[dict[str, Any], list[Fault]]:
    """Return the fields as Python's values, but those named; null is a fault."""
    names = [name for name in document.names if name not in without]
    values = {name: document.values[name] for name in names}
    nulls = [
        Fault("wrong-type", name, (), f"{name} must not be null; leave it out instead.")
        for name in names
        if values[name] is None
    ]
    return {name: python_value(value) for name, value in values.items() if value is not None}, document.faults + nulls
