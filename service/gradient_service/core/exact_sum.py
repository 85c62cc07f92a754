"""Sums without rounding: the same bits for any order, chunking or number of threads.

Every number m 2^e is an integer times a power of two. The significands are added as integers, one sum for each
exponent, and the sums joined in one Python integer; it is rounded once, and what rounding left out can be listed.
"""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from operator import lshift

import numpy as np

from gradient_service.core.blocks import Array, never_stops
from gradient_service.core.scaled import Scaled

UNIT_EXPONENT = 4096
"""Integers count units of 2^−4096: below the last digit of a product of three float64 numbers."""
SIGNIFICAND_BITS = 53
HALF_BITS = 26
LEADING_BITS = 64
"""Of a sum; a float64 holds fewer, and what follows them can only break a tie."""
FEW_ROWS = 64
"""Added one after the other as Python's integers; more are worth NumPy's calls."""
FEW_NUMBERS = 1024
"""Added by the library's own exact sum."""
MOST_OF_FEW = sys.float_info.max_exp - 11
"""Above the exponents of numbers of which so many add up within the range."""
ROWS_AT_ONCE = 1 << 20
"""Between two checkpoints. 27-bit halves of up to 2^25 rows add up below 2^53, where float64 counts exactly."""


def exact_sum(values: Array | Scaled, checkpoint: Callable[[], None] = never_stops) -> int:
    """Return Σ values in units.

    Args:
        values: (N,) finite float64, or as many m 2^e.
        checkpoint: called before each part of them; what it raises ends the work.
    """
    scaled = Scaled.of(values)
    if not len(scaled.mantissa):
        return 0
    starts = range(0, len(scaled.mantissa), ROWS_AT_ONCE)
    return sum(_sum_of_part(scaled[start : start + ROWS_AT_ONCE], checkpoint) for start in starts)


def _sum_of_part(values: Scaled, checkpoint: Callable[[], None]) -> int:
    checkpoint()
    significands = np.ldexp(values.mantissa, SIGNIFICAND_BITS).astype(np.int64)
    least = int(values.exponent.min())
    shifts = values.exponent - least
    if len(shifts) <= FEW_ROWS:
        total = sum(map(lshift, significands.tolist(), shifts.tolist()))
    else:
        upper = np.bincount(shifts, weights=significands >> HALF_BITS)
        lower = np.bincount(shifts, weights=significands & ((1 << HALF_BITS) - 1))
        total = sum(
            ((int(upper[shift]) << HALF_BITS) + int(lower[shift])) << shift
            for shift in np.flatnonzero((upper != 0) | (lower != 0)).tolist()
        )
    place = least + UNIT_EXPONENT - SIGNIFICAND_BITS
    return total << place if place >= 0 else total >> -place


