"""JSON arrays of one rank to NumPy arrays, through a buffer that the parser fills; and what is wrong with the rest."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from numpy.typing import NDArray

from gradient_service.core.errors import Fault
from gradient_service.schemas.tensor import INT64_RANGE, Kind, Tensor
from gradient_service.wire.json_values import flat_values, is_array, is_flat, is_scalar_of

KIND_NAMES: dict[Kind, str] = {"number": "numbers", "integer": "integers", "boolean": "booleans"}


def read_array(value: Any, tensor: Tensor) -> NDArray[Any]:
    """Read an array of rank 1 or 2.

    Raises:
        TypeError, ValueError: it is no array, an element has another type, or rows differ in length. Deeper nesting
            goes unnoticed where the number of scalars fits, so the caller counts brackets.
    """
    if not is_array(value):
        raise TypeError
    shape = (len(value),) if tensor.rank == 1 else _shape_of_rows(value)
    return flat_values(value, tensor.kind).reshape(shape)


def _shape_of_rows(value: Any) -> tuple[int, int]:
    lengths = [len(row) for row in value]
    num_columns = lengths[0] if lengths else 0
    if lengths.count(num_columns) != len(lengths):
        raise ValueError
    return len(lengths), num_columns


def find_faults(field: str, value: Any, tensor: Tensor) -> Iterator[Fault]:
    """Yield what keeps a value from being an array of its rank and kind, in document order; nothing if it is one."""
    if not is_array(value):
        yield Fault("wrong-type", field, (), f"{field} must be an array of {KIND_NAMES[tensor.kind]}.")
    elif tensor.rank == 1:
        yield from element_faults(field, value, tensor, lambda position: (position,))
    else:
        yield from _row_faults(field, value, tensor)


def _row_faults(field: str, value: Any, tensor: Tensor) -> Iterator[Fault]:
    num_columns = None
    for position, row in enumerate(value):
        if is_scalar_of(row, tensor.kind):
            yield _wrong_rank(field, tensor)
            return
        if not is_array(row):
            detail = f"{field}[{position}] must be a row: an array of {KIND_NAMES[tensor.kind]}."
            yield Fault("wrong-type", field, (position,), detail)
            continue
        num_columns = len(row) if num_columns is None else num_columns
        if len(row) != num_columns:
            detail = f"{field}[{position}] has {len(row)} elements, the first row has {num_columns}."
            yield Fault("ragged", field, (position,), detail)
        if not _is_plain(row, tensor):
            yield from element_faults(field, row, tensor, partial(_index_in_row, position))


def _index_in_row(row: int, position: int) -> tuple[int, int]:
    return row, position


def _is_plain(row: Any, tensor: Tensor) -> bool:
    """Return whether a row has no fault, without looking at its elements one by one."""
    try:
        flat_values(row, tensor.kind)
    except (TypeError, ValueError):
        return False
    return is_flat(row)


def element_faults(field: str, row: Any, tensor: Tensor, index_of: Callable[[int], tuple[int, ...]]) -> Iterator[Fault]:
    """Yield what is wrong with the elements of a flat array, told by the index of its position in the field."""
    for position, element in enumerate(row):
        index = index_of(position)
        shown = field + "".join(f"[{part}]" for part in index)
        if is_array(element):
            yield _wrong_rank(field, tensor)
            return
        if not is_scalar_of(element, tensor.kind):
            yield Fault("wrong-type", field, index, f"{shown}: elements must be {KIND_NAMES[tensor.kind]}.")
        elif tensor.kind == "integer" and element not in INT64_RANGE:
            yield Fault("label-out-of-range", field, index, f"{shown} is far beyond any class.")


def _wrong_rank(field: str, tensor: Tensor) -> Fault:
    return Fault("wrong-rank", field, (), f"{field} must have {tensor.rank} dimension{'s' if tensor.rank > 1 else ''}.")
