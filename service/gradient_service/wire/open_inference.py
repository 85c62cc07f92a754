"""Open Inference Protocol bytes to a request.

A JSON part names tensors, options and the outputs wanted. A tensor's elements are JSON data in it, or lie behind it,
back to back, in the order of the inputs. Tensors are the array fields, and parameters all other fields but `include`,
which is the list of outputs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic

from numpy.typing import NDArray

from gradient_service.core.errors import MAX_FOUND, Fault, InvalidInputError, raise_if_any
from gradient_service.core.records import record
from gradient_service.schemas.conflicts import check_fields
from gradient_service.schemas.tensor import Tensor, tensor_fields
from gradient_service.schemas.validation import are_values, validate
from gradient_service.wire.decoded import Decoded, Model
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_grammar import JsonText, count, pointer
from gradient_service.wire.json_options import present_options
from gradient_service.wire.json_values import python_value
from gradient_service.wire.open_inference_data import (
    data_faults,
    data_in_place_of,
    in_datatype,
    num_brackets,
    read_data,
)
from gradient_service.wire.open_inference_header import read_header
from gradient_service.wire.open_inference_members import Header, Input
from gradient_service.wire.open_inference_reply import VERSION, ReplyForm
from gradient_service.wire.open_inference_types import ELEMENT_TYPES, TYPE_NAMES
from gradient_service.wire.tensor_codec import BFLOAT16, Buffer, ElementType, decode_tensor, num_bytes
from gradient_service.wire.tensor_fields import misplaced

Parts = Mapping[str, tuple[int, int]]
"""Where each tensor begins and ends behind the JSON part."""
Read = Callable[[Callable[..., Any], Buffer], Any]
"""Calls a function with the JSON part, maybe elsewhere, and maybe hastily."""


@record()
class DecodedInference(Generic[Model]):
    """A request read from bytes, and how its reply is wanted."""

    decoded: Decoded[Model]
    form: ReplyForm
    addressee: Mapping[str, str]
    """The model and its version, as far as the body says them."""

    def check_addressee(self, model: str) -> None:
        """Raise `InvalidInputError` where the body says another model, or version of it, than the path."""
        path = {"model_name": model, "model_version": VERSION}
        raise_if_any(
            Fault("conflicting-fields", name, (), f"The path says another {name}.")
            for name, said in self.addressee.items()
            if said != path[name]
        )


@record()
class Place:
    """A tensor behind the JSON part: what it is, and between which bytes."""

    element: ElementType
    shape: tuple[int, ...]
    begin: int
    end: int


@record()
class Described(Generic[Model]):
    """A request as far as its JSON part tells it: all but the tensors behind that, and small but for its arrays."""

    model: type[Model]
    names: Sequence[str]
    """The fields in the order of the document."""
    values: Mapping[str, Any]
    tensors: Mapping[str, Place]
    faults: Sequence[Fault]
    form: ReplyForm
    addressee: Mapping[str, str]

    def with_tensors(self, data: memoryview) -> DecodedInference[Model]:
        """Return the request, its tensors views of what lies behind the JSON part wherever NumPy knows their type.

        Raises:
            MalformedBodyError: the bytes are no tensor of its datatype and shape.
            InvalidInputError: a field is no value of its type.
        """
        arrays = {
            name: decode_tensor(data[place.begin : place.end], place.element, place.shape, pointer((name,)))
            for name, place in self.tensors.items()
        }
        try:
            request = validate(self.model, {**self.values, **arrays}, self.faults)
        except InvalidInputError as error:
            raise error.in_order_of(self.names) from None
        return DecodedInference(Decoded(request, self.names), self.form, self.addressee)


def read_here(decode: Callable[..., Any], text: Buffer) -> Any:
    """Call a function with the JSON part, and leave it the time that it takes."""
    return decode(text)


def decode(
    body: Buffer, json_bytes: int | None, model: type[Model], *, max_nesting: int, read: Read = read_here
) -> DecodedInference[Model]:
    """Read a request.

    Args:
        body: the JSON part, and the tensors behind it.
        json_bytes: how long the JSON part is; None where it is the whole body.
        model: the request model.
        max_nesting: how deep the JSON part may nest.
        read: has the JSON part read; the tensors stay where they are.

    Raises:
        MalformedBodyError: the JSON part is none, or longer than the body; a tensor has not the bytes that it needs.
        InvalidInputError: a field is unknown, missing, in conflict with another, or no value of its type.
    """
    text, data = _split(body, json_bytes)
    described = read(partial(describe, num_data_bytes=len(data), model=model, max_nesting=max_nesting), text)
    try:
        inference: DecodedInference[Model] = described.with_tensors(data)
    except (InvalidInputError, MalformedBodyError):
        read(partial(check, max_nesting=max_nesting), text)  # what is wrong with the JSON comes before what it says
        raise
    return inference


def describe(
    text: Buffer, num_data_bytes: int, model: type[Model], *, max_nesting: int, hastily: bool = False
) -> Described[Model]:
    """Read a JSON part, with so many bytes behind it.

    Raises:
        MalformedBodyError: it is none; a tensor has not the bytes that it needs.
        InvalidInputError: a field is unknown, missing, or in conflict with another.
        TakesLongError: it cannot be read hastily, as `JsonText` has it.
    """
    source = JsonText(bytes(text), max_nesting, hastily=hastily)
    try:
        header = read_header(source, model)
        return _described(header, _parts(header, num_data_bytes), model)
    except (InvalidInputError, MalformedBodyError):
        source.check()
        raise


def check(text: Buffer, *, max_nesting: int, hastily: bool = False) -> None:
    """Raise `MalformedBodyError` where a JSON part is none that the service reads, whatever it says."""
    JsonText(bytes(text), max_nesting, hastily=hastily).check()


def _split(body: Buffer, json_bytes: int | None) -> tuple[Buffer, memoryview]:
    if json_bytes is None:
        return body, memoryview(b"")
    if json_bytes > len(body):
        raise MalformedBodyError("malformed-http", f"The JSON part ends at byte {json_bytes}, the body at {len(body)}.")
    view = memoryview(body)
    return view[:json_bytes], view[json_bytes:]


def _form(header: Header) -> ReplyForm:
    """Return how the reply is wanted, each output named told, since what the request says may stand behind them."""
    said = header.is_binary_by_name
    named = {name: said.get(name, header.is_binary) for name in header.include or ()}
    return ReplyForm(header.id, header.is_binary, named)


def _parts(header: Header, num_data_bytes: int) -> Parts:
    """Return where each tensor lies; refuse some that disagree with their shape, are too long, or leave bytes over."""
    parts: dict[str, tuple[int, int]] = {}
    begin = 0
    for name, entry in header.inputs.items():
        if entry.size is None:
            continue
        element = ELEMENT_TYPES.get(entry.datatype)
        is_wrong = element is not None and num_bytes(element, entry.shape) != entry.size
        if is_wrong or begin + entry.size > num_data_bytes:
            detail = "The tensor has not as many bytes as its shape needs."
            raise MalformedBodyError("malformed-tensor", detail, pointer((name,)))
        parts[name] = (begin, begin + entry.size)
        begin += entry.size
    if begin != num_data_bytes:
        raise MalformedBodyError("malformed-tensor", f"{num_data_bytes - begin} bytes lie behind the last tensor.")
    return parts


def _described(header: Header, parts: Parts, model: type[Model]) -> Described[Model]:
    for name in header.options:
        if name in header.inputs:
            raise MalformedBodyError("duplicate-field", "A field is both an input and a parameter.", pointer((name,)))
    check_fields(model, header.names)
    values, faults = _options(header)
    faults += misplaced(header.inputs, header.options, model)
    known = {name: tensor for name, tensor in tensor_fields(model).items() if name in header.inputs}
    header.inputs.update({name: _as_given(header.inputs[name], tensor) for name, tensor in known.items()})
    tensors = {}
    for name, tensor in known.items():
        entry = header.inputs[name]
        try:
            raise_if_any(TYPE_NAMES.faults(name, entry.datatype, entry.shape, tensor))
            if name in parts:
                tensors[name] = Place(ELEMENT_TYPES[entry.datatype], entry.shape, *parts[name])
            else:
                values[name] = _array(entry, tensor, header.source)
        except InvalidInputError as error:
            faults += error.faults
            other = data_in_place_of(entry, tensor) if are_values(error.faults) else None
            values |= {} if other is None else {name: other}
    if are_values(faults) and count(b"[", header.source.body) != _count_of_arrays(header):
        header.source.take_time()
        faults += [fault for fault in _hidden_arrays(header, known) if fault not in faults]
    return Described(model, header.names, values, tensors, faults, _form(header), header.addressee)


def _as_given(entry: Input, tensor: Tensor) -> Input:
    """Return an input, a column (N, 1) as the vector that it is: MLServer's codecs write none in another way."""
    is_column = tensor.rank == 1 and entry.shape[1:] == (1,)
    return replace(entry, shape=entry.shape[:1]) if is_column else entry


