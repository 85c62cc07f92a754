"""Sums without rounding: the same bits for any order, chunking or number of threads.

Every float64 is an integer times 2^−1074. The significands are added as integers, one sum for each exponent, and the
sums joined in one Python integer; it is rounded once, and what rounding left out can be listed.
"""

import math
from collections.abc import Iterable

import numpy as np

from gradient_service.core.blocks import Array

UNIT_EXPONENT = 1126  # integers count units of 2^−1126, so that every 53-bit significand is whole
SIGNIFICAND_BITS = 53
HALF_BITS = 26
ROWS_AT_ONCE = 1 << 25  # 27-bit halves of so many rows add up below 2^53, where float64 counts exactly


def exact_sum(values: Array) -> int:
    """Return Σ values in units of 2^−1126.

    Args:
        values: (N,) finite float64.
    """
    return sum(_sum_of_part(values[start : start + ROWS_AT_ONCE]) for start in range(0, len(values), ROWS_AT_ONCE))


def _sum_of_part(values: Array) -> int:
    fractions, exponents = np.frexp(values)
    significands = np.ldexp(fractions, SIGNIFICAND_BITS).astype(np.int64)
    shifts = exponents + (UNIT_EXPONENT - SIGNIFICAND_BITS)
    upper = np.bincount(shifts, weights=significands >> HALF_BITS)
    lower = np.bincount(shifts, weights=significands & ((1 << HALF_BITS) - 1))
    return sum(
        ((int(upper[shift]) << HALF_BITS) + int(lower[shift])) << int(shift)
        for shift in np.flatnonzero((upper != 0) | (lower != 0))
    )


def units(value: float) -> int:
    """Return a finite float64 in units of 2^−1126."""
    numerator, denominator = value.as_integer_ratio()
    return (numerator << UNIT_EXPONENT) // denominator


def rounded(total: int) -> float:
    """Return the float64 nearest to a sum; ±∞ above the range."""
    try:
        return total / (1 << UNIT_EXPONENT)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def rounded_with_tail(total: int) -> tuple[float, tuple[float, ...]]:
    """Return the sum rounded, and its tail: the remainder, rounded, and again until none is left."""
    parts = []
    while total:
        parts.append(rounded(total))
        if not math.isfinite(parts[-1]):
            break
        total -= units(parts[-1])
    return (parts[0], tuple(parts[1:])) if parts else (0.0, ())


def sum_of_parts(parts: Iterable[float]) -> int:
    """Return the exact sum of a few numbers, such as sums and their tails, in units of 2^−1126."""
    return sum(map(units, parts))