class Total:
    """An exact sum: in units, or as floats that add up to it, whichever is found sooner, and the other where needed.

    Args:
        units: the sum.
        parts: in place of it, the sum rounded, the remainder rounded, and so on until none is left; none for 0.
    """

    def __init__(self, *, units: int = 0, parts: tuple[float, ...] | None = None) -> None:
        self._units = units
        self._parts = parts
        self.nearest: float = rounded(units) if parts is None else parts[0] if parts else 0.0
        """The float64 nearest to the sum; ±∞ above the range."""

    def __eq__(self, other: object) -> bool:
        """Whether it is kept as the same numbers: then it is the same sum."""
        return isinstance(other, Total) and (self._units, self._parts) == (other._units, other._parts)

    def __hash__(self) -> int:
        """Return what is the same of equal ones."""
        return hash((self._units, self._parts))

    @classmethod
    def of_few(cls, numbers: Iterable[float]) -> "Total":
        """Return the sum of numbers that `few_numbers` gives."""
        return cls(parts=tuple(_parts([*numbers])))

    @staticmethod
    @lru_cache(maxsize=256, typed=True)  # counts and sums of weights are the same again and again
    def number(value: float) -> "Total":
        """Return a finite float64 as a sum."""
        return Total(parts=(value,) if value else ())

    @property
    def units(self) -> int:
        """The sum in units."""
        return self._units if self._parts is None else sum_of_parts(self._parts)

    @property
    def with_tail(self) -> tuple[float, tuple[float, ...]]:
        """The sum rounded, and its tail: the remainder, rounded, and again until none is left."""
        if self._parts is None:
            return rounded_with_tail(self._units)
        return (self._parts[0], self._parts[1:]) if self._parts else (0.0, ())

    @property
    def is_ordinary(self) -> bool:
        """Whether that is a number with all its digits."""
        return sys.float_info.min <= abs(self.nearest) <= sys.float_info.max

    def over(self, divisor: "Total") -> float:
        """Return the quotient: of the rounded sums where these are ordinary, else of the sums themselves."""
        if self.is_ordinary and divisor.is_ordinary:
            return self.nearest / divisor.nearest
        return _divided(self.units, divisor.units)

    def scaled(self) -> Scaled:
        """Return it as m 2^e, whatever its size."""
        if self.is_ordinary:
            return Scaled.of(self.nearest)
        surplus = max(self.units.bit_length() - 2 * SIGNIFICAND_BITS, 0)
        number = Scaled.of(float(self.units >> surplus))
        return Scaled(number.mantissa, number.exponent + surplus - UNIT_EXPONENT)


def few_numbers(values: Scaled) -> list[float] | None:
    """Return numbers, (N,), if they are few, all finite, with all their digits, and add up within the range."""
    exponents = values.exponent.tolist() if len(values.mantissa) <= FEW_NUMBERS else []
    if not exponents or min(exponents) <= sys.float_info.min_exp or max(exponents) >= MOST_OF_FEW:
        return None
    numbers: list[float] = np.ldexp(values.mantissa, values.exponent).tolist()
    return numbers if math.isfinite(sum(numbers)) else None


def _parts(numbers: list[float]) -> Iterator[float]:
    """Yield the sum rounded, the remainder rounded, and so on; the library's sum is exact but for its last rounding."""
    while part := math.fsum(numbers):
        yield part
        numbers.append(-part)


def _divided(dividend: int, divisor: int) -> float:
    """Return the float64 nearest to the quotient of two integers; ±∞ above the range."""
    try:
        return dividend / divisor
    except OverflowError:
        return math.inf if (dividend > 0) == (divisor > 0) else -math.inf


def units(value: float) -> int:
    """Return a finite float64 in units."""
    return _units(*math.frexp(value))


def _units(mantissa: float, exponent: int) -> int:
    """Return m 2^e in units."""
    significand, place = int(mantissa * (1 << SIGNIFICAND_BITS)), exponent + UNIT_EXPONENT - SIGNIFICAND_BITS
    return significand << place if place >= 0 else significand >> -place


def rounded(total: int) -> float:
    """Return the float64 nearest to a sum; ±∞ above the range."""
    surplus = total.bit_length() - LEADING_BITS
    if surplus <= UNIT_EXPONENT + sys.float_info.min_exp - LEADING_BITS:
        return _divided(total, 1 << UNIT_EXPONENT)
    leading = total >> surplus
    if leading << surplus != total:
        leading |= 1  # one bit stands for all that follow, which matter to a tie only
    try:
        return math.ldexp(leading, surplus - UNIT_EXPONENT)
    except OverflowError:
        return math.copysign(math.inf, leading)


def rounded_with_tail(total: int) -> tuple[float, tuple[float, ...]]:
    """Return the sum rounded, and its tail: the remainder, rounded, and again until none is left that float64 holds."""
    parts: list[float] = []
    while part := rounded(total):
        parts.append(part)
        if not math.isfinite(part):
            break
        total -= units(part)
    return (parts[0], tuple(parts[1:])) if parts else (0.0, ())


def sum_of_parts(parts: Iterable[float]) -> int:
    """Return the exact sum of a few numbers, such as sums and their tails, in units."""
    return sum(map(units, parts))
