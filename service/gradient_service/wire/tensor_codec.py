"""Raw little-endian, row-major tensors to arrays and back, without a copy; both binary dialects are written with it.

A dialect names element types in its own way; here is what they are. Numbers of two bytes are widened: float16 where it
is used, bfloat16, which NumPy does not know, as it is read.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.schemas.tensor import ROUNDOFF, Kind
from gradient_service.wire.errors import MalformedBodyError

Buffer = bytes | bytearray | memoryview


def room_for(num_bytes: int) -> memoryview:
    """Return a buffer of memory that is not resident before it is written: a length that is only declared is free."""
    return np.empty(num_bytes, np.uint8).data


@dataclass(frozen=True, slots=True)
class ElementType:
    """What the elements of a tensor are."""

    kind: Kind
    stored: np.dtype[Any]
    """How they lie in the bytes."""
    is_bfloat16: bool = False

    @property
    def size(self) -> int:
        """Bytes an element."""
        return self.stored.itemsize


WIDENED_BFLOAT16: np.dtype[np.float32] = np.dtype(np.float32, metadata={ROUNDOFF: 2.0**-8})

FLOAT16 = ElementType("number", np.dtype("<f2"))
BFLOAT16 = ElementType("number", np.dtype("<u2"), is_bfloat16=True)
FLOAT32 = ElementType("number", np.dtype("<f4"))
FLOAT64 = ElementType("number", np.dtype("<f8"))
BOOLEAN = ElementType("boolean", np.dtype(np.uint8))
INTEGERS = {
    f"{sign}{8 * size}": ElementType("integer", np.dtype(f"<{sign}{size}")) for sign in "iu" for size in (1, 2, 4, 8)
}


def num_bytes(element: ElementType, shape: tuple[int, ...]) -> int:
    """Return how many bytes a tensor takes; whole numbers in Python do not overflow."""
    return element.size * prod(shape)


def decode_tensor(data: memoryview, element: ElementType, shape: tuple[int, ...], pointer: str) -> NDArray[Any]:
    """Return an array over the bytes of a tensor; bfloat16 is widened into a new one.

    Raises:
        MalformedBodyError: `malformed-tensor` when the length is not that of the shape, or a boolean is not 0 or 1.
    """
    if len(data) != num_bytes(element, shape):
        raise MalformedBodyError("malformed-tensor", "The tensor has not as many bytes as its shape needs.", pointer)
    try:
        stored = np.frombuffer(data, element.stored).reshape(shape)
    except ValueError:  # an empty array so wide that its strides overflow
        raise MalformedBodyError("malformed-tensor", "The shape is larger than any array.", pointer) from None
    if element.kind == "boolean":
        if stored.size and stored.max() > 1:
            raise MalformedBodyError("malformed-tensor", "A boolean is stored as 0 or 1.", pointer)
        return stored.view(np.bool_)
    if element.is_bfloat16:
        widened = stored.astype(np.uint32)
        widened <<= 16  # in its place: of a number without dimensions another would be no array
        return widened.view(WIDENED_BFLOAT16)
    return stored


def encode_tensor(array: NDArray[Any]) -> memoryview:
    """Return the bytes of an array, little-endian and row-major; a view where it already lies so."""
    stored = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return stored.reshape(-1).view(np.uint8).data if stored.size else memoryview(b"")
