"""safetensors files made byte by byte, also ones that no library writes, and replies taken apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import load

Stored = tuple[str, tuple[int, ...], bytes]
"""The dtype's name, the shape and the bytes of a tensor."""

NAMES = {"bool": "BOOL", "float16": "F16", "float32": "F32", "float64": "F64"} | {
    f"{kind}{size}": f"{kind[0]}{size}".upper() for kind in ("int", "uint") for size in (8, 16, 32, 64)
}


def stored(array: ArrayLike, dtype: str = "float32") -> Stored:
    """Numbers as a tensor of the type that NumPy calls so."""
    values = np.array(array, np.dtype(dtype).newbyteorder("<"))
    return NAMES[dtype], values.shape, values.tobytes()


def stored_bfloat16(array: ArrayLike) -> Stored:
    """Finite numbers rounded to BF16, ties to even."""
    bits = np.array(array, np.float32).view(np.uint32)
    halves = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return "BF16", bits.shape, halves.astype("<u2").tobytes()


def raw_file(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A header, bytes as they are or else as JSON, and the data behind it; the length may be another than it has."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def file_of(tensors: Mapping[str, Stored], options: object = None, *, blanks: int = 0) -> bytes:
    """Tensors back to back and their options, text as it is or else as JSON; blanks move where the data begins."""
    header: dict[str, Any] = {}
    data = b""
    if options is not None:
        header["__metadata__"] = {"options": options if isinstance(options, str) else json.dumps(options)}
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return raw_file(json.dumps(header).encode() + b" " * blanks, data)


def header_of(content: bytes) -> dict[str, Any]:
    """The header of a file."""
    header: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header


def reply_of(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The tensors of a reply as the safetensors library loads them, and its scalars."""
    result: dict[str, Any] = json.loads(header_of(content)["__metadata__"]["result"])
    return load(content), result


def bits(array: NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    """What two arrays share that are equal to the last bit."""
    return array.dtype.name, array.shape, array.tobytes()
