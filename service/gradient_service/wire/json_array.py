"""JSON arrays of one rank to NumPy arrays, through a buffer that the parser fills; and what is wrong with the rest."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.errors import Fault
from gradient_service.schemas.tensor import Tensor
from gradient_service.wire.json_faults import (
    doubtful,
    element_faults,
    ragged,
    up_to_wrong_rank,
    wrong_rank,
    wrong_row,
    wrong_value,
)
from gradient_service.wire.json_values import are_rows_of, flat_values, is_array, is_scalar_of

MOST_TOLD = 0xFFFFFF
"""What simdjson tells of the length of an array at the most, however long it is."""


def read_array(value: Any, tensor: Tensor) -> NDArray[Any]:
    """Read an array of rank 1 or 2.

    Raises:
        TypeError, ValueError: it is no array, an element has another type, or rows differ in length. Deeper nesting
            goes unnoticed where the number of scalars fits, so the caller counts brackets.
    """
    if not is_array(value):
        raise TypeError
    shape = (_length(value),) if tensor.rank == 1 else _shape_of_rows(value)
    return flat_values(value, tensor.kind).reshape(shape)


def stand_in(value: Any, tensor: Tensor) -> NDArray[Any] | None:
    """Return some numbers in the shape of an array of which only elements are wrong; None where it has none."""
    try:
        shape = (_length(value),) if tensor.rank == 1 else _shape_of_rows(value)
    except (TypeError, ValueError):  # behind more wrong elements than are told
        return None
    return np.zeros(shape, np.int64 if tensor.kind == "integer" else np.float64)


def _length(array: Any) -> int:
    length = len(array)
    return length if length < MOST_TOLD else sum(1 for _ in array)


def _shape_of_rows(value: Any) -> tuple[int, int]:
    lengths = [len(row) for row in value]
    if MOST_TOLD in lengths:
        lengths = [_length(row) for row in value]
    num_columns = lengths[0] if lengths else 0
    if lengths.count(num_columns) != len(lengths):
        raise ValueError
    return len(lengths), num_columns


def find_faults(field: str, value: Any, tensor: Tensor) -> Iterator[Fault]:
    """Yield what keeps a value from being an array of its rank and kind, in document order; nothing if it is one."""
    if not is_array(value):
        return iter([wrong_value(field, value, tensor)])
    if tensor.rank == 1:
        return element_faults(field, value, tensor, lambda position: (position,))
    return up_to_wrong_rank(_row_faults(field, value, tensor))


def _row_faults(field: str, value: Any, tensor: Tensor) -> Iterator[Fault]:
    num_columns = next((_length(row) for row in value if is_array(row)), 0)
    are_plain = partial(are_rows_of, kind=tensor.kind, num_columns=num_columns)
    for position, row in doubtful(value, are_plain if num_columns < MOST_TOLD else lambda _: False):
        if is_scalar_of(row, tensor.kind):
            yield wrong_rank(field, tensor)
            continue
        if not is_array(row):
            yield wrong_row(field, position, tensor)
            continue
        if (length := _length(row)) != num_columns:
            yield ragged(field, position, length, num_columns)
        yield from element_faults(field, row, tensor, partial(_index_in_row, position))


def _index_in_row(row: int, position: int) -> tuple[int, int]:
    return row, position
