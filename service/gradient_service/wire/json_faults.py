"""What is wrong with the elements of a JSON array, told one by one."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from math import isinf
from typing import Any

from gradient_service.core.errors import Fault
from gradient_service.schemas.tensor import INT64_RANGE, Kind, Tensor
from gradient_service.wire.json_values import are_scalars_of, is_array, is_scalar_of

KIND_NAMES: dict[Kind, str] = {"number": "numbers", "integer": "integers", "boolean": "booleans"}

RUN = 1024
"""So many elements are looked at together before one by one."""

IndexOf = Callable[[int], tuple[int, ...]]
"""Returns the index in the field of a position in an array."""


def element_faults(field: str, row: Iterable[Any], tensor: Tensor, index_of: IndexOf) -> Iterator[Fault]:
    """Yield what is wrong with the elements of a flat array, told by the index of its position in the field."""
    for position, element in doubtful(row, partial(are_scalars_of, kind=tensor.kind)):
        index = index_of(position)
        if is_array(element):
            yield wrong_rank(field, tensor)
            return
        if is_beyond(element):
            yield beyond(field, index)
        elif not is_scalar_of(element, tensor.kind):
            yield Fault("wrong-type", field, index, f"{_shown(field, index)}: elements must be {_kind(tensor)}.")
        elif tensor.kind == "integer" and element not in INT64_RANGE:
            yield Fault("label-out-of-range", field, index, f"{_shown(field, index)} is far beyond any class.")


def doubtful(array: Iterable[Any], are_plain: Callable[[list[Any]], bool]) -> Iterator[tuple[int, Any]]:
    """Yield the elements of every run of an array that are not all plain, each with its position."""
    elements, begin = iter(array), 0
    while run := list(islice(elements, RUN)):
        if not are_plain(run):
            yield from enumerate(run, begin)
        begin += len(run)


def up_to_wrong_rank(faults: Iterable[Fault]) -> Iterator[Fault]:
    """Yield faults; behind one of the rank none, since it changes what all others would be."""
    for fault in faults:
        yield fault
        if fault.code == "wrong-rank":
            return


def is_beyond(value: Any) -> bool:
    """Return whether a value stands for a number that no float64 holds; no other JSON value is infinite."""
    return isinstance(value, float) and isinf(value)


def beyond(field: str | None, index: tuple[int | str, ...]) -> Fault:
    """Return what is wrong with such a number."""
    return Fault("number-out-of-range", field, index, "This number leaves the range of float64.")


def is_null(field: str) -> Fault:
    """Return what is wrong with null in place of a field's value."""
    return Fault("wrong-type", field, (), f"{field} must not be null; leave it out instead.")


def wrong_rank(field: str, tensor: Tensor) -> Fault:
    """Return what is wrong with an array that has a scalar for a row, or an array for an element."""
    return Fault("wrong-rank", field, (), f"{field} must have {tensor.rank} dimension{'s' if tensor.rank > 1 else ''}.")


def wrong_value(field: str, value: Any, tensor: Tensor) -> Fault:
    """Return what is wrong with a value that is no array."""
    if value is None:
        return is_null(field)
    return Fault("wrong-type", field, (), f"{field} must be an array of {_kind(tensor)}.")


def wrong_row(field: str, row: int, tensor: Tensor) -> Fault:
    """Return what is wrong with a row that is neither array nor scalar."""
    return Fault("wrong-type", field, (row,), f"{field}[{row}] must be a row: an array of {_kind(tensor)}.")


def ragged(field: str, row: int, length: int, num_columns: int) -> Fault:
    """Return what is wrong with a row of another length than the first."""
    return Fault("ragged", field, (row,), f"{field}[{row}] has {length} elements, the first row has {num_columns}.")


def _kind(tensor: Tensor) -> str:
    return KIND_NAMES[tensor.kind]


def _shown(field: str, index: tuple[int, ...]) -> str:
    return field + "".join(f"[{part}]" for part in index)
