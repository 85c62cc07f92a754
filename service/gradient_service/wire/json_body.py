"""JSON bytes to a request and a reply to JSON bytes. Number arrays never become Python objects.

Accepted bodies take one fast route; whatever it does not accept is read again, strictly (`json_grammar.py`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.errors import MAX_FAULTS, Fault, InvalidInputError, raise_if_any
from gradient_service.schemas.conflicts import check_fields, unknown_fields
from gradient_service.schemas.fields import Body
from gradient_service.schemas.members import DOT, body_fields, member_names
from gradient_service.schemas.tensor import UNTYPED, array_fields, tensor_fields
from gradient_service.schemas.validation import are_values, validate
from gradient_service.wire.checkpoint import Checkpoint, without_pause
from gradient_service.wire.decoded import Decoded, Model
from gradient_service.wire.json_array import find_faults, read_array, stand_in
from gradient_service.wire.json_document import read_document
from gradient_service.wire.json_grammar import JsonText, count
from gradient_service.wire.json_options import present_options
from gradient_service.wire.json_values import (
    MAX_NAMES,
    first_names,
    is_array,
    is_nested,
    is_object,
    members_of,
    python_value,
)
from gradient_service.wire.json_writer import dump_in_parts
from gradient_service.wire.tensor_codec import Buffer

MEDIA_TYPE = "application/json"
BYTES_PER_NUMBER = 25  # a comma and -1.2345678901234567e-300
MEMORY_PER_BYTE = 9
"""What reading long numbers takes, the body included."""
MEMORY_OF_ANY = 6
"""What a byte takes."""
MEMORY_BEYOND = {b",": 58, b"[": 130, b"{": 66, b'"': 130}
"""What an element takes beyond that, an array, an object, half a string, accepted or refused; somewhat more than was
measured of bodies made of one thing again and again."""
HASTY_MEMORY_PER_BYTE = 28
"""What a byte takes of a text that is read hastily, whatever it is: little of that becomes Python's objects. Somewhat
more than was measured of many numbers of one digit."""
ARRAYS = (np.ndarray, list)
"""A tuple is looked through faster than a union."""
FEW_ELEMENTS = 256
"""More than an option has that is accepted."""


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A parsed object, each field named once."""

    values: Mapping[str, Any]
    """By name, in the order of the document, the members of fields last; of an unknown field nothing."""
    names: list[str]
    """Of too many the first."""
    source: JsonText


def decode(body: bytes, model: type[Model], *, max_nesting: int, hastily: bool = False) -> Decoded[Model]:
    """Read a JSON object as a request.

    Args:
        body: the bytes.
        model: the request model.
        max_nesting: how deep they may nest.
        hastily: as `JsonText` has it.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or name a field twice.
        InvalidInputError: a field is unknown, missing, in conflict with another, or no value of its type.
        TakesLongError: it cannot be read hastily.
    """
    source = JsonText(body, max_nesting, hastily=hastily)
    try:
        return _decode(read_object(source, model), model)
    except InvalidInputError:
        source.check()  # what is wrong with the bytes comes before what they say
        raise


def memory_bytes(text: Buffer) -> int:
    """Return what a text takes in memory until it is decoded, itself included, at the most."""
    return MEMORY_OF_ANY * len(text) + sum(more * count(byte, text) for byte, more in MEMORY_BEYOND.items())


def encode(reply: Body, checkpoint: Checkpoint = without_pause) -> list[bytes]:
    """Write the outputs of a reply: shortest text that round-trips in each array's dtype, null for −∞."""
    return dump_in_parts(reply, checkpoint)


def _decode(document: JsonObject, model: type[Model]) -> Decoded[Model]:
    check_fields(model, _but_a_null_alternative(document))
    values, faults = read_values(document, model)
    try:
        return Decoded(validate(model, values, faults), document.names)
    except InvalidInputError as error:
        raise error.in_order_of(document.names) from None


def _but_a_null_alternative(document: JsonObject) -> Collection[str]:
    """Return the names of the fields, but of labels and targets one that is null: it is told as such, no conflict."""
    values = document.values
    if "labels" in values and "targets" in values:
        null = next((name for name in ("targets", "labels") if values[name] is None), None)
        return [name for name in document.names if name != null]
    return document.names


