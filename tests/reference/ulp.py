"""Correct rounding of exact numbers, and errors counted in units in the last place."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp

Array = np.ndarray[Any, Any]


class Format(NamedTuple):
    """A binary floating-point format."""

    digits: int
    """Bits of the significand, the hidden one included."""
    smallest: int
    """Exponent of the smallest subnormal number."""
    limit: int
    """Exponent that every finite magnitude stays below."""


FORMATS = {np.dtype(np.float32): Format(24, -149, 128), np.dtype(np.float64): Format(53, -1074, 1024)}


def round_exactly(value: Any, dtype: Any) -> Any:
    """The number of the dtype nearest to an mpf, ties to even, with subnormals and overflow to infinity.

    Args:
        value: mpf, finite or not.
        dtype: float32 or float64.

    Returns:
        A NumPy scalar of the dtype.
    """
    kind = np.dtype(dtype)
    if not mp.isfinite(value) or not value:
        return kind.type(float(value))
    sign, significand, exponent, width = (int(part) for part in value._mpf_)  # its exact digits
    quantum = max(width + exponent - FORMATS[kind].digits, FORMATS[kind].smallest)
    integer = _halved_evenly(significand, quantum - exponent, width)
    if integer.bit_length() + quantum > FORMATS[kind].limit:
        return kind.type(-math.inf if sign else math.inf)
    return kind.type(math.ldexp(-integer if sign else integer, quantum))


def _halved_evenly(significand: int, times: int, width: int) -> int:
    """Divide by 2**times, to the nearest integer, ties to even."""
    if times <= 0:
        return significand << -times
    if times > width + 1:
        return 0
    integer, rest = divmod(significand, 1 << times)
    half = 1 << (times - 1)
    return integer + (rest > half or (rest == half and integer % 2 == 1))


def round_array(values: Array, dtype: Any) -> Array:
    """`round_exactly` of every element."""
    rounded = [round_exactly(value, dtype) for value in np.asarray(values, dtype=object).ravel()]
    return np.array(rounded, dtype=dtype).reshape(np.shape(values))


def ulp_exponent(magnitude: Any, dtype: Any) -> int:
    """Exponent of the spacing of the dtype's numbers at ±magnitude, that of the top binade beyond it."""
    digits, smallest, limit = FORMATS[np.dtype(dtype)]
    if not magnitude:
        return smallest
    _, _, exponent, width = magnitude._mpf_  # its exact digits, whatever the working precision
    return max(min(int(exponent + width), limit) - digits, smallest)


def ulp_error(computed: Any, exact: Any, *, dtype: Any, size: Any = None, floor: Any = 1) -> Array:
    """|computed − exact| / ulp(max(|exact|, size)), element by element.

    Args:
        computed: floats of any shape.
        exact: mpf of the same shape.
        dtype: format whose ulps are counted, float32 or float64.
        size: mpf that broadcast to the shape; the yardstick where larger than the exact value.
        floor: numbers that broadcast to the shape; no ulp is below that many smallest subnormals.

    Returns:
        Errors (float64, same shape): 0 for an infinity where the exact value is or rounds to the same one,
        infinity for NaN and for any other infinity.
    """
    wanted = np.asarray(exact, dtype=object)
    found = np.asarray(computed)
    if found.shape != wanted.shape:
        message = f"computed {found.shape}, exact {wanted.shape}"
        raise ValueError(message)
    sizes = np.broadcast_to(np.asarray(mp.mpf(0) if size is None else size, dtype=object), wanted.shape)
    floors = np.broadcast_to(np.asarray(floor, dtype=object), wanted.shape)
    elements = zip(found.ravel().tolist(), wanted.ravel(), sizes.ravel(), floors.ravel(), strict=True)
    return np.array([_error(*element, dtype) for element in elements], dtype=float).reshape(wanted.shape)


def _error(computed: float, exact: Any, size: Any, floor: Any, dtype: Any) -> float:
    if not (math.isfinite(computed) and mp.isfinite(exact)):
        return 0.0 if computed == float(round_exactly(exact, dtype)) else math.inf
    smallest = FORMATS[np.dtype(dtype)].smallest
    exponent = max(ulp_exponent(exact, dtype), ulp_exponent(size, dtype))
    unit = max(mp.ldexp(1, exponent), floor * mp.ldexp(1, smallest))
    return float(abs(mp.mpf(computed) - exact) / unit)


def is_lost(computed: Any, exact: Any, dtype: Any, floor: Any = 1) -> Array:
    """Whether each element is a spurious NaN, infinity, or zero of a number above `floor` times the subnormal range."""
    kind = np.dtype(dtype)
    rounded = round_array(exact, dtype)
    found = np.asarray(computed)
    spurious = ~np.isfinite(found) & (found != rounded)
    vanished = (found == 0) & (np.abs(rounded) >= float(np.finfo(kind).tiny) * np.asarray(floor, dtype=object))
    return np.asarray(spurious | vanished)


def expand(numbers: Iterable[float]) -> list[float]:
    """The exact sum of floats as floats: rounded, its remainder rounded, and again until none is left."""
    rest = sum((Fraction(number) for number in numbers), Fraction(0))
    parts = [float(rest)]
    while rest := rest - Fraction(parts[-1]):
        parts.append(float(rest))
    return parts


def surviving_gap(logits: Array, dtype: Any, *, temperature: float = 1.0) -> Array:
    """The largest |s_j − max s| of each row whose exponential is not rounded to 0 in the dtype."""
    with np.errstate(over="ignore", invalid="ignore"):
        scores = np.asarray(logits, dtype=np.float64)
        gaps = scores.max(axis=1, keepdims=True) / temperature - scores / temperature
    vanishing = math.log(2.0) * (1 - FORMATS[np.dtype(dtype)].smallest)
    return np.asarray(np.where(gaps < vanishing, gaps, 0.0).max(axis=1))
