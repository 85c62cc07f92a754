"""Reading a reply's outputs: every array is checked against what the request implies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from typing import Any, cast

import numpy as np

from ._arrays import AnyArray
from ._bfloat16 import is_marked
from ._records import Output
from .results import Summary


class ContractError(ValueError):
    """A reply's field is not what the contract says; becomes a ResponseError with the call's facts."""


def read_output(name: str, value: object, output: Output, shape: tuple[int, int], dtype: str) -> object:
    """One output in its final form: a float for the reduced loss, else a writable C-contiguous array.

    Args:
        name: the output's name.
        value: as the wire decoded it: a number, nested lists or an array.
        output: the axes and dtype it must have.
        shape: (N, K) of the request's logits.
        dtype: the floating dtype that the request implies.

    Returns:
        The float or array.

    Raises:
        ContractError: wrong kind, shape or dtype, or a value that no such output has.
    """
    if not output.axes:
        # Its text is the shortest that means this float32, and as a float64 would mean another number.
        with np.errstate(over="ignore"):  # it becomes an infinity, and is refused as one
            return _finite(name, float(np.dtype(dtype).type(read_number(name, value))))
    array, wanted = _as_array(name, value), np.dtype(output.dtype or dtype)
    expected = tuple(dict(zip("NK", shape, strict=True))[axis] for axis in output.axes)
    if array.shape != expected:
        raise ContractError(f"{name} has shape {array.shape} where {expected} was expected")
    if not _has_dtype(array, wanted, was_array=array is value):
        raise ContractError(f"{name} has dtype {array.dtype.name}")
    return _checked(name, array, wanted, shape[1])


def _has_dtype(array: AnyArray, wanted: np.dtype[Any], *, was_array: bool) -> bool:
    """Whether an array came in the right dtype; what came as lists had none, and any number can become a float."""
    if was_array:
        return array.dtype == wanted.newbyteorder("<") and not is_marked(array)
    return array.dtype.kind in ("fiu" if wanted.kind == "f" else "iu")


def _checked(name: str, array: AnyArray, wanted: np.dtype[Any], num_classes: int) -> AnyArray:
    """The array in its final dtype, writable and C-contiguous, once no value in it is one that cannot be."""
    if wanted.kind != "f":
        # Bytes are one-hot rows; any other integer is a class.
        limit = 2 if wanted == np.uint8 else num_classes
        if array.size and not (array.min() >= 0 and array.max() < limit):
            raise ContractError(f"{name} holds a number outside 0 … {limit - 1}")
    with np.errstate(over="ignore"):  # it becomes an infinity, and is refused as one
        result = np.require(array, wanted, ["C_CONTIGUOUS", "WRITEABLE"])
    # A masked class has log-probability −∞; nothing else that is not finite leaves the service.
    is_number = np.less(result, np.inf) if name == "log_probabilities" else np.isfinite(result)
    if not is_number.all():
        raise ContractError(f"{name} holds what is no number")
    return result


def read_number(name: str, value: object) -> float:
    """A number of a reply, which is finite.

    Raises:
        ContractError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ContractError(f"{name} is no number")
    try:
        return _finite(name, float(value))
    except OverflowError:  # an integer of hundreds of digits
        return _finite(name, math.inf)


def _finite(name: str, number: float) -> float:
    if not math.isfinite(number):
        raise ContractError(f"{name} is not finite")
    return number


def _as_array(name: str, value: object) -> AnyArray:
    if isinstance(value, np.ndarray):
        return cast("AnyArray", value)
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and name == "log_probabilities":
            # The one null of the contract: JSON has no word for −∞, the log-probability of a masked class.
            # No reply can hold a NaN, so NumPy's reading of null as NaN marks exactly those.
            array = np.asarray(value, dtype=np.float64)
            array[np.isnan(array)] = -math.inf
    except (TypeError, ValueError, OverflowError):
        raise ContractError(f"{name} is no rectangular array of numbers") from None
    return array


def read_summary(value: object) -> Summary:
    """The mergeable totals, whose numbers stay float64 and integers whatever the reply's dtype."""
    if not isinstance(value, Mapping):
        raise ContractError("summary is no object")
    totals = cast("Mapping[str, object]", value)
    members: dict[str, object] = {}
    for entry in dataclass_fields(Summary):
        if entry.name not in totals:
            raise ContractError(f"summary.{entry.name} is missing")
        members[entry.name] = _read_total(f"summary.{entry.name}", totals[entry.name])
    return Summary(**members)  # type: ignore[arg-type] # _read_total checks each by its name


def _read_total(name: str, value: object) -> object:
    if name.endswith("_tail"):
        if not isinstance(value, list | tuple):
            raise ContractError(f"{name} is no list")
        return tuple(read_number(name, part) for part in cast("Sequence[object]", value))
    number = read_number(name, value)
    if not name.endswith("_count"):
        return number
    if not isinstance(value, int):
        raise ContractError(f"{name} is no integer")
    return value


def check_dtype(applied: Mapping[str, object], expected: str) -> None:
    """Refuse a reply of another floating dtype than the request implies; `applied` names the reply's."""
    if applied.get("dtype") != expected:
        raise ContractError(f"applied.dtype is not {expected}")
