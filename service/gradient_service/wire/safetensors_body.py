"""safetensors bytes to a request, and a reply to safetensors bytes.

Eight bytes say how long the JSON header is; it names each tensor's dtype, shape and place in the data behind it.
Tensors are the array fields. Everything else is one JSON object in the header's `__metadata__`: `options` in a request,
`result` in a reply.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.schemas.conflicts import check_fields
from gradient_service.schemas.fields import Body
from gradient_service.schemas.members import path_of
from gradient_service.schemas.tensor import tensor_fields
from gradient_service.schemas.validation import validate
from gradient_service.wire.decoded import Decoded, Model
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_body import read_object, read_options
from gradient_service.wire.json_grammar import JsonText, pointer
from gradient_service.wire.json_header import load_header
from gradient_service.wire.json_writer import dump
from gradient_service.wire.tensor_codec import (
    BFLOAT16,
    BOOLEAN,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INTEGERS,
    Buffer,
    ElementType,
    decode_tensor,
    encode_tensor,
    num_bytes,
)
from gradient_service.wire.tensor_fields import TypeNames, is_counts, misplaced

MEDIA_TYPE = "application/x-safetensors"
BYTES_PER_NUMBER = 8
LENGTH_BYTES = 8
MAX_HEADER_BYTES = 64 * 1024
MAX_KEPT_HEADER_BYTES = 1024
HEADER_NESTING = 3
ALIGNMENT = 64
METADATA = "__metadata__"

ELEMENT_TYPES: dict[str, ElementType] = {
    "F16": FLOAT16,
    "BF16": BFLOAT16,
    "F32": FLOAT32,
    "F64": FLOAT64,
    "BOOL": BOOLEAN,
    **{name.upper(): element for name, element in INTEGERS.items()},
}
WRITTEN_NAMES = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float64): "F64",
    np.dtype(np.int64): "I64",
    np.dtype(np.uint8): "U8",
    np.dtype(np.bool_): "BOOL",
}
TYPE_NAMES = TypeNames(
    ELEMENT_TYPES, {"number": "F16, BF16, F32 or F64", "integer": "an integer type", "boolean": "BOOL"}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor as the header names it."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Head:
    """All that a header says of a request but the numbers; kept for others with the same, and never changed."""

    names: Sequence[str]
    """The fields in the order of the document."""
    options: dict[str, Any]
    tensors: Sequence[tuple[str, Entry, str]]
    """The fields that are tensors: their names, what the header says of them, and their pointers."""
    faults: Sequence[Fault]
    text: JsonText
    """Of the options."""


def decode(body: Buffer, model: type[Model], *, max_nesting: int) -> Decoded[Model]:
    """Read safetensors bytes as a request; arrays are views of the bytes wherever NumPy knows their type.

    Raises:
        MalformedBodyError: the bytes are no safetensors file, or its options no JSON object.
        InvalidInputError: a field is unknown, missing, in conflict with another, or no value of its type.
    """
    header, data = _split(memoryview(body))
    read = _read_header if len(header) > MAX_KEPT_HEADER_BYTES else _read_header_again
    head = read(bytes(header), len(data), model, max_nesting)
    tensors = {name: _tensor(data, entry, place) for name, entry, place in head.tensors}
    try:
        return Decoded(validate(model, head.options | tensors, head.faults), head.names)
    except InvalidInputError as error:
        head.text.check()  # what is wrong with the bytes comes before what they say
        raise error.in_order_of(head.names) from None


def _tensor(data: memoryview, entry: Entry, place: str) -> NDArray[Any]:
    return decode_tensor(data[entry.begin : entry.end], ELEMENT_TYPES[entry.dtype], entry.shape, place)


def encode(reply: Body) -> list[Buffer]:
    """Write the outputs of a reply: its arrays as tensors, the rest as one JSON object in `result`."""
    fields = reply.given()
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in fields.items() if name not in arrays}
    return encode_file(arrays, {"result": dump(rest).decode()})


def encode_file(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> list[Buffer]:
    """Write a header padded so that data starts aligned, then each array as it lies."""
    header: dict[str, Any] = {METADATA: metadata}
    begin = 0
    for name, array in arrays.items():
        header[name] = {
            "dtype": WRITTEN_NAMES[array.dtype],
            "shape": array.shape,
            "data_offsets": (begin, begin + array.nbytes),
        }
        begin += array.nbytes
    text = dump(header)
    text += b" " * (-(LENGTH_BYTES + len(text)) % ALIGNMENT)
    return [len(text).to_bytes(LENGTH_BYTES, "little") + text, *map(encode_tensor, arrays.values())]


def _malformed(detail: str, name: str | None = None) -> MalformedBodyError:
    return MalformedBodyError("malformed-tensor", detail, "" if name is None else pointer((name,)))


def _split(body: memoryview) -> tuple[memoryview, memoryview]:
    """Return the header and the data."""
    if not body:
        raise MalformedBodyError("empty-body", "The body is empty; a safetensors file is needed.")
    if len(body) < LENGTH_BYTES:
        raise _malformed("A safetensors file begins with eight bytes that say how long its header is.")
    length = int.from_bytes(body[:LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise _malformed(f"The header would be {length} bytes long; the limit is {MAX_HEADER_BYTES}.")
    end = LENGTH_BYTES + length
    if end > len(body):
        raise _malformed(f"The header ends at byte {end}, the body at {len(body)}.")
    return body[LENGTH_BYTES:end], body[end:]


def _read_header(header: bytes, num_data_bytes: int, model: type[Body], max_nesting: int) -> Head:
    """Return what a header says to a request model."""
    entries, options = _read_text(header, num_data_bytes)
    text = JsonText(options, max_nesting)
    try:
        return _head(entries, text, model)
    except InvalidInputError:
        text.check()
        raise


_read_header_again = lru_cache(maxsize=256)(_read_header)
"""Callers send the same header with other numbers behind it."""


def _head(entries: Mapping[str, Entry], text: JsonText, model: type[Body]) -> Head:
    document = read_object(text, model)
    for name in document.names:
        if name in entries:
            detail = "A field is both a tensor and an option."
            raise MalformedBodyError("duplicate-field", detail, pointer(path_of(name, model)))
    names = [*entries, *document.names]
    check_fields(model, names)
    options, faults = read_options(document)
    faults += misplaced(entries, document.names, model)
    tensors = []
    for name, entry in entries.items():
        found = list(TYPE_NAMES.faults(name, entry.dtype, entry.shape, tensor_fields(model).get(name)))
        faults += found
        if not found and name in tensor_fields(model):
            tensors.append((name, entry, pointer(path_of(name, model))))
    return Head(names, options, tensors, faults, text)


def _read_text(text: bytes, num_data_bytes: int) -> tuple[Mapping[str, Entry], bytes]:
    """Return the tensors by name, in the order of the header, and the text of the options."""
    entries, metadata = _read_entries(text, num_data_bytes)
    unknown = next((name for name in metadata if name not in {"options", "format"}), None)
    if unknown is not None:
        raise InvalidInputError([Fault("unknown-field", unknown, (), "__metadata__ holds one string, options.")])
    return entries, metadata.get("options", "{}").encode()


def read_file(content: Buffer) -> tuple[Mapping[str, Entry], memoryview]:
    """Return the tensors of any safetensors file by name, and the data that they lie in.

    Raises:
        MalformedBodyError: the bytes are no safetensors file.
    """
    header, data = _split(memoryview(content))
    entries, _ = _read_entries(bytes(header), len(data))
    return entries, data


def _read_entries(text: bytes, num_data_bytes: int) -> tuple[Mapping[str, Entry], Mapping[str, str]]:
    try:
        content = load_header(text, HEADER_NESTING)
    except MalformedBodyError as error:
        raise MalformedBodyError("malformed-tensor", f"In the header: {error.detail}", error.pointer) from None
    except ValueError:  # an integer of more digits than Python reads
        raise _malformed("The header holds a number that no tensor needs.") from None
    if not isinstance(content, dict) or not text.startswith(b"{"):
        raise _malformed("The header is a JSON object.")
    metadata = content.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _malformed("__metadata__ maps names to strings.")
    entries = {name: _entry(name, entry) for name, entry in content.items()}
    _check_layout(entries, num_data_bytes)
    return entries, metadata


def _entry(name: str, entry: Any) -> Entry:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _malformed("A tensor has dtype, shape and data_offsets.", name)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not is_counts(shape) or not is_counts(offsets) or len(offsets) != 2:  # noqa: PLR2004  begin and end
        raise _malformed("dtype is a string, shape and data_offsets are whole numbers from 0 up.", name)
    return Entry(dtype, tuple(shape), *offsets)


def _check_layout(entries: Mapping[str, Entry], num_data_bytes: int) -> None:
    """Refuse tensors that overlap, leave gaps or bytes behind, or disagree with their shape."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end or entry.end < entry.begin:
            raise _malformed("The tensor does not begin where the one before it ends.", name)
        end = entry.end
        element = ELEMENT_TYPES.get(entry.dtype)
        if element is not None and num_bytes(element, entry.shape) != entry.end - entry.begin:
            raise _malformed("The tensor has not as many bytes as its shape needs.", name)
    if end != num_data_bytes:
        raise _malformed(f"The tensors do not end where the data does, at byte {num_data_bytes}.")