def _options(header: Header) -> tuple[dict[str, Any], list[Fault]]:
    """Return the parameters and the outputs as Python's values; null is a fault.

    An empty array or object stands for any other: no parameter is one, and they may be long.
    """
    values, faults = present_options({name: python_value(value) for name, value in header.options.items()})
    values = {name: type(value)() if isinstance(value, list | dict) else value for name, value in values.items()}
    if header.include is not None:
        values["include"] = header.include
    return values, header.faults + faults


def _array(entry: Input, tensor: Tensor, source: JsonText) -> NDArray[Any]:
    """Return what the JSON data of a tensor hold.

    Raises:
        InvalidInputError: the datatype or the data are not those of the field.
    """
    element = ELEMENT_TYPES[entry.datatype]
    if element is BFLOAT16:
        raise InvalidInputError([Fault("unsupported-dtype", entry.name, (), "BF16 is read as binary data only.")])
    return in_datatype(entry.name, read_data(entry, tensor, source), element)


def _count_of_arrays(header: Header) -> int:
    """Return how many brackets open in a JSON part whose data hide no array among their numbers."""
    return header.num_brackets + sum(num_brackets(entry.data) for entry in header.inputs.values() if entry.size is None)


def _hidden_arrays(header: Header, known: Mapping[str, Tensor]) -> list[Fault]:
    """Return where an array stands among the numbers of another, which the flat buffer does not show."""
    return [
        fault
        for name, tensor in known.items()
        if header.inputs[name].size is None
        for fault in data_faults(header.inputs[name], tensor)
    ][:MAX_FOUND]
