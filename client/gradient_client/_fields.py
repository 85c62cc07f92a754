"""Reading one argument: from whatever the caller has to the array or scalar that travels."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import SupportsIndex, cast

import numpy as np

from ._arrays import AnyArray, check_finite, check_kind, check_rank, to_array
from ._refusal import refusal

Value = AnyArray | float | int | str | list[str]
"""What a field can hold on its way to the wire."""


def read_numbers(field: str, value: object, *, rank: int) -> AnyArray:
    """An array of finite floats of 16 to 64 bits; integers become float64, as the service would read them."""
    array = to_array(field, value)
    check_kind(field, array, "fiu", "it takes numbers")
    check_rank(field, array, rank)
    check_finite(field, array)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def read_claim(field: str, value: object, *, rank: int) -> AnyArray:
    """An array of floats as the caller has them, in their own dtype, whatever they are; integers become float64."""
    array = to_array(field, value)
    check_kind(field, array, "fiu", "it takes numbers")
    if rank or array.ndim:
        check_rank(field, array, rank)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def read_integers(field: str, value: object) -> AnyArray:
    """An array of class indices, shape (N,)."""
    array = to_array(field, value)
    if array.ndim == 2 and field == "labels":  # noqa: PLR2004 - rows by classes
        raise refusal(field, "has 2 axes instead of 1", "pass target rows as targets=, class indices as labels")
    check_rank(field, array, 1)
    if array.size == 0:  # an empty list has no dtype of its own, and NumPy calls it float64
        return array.astype(np.int64)
    check_kind(field, array, "iu", "it takes integers, so write array.astype(numpy.int64)")
    return array


def read_mask(field: str, value: object, *, ranks: tuple[int, ...]) -> AnyArray:
    """An array of booleans with one of the given numbers of axes."""
    array = to_array(field, value)
    check_kind(field, array, "b", "it takes booleans, so write array != 0")
    check_rank(field, array, array.ndim if array.ndim in ranks else ranks[-1])
    return array


def read_number(field: str, value: object) -> float | int:
    """A finite scalar; NumPy's and 0-d arrays of any library become Python numbers."""
    if isinstance(value, bool | str | bytes) or value is None:
        raise refusal(field, f"is of type {type(value).__name__}", "it takes a number")
    array = to_array(field, value)
    check_kind(field, array, "fiu", "it takes a number")
    if array.ndim:
        raise refusal(field, f"has {array.ndim} axes", "it takes one number")
    check_finite(field, array)
    number: float | int = array.item()
    return number


def read_integer(field: str, value: object) -> int:
    """An integral scalar."""
    number = index_of(value)
    if number is None:
        raise refusal(field, f"is of type {type(value).__name__} and no integer", "it takes an integer")
    return number


def index_of(value: object) -> int | None:
    """The integer that a value is, of Python or an array of no axes; None if it is none."""
    if type(value) in {bool, np.bool} or not isinstance(value, SupportsIndex):
        return None
    try:
        return operator.index(value)
    except TypeError:  # an array has the method, whatever is in it
        return None


def read_word(field: str, value: object) -> str:
    """One of the service's words; which ones exist is for the service to say, as it may be newer."""
    if not isinstance(value, str):
        raise refusal(field, f"is of type {type(value).__name__}", "it takes a string")
    return value


def read_words(field: str, value: object) -> list[str]:
    """A list of the service's words; a lone string is refused because it is a sequence of letters."""
    try:
        words = None if isinstance(value, str) else [*cast("Iterable[object]", value)]
    except TypeError:  # also of an array of no axes, which only seems to be iterable
        words = None
    if words is None:
        raise refusal(field, "is no list", f"write {field}=[...]")
    return [read_word(f"{field}[{position}]", word) for position, word in enumerate(words)]
