"""Values to JSON bytes, in parts of a few milliseconds each: the shortest text that round-trips in an array's dtype."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from gradient_service.schemas.fields import Body
from gradient_service.wire.checkpoint import Checkpoint, without_pause

NUMBERS_AT_ONCE = 8 * 1024
"""The library holds the interpreter until it is done."""
NUMBERS_OF_ARRAY = 8
"""It takes as long for the array around some numbers as for so many of them."""
PLACE = b"\0"
"""Where a large array belongs; no JSON text has this byte."""


def dump(values: Any) -> bytes:
    """Write values, arrays among them, as JSON, a body as its fields that were given; null for −∞."""
    return orjson.dumps(values, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def _plain(value: Any) -> Any:
    """Return what the library cannot write as what it can."""
    return value.given() if isinstance(value, Body) else np.ascontiguousarray(value)


def dump_in_parts(values: Any, checkpoint: Checkpoint = without_pause) -> list[bytes]:
    """Write values as `dump` does, large arrays in many parts.

    Args:
        values: what to write.
        checkpoint: asked between two parts; what it raises ends the writing.
    """
    arrays: list[NDArray[Any]] = []

    def small(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.size > NUMBERS_AT_ONCE:
            arrays.append(value)
            return orjson.Fragment(PLACE)
        return value.given() if isinstance(value, Body) else orjson.Fragment(dump(value))

    whole = orjson.dumps(values, default=small)
    if not arrays:
        return [whole]
    first, *others = whole.split(PLACE)
    parts = [first]
    for array, text in zip(arrays, others, strict=True):
        for part in _array_parts(array):
            checkpoint()
            parts.append(part)
        parts.append(text)
    return parts


def _array_parts(array: NDArray[Any]) -> Iterator[bytes]:
    """Yield the text of an array in parts of so many numbers, or one of its innermost ones."""
    if array.size <= NUMBERS_AT_ONCE:
        yield dump(array)
        return
    rows = NUMBERS_AT_ONCE // (array.size // len(array) + NUMBERS_OF_ARRAY * (array.ndim - 1))
    for start in range(0, len(array), max(rows, 1)):
        yield b"," if start else b"["
        if rows:
            yield dump(array[start : start + rows])[1:-1]
        else:
            yield from _array_parts(array[start])
    yield b"]"
