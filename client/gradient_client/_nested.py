"""Nested lists: NumPy would promote or box what is mixed in them, so they are read before it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from ._refusal import refusal

# No field has more than two axes; lists that go deeper are a mistake, or an attack on the recursion limit.
_MAX_DEPTH = 4


def is_nested(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list or tuple, the sequences that stand for an axis."""
    return isinstance(value, list | tuple)


def is_untyped(field: str, value: object) -> bool:
    """Whether all numbers are Python's own, which have no dtype, in lists or one alone.

    Args:
        field: the argument's name, for the error.
        value: nested lists, one number, or an array of any library.

    Raises:
        InputError: it is nested too deeply.
    """
    kinds = _leaf_kinds(field, value) if is_nested(value) else {type(value)}
    return all(issubclass(kind, int | float) and not issubclass(kind, np.generic) for kind in kinds)


def check_nested(field: str, value: Sequence[Any]) -> None:
    """Refuse nested lists that are ragged or hold anything but numbers, or numbers and booleans at once.

    Args:
        field: the argument's name, for the error.
        value: the lists; arrays may stand in the place of inner lists.

    Raises:
        InputError: naming the first offending element or row and what to write instead.
    """
    kinds = _leaf_kinds(field, value)
    booleans: set[type[Any]] = {kind for kind in kinds if issubclass(kind, bool | np.bool)}
    if strange := {kind for kind in kinds if not _is_number(kind)}:
        index, leaf = next((index, leaf) for index, leaf in _leaves(value) if type(leaf) in strange)
        reason = f"is no number but of type {type(leaf).__name__}"
        raise refusal(field, reason, "every element must be a number", index)
    if booleans and kinds != booleans:
        index = next(index for index, leaf in _leaves(value) if _kind(leaf) in booleans)
        raise refusal(field, "is a boolean among numbers", "booleans are for masks; write 0 or 1", index)
    _check_rectangular(field, value, ())


def _leaf_kinds(field: str, value: Sequence[Any], depth: int = 1) -> set[type[Any]]:
    """The types of all innermost elements; set(map(type, …)) keeps the long rows out of Python code."""
    if depth > _MAX_DEPTH:
        raise refusal(field, "is nested too deeply", "no field takes more than two axes")
    kinds: set[type[Any]] = set(map(type, value))
    if np.ndarray in kinds:
        kinds = {_kind(item) for item in value}
    leaves: set[type[Any]] = {kind for kind in kinds if not issubclass(kind, list | tuple)}
    if leaves != kinds:
        for item in value:
            leaves |= _leaf_kinds(field, item, depth + 1) if is_nested(item) else set()
    return leaves


def _kind(item: object) -> type[Any]:
    """The type of an element, for an array that of its elements."""
    return cast("NDArray[Any]", item).dtype.type if isinstance(item, np.ndarray) else type(item)


def _is_number(kind: type[Any]) -> bool:
    # NumPy's scalars have __array__, too; which kind of number they are shows in the array's dtype.
    return issubclass(kind, int | float) or hasattr(kind, "__array__")


def _leaves(value: Sequence[Any], above: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Every innermost element with its index, in order."""
    for position, item in enumerate(value):
        if is_nested(item):
            yield from _leaves(item, (*above, position))
        else:
            yield (*above, position), item


def _check_rectangular(field: str, value: Sequence[Any], above: tuple[int, ...]) -> None:
    if not any(issubclass(kind, list | tuple | np.ndarray) for kind in set(map(type, value))):
        return
    expected = _length(value[0])
    for position, item in enumerate(value):
        place = (*above, position)
        if _length(item) != expected:
            raise refusal(field, "has another length than the first", "give all rows the same length", place)
        if is_nested(item):
            _check_rectangular(field, item, place)


def _length(item: object) -> int | None:
    """How many elements a row has; None for a number, which is no row."""
    if isinstance(item, np.ndarray):
        shape: tuple[int, ...] = cast("NDArray[Any]", item).shape
        return shape[0] if shape else None
    return len(item) if is_nested(item) else None
