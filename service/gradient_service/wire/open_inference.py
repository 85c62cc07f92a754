"""Open Inference Protocol bytes to a request.

A JSON part names tensors, options and the outputs wanted. A tensor's elements are JSON data in it, or lie behind it,
back to back, in the order of the inputs. Tensors are the array fields, and parameters all other fields but `include`,
which is the list of outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

from numpy.typing import NDArray

from gradient_service.core.errors import MAX_FOUND, Fault, InvalidInputError, raise_if_any
from gradient_service.schemas.conflicts import check_fields
from gradient_service.schemas.tensor import Tensor, tensor_fields
from gradient_service.schemas.validation import validate
from gradient_service.wire.decoded import Decoded, Model
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_grammar import JsonText, count, pointer
from gradient_service.wire.json_options import present_options
from gradient_service.wire.json_values import python_value
from gradient_service.wire.open_inference_data import data_faults, in_datatype, num_brackets, read_data
from gradient_service.wire.open_inference_header import read_header
from gradient_service.wire.open_inference_members import Header, Input
from gradient_service.wire.open_inference_reply import ReplyForm
from gradient_service.wire.open_inference_types import ELEMENT_TYPES, TYPE_NAMES
from gradient_service.wire.tensor_codec import BFLOAT16, Buffer, decode_tensor, num_bytes
from gradient_service.wire.tensor_fields import misplaced

Parts = Mapping[str, memoryview]
"""The bytes of each tensor that lies behind the JSON part."""


@dataclass(frozen=True, slots=True)
class DecodedInference(Generic[Model]):
    """A request read from bytes, and how its reply is wanted."""

    decoded: Decoded[Model]
    form: ReplyForm


def decode(
    body: Buffer, json_bytes: int | None, model: type[Model], *, max_nesting: int, hastily: bool = False
) -> DecodedInference[Model]:
    """Read a request.

    Args:
        body: the JSON part, and the tensors behind it.
        json_bytes: how long the JSON part is; None where it is the whole body.
        model: the request model.
        max_nesting: how deep the JSON part may nest.
        hastily: as `JsonText` has it.

    Raises:
        MalformedBodyError: the JSON part is none, or longer than the body; a tensor has not the bytes that it needs.
        InvalidInputError: a field is unknown, missing, in conflict with another, or no value of its type.
        TakesLongError: it cannot be read hastily.
    """
    text, data = _split(body, json_bytes)
    source = JsonText(text, max_nesting, hastily=hastily)
    try:
        header = read_header(source, model)
        return DecodedInference(_decode(header, _parts(header, data), model), _form(header))
    except (InvalidInputError, MalformedBodyError):
        source.check()  # what is wrong with the JSON comes before what it says
        raise


def _split(body: Buffer, json_bytes: int | None) -> tuple[bytes, memoryview]:
    if json_bytes is None:
        return bytes(body), memoryview(b"")
    if json_bytes > len(body):
        raise MalformedBodyError("malformed-http", f"The JSON part ends at byte {json_bytes}, the body at {len(body)}.")
    view = memoryview(body)
    return bytes(view[:json_bytes]), view[json_bytes:]


def _form(header: Header) -> ReplyForm:
    """Return how the reply is wanted, each output named told, since what the request says may stand behind them."""
    said = header.is_binary_by_name
    named = {name: said.get(name, header.is_binary) for name in header.include or ()}
    return ReplyForm(header.id, header.is_binary, named)


def _parts(header: Header, data: memoryview) -> Parts:
    """Return the bytes of each tensor; refuse some that disagree with its shape, are too few, or are left over."""
    parts: dict[str, memoryview] = {}
    begin = 0
    for name, entry in header.inputs.items():
        if entry.size is None:
            continue
        element = ELEMENT_TYPES.get(entry.datatype)
        is_wrong = element is not None and num_bytes(element, entry.shape) != entry.size
        if is_wrong or begin + entry.size > len(data):
            detail = "The tensor has not as many bytes as its shape needs."
            raise MalformedBodyError("malformed-tensor", detail, pointer((name,)))
        parts[name] = data[begin : begin + entry.size]
        begin += entry.size
    if begin != len(data):
        raise MalformedBodyError("malformed-tensor", f"{len(data) - begin} bytes lie behind the last tensor.")
    return parts


def _decode(header: Header, parts: Parts, model: type[Model]) -> Decoded[Model]:
    for name in header.options:
        if name in header.inputs:
            raise MalformedBodyError("duplicate-field", "A field is both an input and a parameter.", pointer((name,)))
    check_fields(model, header.names)
    values, faults = _options(header)
    faults += misplaced(header.inputs, header.options, model)
    known = {name: tensor for name, tensor in tensor_fields(model).items() if name in header.inputs}
    for name, tensor in known.items():
        try:
            values[name] = _array(header.inputs[name], tensor, parts.get(name), header.source)
        except InvalidInputError as error:
            faults += error.faults
    if not faults and count(b"[", header.source.body) != _count_of_arrays(header):
        header.source.take_time()
        faults = _hidden_arrays(header, known)
    try:
        return Decoded(validate(model, values, faults), header.names)
    except InvalidInputError as error:
        raise error.in_order_of(header.names) from None


def _options(header: Header) -> tuple[dict[str, Any], list[Fault]]:
    """Return the parameters and the outputs as Python's values; null is a fault."""
    values, faults = present_options({name: python_value(value) for name, value in header.options.items()})
    if header.include is not None:
        values["include"] = header.include
    return values, header.faults + faults


def _array(entry: Input, tensor: Tensor, part: memoryview | None, source: JsonText) -> NDArray[Any]:
    """Return the elements of a tensor: a view of its bytes, or what its JSON data hold.

    Raises:
        MalformedBodyError: the bytes are no tensor of its datatype and shape.
        InvalidInputError: the datatype, the shape or the data are not those of the field.
    """
    raise_if_any(TYPE_NAMES.faults(entry.name, entry.datatype, entry.shape, tensor))
    element = ELEMENT_TYPES[entry.datatype]
    if part is not None:
        return decode_tensor(part, element, entry.shape, pointer((entry.name,)))
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
