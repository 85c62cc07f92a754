"""The safetensors format: arrays and strings by name to bytes and back.

Eight bytes say how long the JSON header is; it names each array's dtype, shape and place in the data behind it.
Here arrays cross with one copy a direction: into their place in the body, and out of the reply by whoever keeps them.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeGuard, cast

import numpy as np

from ._arrays import AnyArray
from ._bfloat16 import bits_of, from_bits, is_marked
from ._strict_json import parse_object

MEDIA_TYPE = "application/x-safetensors"

_LENGTH_BYTES = 8
_ALIGNMENT = 64
_MAX_HEADER_BYTES = 64 * 1024
_METADATA = "__metadata__"
_DTYPES: Mapping[str, np.dtype[Any]] = {"BOOL": np.dtype(np.bool)} | {
    f"{kind.upper()}{8 * size}": np.dtype(f"<{kind}{size}")
    for kind, sizes in {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8)}.items()
    for size in sizes
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_BFLOAT16 = "BF16"
_BITS = np.dtype("<u2")


class _Entry(NamedTuple):
    """An array as the header names it."""

    dtype: np.dtype[Any]
    """Of what lies in the data."""
    is_bfloat16: bool
    shape: tuple[int, ...]
    begin: int
    end: int


def encode_tensors(tensors: Mapping[str, AnyArray], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file, in which data begins on a 64-byte boundary.

    Args:
        tensors: arrays by name, of any order and stride; floats, bfloat16 under its mark, integers or booleans.
        metadata: strings by name.

    Returns:
        The file; each array was copied once, but bfloat16 twice.
    """
    header: dict[str, object] = {_METADATA: dict(metadata)}
    stored = {name: bits_of(array) if is_marked(array) else array for name, array in tensors.items()}
    end = 0
    for name, array in stored.items():
        begin, end = end, end + array.nbytes
        dtype = _BFLOAT16 if array is not tensors[name] else _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(_LENGTH_BYTES + len(text)) % _ALIGNMENT)
    return _join(len(text).to_bytes(_LENGTH_BYTES, "little") + text, stored.values())


def _join(header: bytes, arrays: Iterable[AnyArray]) -> bytes:
    arrays = list(arrays)
    # A BytesIO gives its buffer to be written and then away as bytes, without the copy that bytes.join makes of
    # what is not contiguous.
    body = io.BytesIO(bytes(len(header) + sum(array.nbytes for array in arrays)))
    with body.getbuffer() as buffer:
        buffer[: len(header)] = header
        begin = len(header)
        for array in arrays:
            np.ndarray(array.shape, array.dtype.newbyteorder("<"), buffer, begin)[...] = array
            begin += array.nbytes
    return body.getvalue()


def decode_tensors(body: bytes) -> tuple[dict[str, AnyArray], dict[str, str]]:
    """The arrays and strings of a file.

    Args:
        body: the bytes, from whoever sent them; nothing about them is taken for granted.

    Returns:
        The arrays, read-only views of the bytes but for bfloat16, and the metadata.

    Raises:
        ValueError: the header is cut short, too long, or no JSON of the format; a dtype is unknown; or arrays
            overlap, leave gaps or bytes behind, or disagree with their shape.
    """
    header, data = _split(memoryview(body))
    content = parse_object(header)
    metadata = content.pop(_METADATA, {})
    if not _is_object(metadata) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{_METADATA} does not map names to strings")
    entries = {name: _entry(name, entry) for name, entry in content.items()}
    _check_layout(entries, len(data))
    return {name: _view(data, entry) for name, entry in entries.items()}, metadata


def _split(body: memoryview) -> tuple[str, memoryview]:
    """The text of the header and the data."""
    length = int.from_bytes(body[:_LENGTH_BYTES], "little")
    end = _LENGTH_BYTES + length
    if length > _MAX_HEADER_BYTES or end > len(body):
        raise ValueError(f"a header of {length} bytes in a body of {len(body)}")
    header = str(body[_LENGTH_BYTES:end], "utf-8")
    if not header.startswith("{"):
        raise ValueError("the header is no object")
    return header, body[end:]


def _entry(name: str, entry: object) -> _Entry:
    if not _is_object(entry) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name} has other members than dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    is_bfloat16 = dtype == _BFLOAT16
    if not is_bfloat16 and (not isinstance(dtype, str) or dtype not in _DTYPES):
        raise ValueError(f"{name} has a dtype that this client does not read")
    if not _is_counts(shape) or not _is_counts(offsets) or len(offsets) != 2:  # noqa: PLR2004 - begin and end
        raise ValueError(f"{name} has a shape or data_offsets that are no whole numbers from 0 up")
    return _Entry(_BITS if is_bfloat16 else _DTYPES[dtype], is_bfloat16, tuple(shape), *offsets)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_counts(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(count) is int and count >= 0 for count in cast("list[object]", value))


def _check_layout(entries: Mapping[str, _Entry], num_data_bytes: int) -> None:
    """Refuse arrays that are not back to back from the first byte of the data to its last."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            raise ValueError(f"{name} does not begin where the array before it ends")
        end = entry.end
        if end - entry.begin != entry.dtype.itemsize * math.prod(entry.shape):
            raise ValueError(f"{name} has not as many bytes as its shape needs")
    if end != num_data_bytes:
        raise ValueError(f"the arrays end at byte {end} of {num_data_bytes}")


def _view(data: memoryview, entry: _Entry) -> AnyArray:
    """The array over its bytes; a shape too large for NumPy, though empty, is a ValueError like the others."""
    view: AnyArray = np.frombuffer(data[entry.begin : entry.end], entry.dtype).reshape(entry.shape)
    return from_bits(view) if entry.is_bfloat16 else view