def read_object(source: JsonText, model: type[Body]) -> JsonObject:
    """Parse a text as an object.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or name a field twice.
        InvalidInputError: they are, but no object.
    """
    root = read_document(source)
    if not is_object(root):
        raise InvalidInputError([Fault("wrong-type", None, (), "The body must be a JSON object.")])
    known = model.model_fields
    names = first_names(root)
    values = members_of(root, known)
    plain = _option_fields(model)
    options = [name for name in values if name in plain]
    if any(is_array(values[name]) and len(values[name]) > FEW_ELEMENTS for name in options):
        source.take_time()
    if len(names) > MAX_NAMES or len(values) < len(names) or any(is_nested(values[name]) for name in options):
        source.check()  # names repeated here or further in, or nesting nothing may follow
    bodies = body_fields(model)
    if bodies:
        raise_if_any(unknown_fields(known, [name for name in names if name in member_names(model)]))
    for field in bodies:
        if is_object(values.get(field)):
            _take_out_members(source, field, values, names, model)
    return JsonObject(values, names, source)


@cache
def _option_fields(model: type[Body]) -> frozenset[str]:
    """Return the fields that are neither arrays nor have members."""
    return frozenset(model.model_fields.keys() - tensor_fields(model).keys() - body_fields(model).keys())


def _take_out_members(
    source: JsonText, field: str, values: dict[str, Any], names: list[str], model: type[Body]
) -> None:
    """Have the members of a field stand for it, under the names that wires know them by."""
    members = first_names(values[field])
    if len(members) > MAX_NAMES or len(set(members)) < len(members):
        source.check()
    found = members_of(values.pop(field), body_fields(model)[field].model_fields)
    values |= {f"{field}{DOT}{member}": value for member, value in found.items()}
    place = names.index(field)
    names[place : place + 1] = [f"{field}{DOT}{member}" for member in members]


def _count_of_arrays(values: Mapping[str, Any]) -> int:
    """Return how many brackets open in a text of these values: one an array, and one a row of it."""
    return sum(
        1 + (len(value) if isinstance(value, np.ndarray) and value.ndim > 1 else 0)
        for value in values.values()
        if isinstance(value, ARRAYS)
    )


def _hidden_arrays(document: JsonObject, model: type[Body]) -> list[Fault]:
    """Return where an array stands among the numbers of another, which the flat buffer does not show."""
    document.source.take_time()
    tensors = tensor_fields(model)
    faults = (
        fault
        for name in document.names
        if name in tensors
        for fault in find_faults(name, document.values[name], tensors[name])
    )
    return list(islice(faults, MAX_FAULTS))


def read_values(document: JsonObject, model: type[Body]) -> tuple[dict[str, Any], list[Fault]]:
    """Return every field that is an array of its rank and kind, or any value but null; the others as faults.

    Where elements are out of range, other numbers stand for them beside the fault.
    """
    arrays, members = array_fields(model), member_names(model)
    values, faults = read_options(document, without=arrays)
    for name, found in document.values.items():
        if (tensor := arrays.get(name)) is None:
            continue
        try:
            array: NDArray[Any] | None = read_array(found, tensor)
        except (TypeError, ValueError):
            document.source.take_time()
            wrong = [*islice(find_faults(name, found, tensor), MAX_FAULTS)]
            faults += wrong
            array = stand_in(found, tensor) if wrong and are_values(wrong) else None
        if array is not None:
            values[name] = array.view(UNTYPED) if name in members else array
    if are_values(faults) and count(b"[", document.source.body) != _count_of_arrays(values):
        faults += [fault for fault in _hidden_arrays(document, model) if fault not in faults]
    return values, faults


def read_options(document: JsonObject, *, without: Collection[str] = ()) -> tuple[dict[str, Any], list[Fault]]:
    """Return the fields as Python's values, but those named; null is a fault, and so is a number beyond float64."""
    values = {name: python_value(value) for name, value in document.values.items() if name not in without}
    return present_options(values)
