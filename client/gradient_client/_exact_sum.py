"""Sums without rounding: what stands between the sums of chunks and the sum of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Exponents = NDArray[np.int32]

_FEW_NUMBERS = 1024
# Of the bits of a float64, those of its upper half, by T. J. Dekker, A floating-point technique, 1971.
_SPLITTER = 2.0**27 + 1.0


def two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a + b rounded, and what rounding left out, by D. E. Knuth, The Art of Computer Programming 2, 4.2.2."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def scaled_product(a: Floats, b: Floats) -> tuple[Floats, Floats, Exponents]:
    """a · b rounded, and what rounding left out, of any size: both over the power of two whose exponent is the last."""
    (a_part, a_exponent), (b_part, b_exponent) = np.frexp(a), np.frexp(b)
    return *_two_product(a_part, b_part), a_exponent + b_exponent


def _two_product(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    product = a * b
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _upper_half(a: Floats) -> Floats:
    shifted = _SPLITTER * a
    high: Floats = shifted - (shifted - a)
    return high


def exact_sum(arrays: Iterable[Floats]) -> float:
    """The correctly rounded sum of all numbers of some arrays, (N,) each.

    Raises:
        OverflowError: it leaves the range of float64.
    """
    values = np.concatenate([*arrays])
    while len(values) > _FEW_NUMBERS:
        half = len(values) // 2
        sums, left_out = two_sum(values[:half], values[half : 2 * half])
        fewer = np.concatenate([sums, left_out[left_out != 0], values[2 * half :]])
        # Numbers of very different sizes leave something out each time; fsum takes any, but one by one.
        if len(fewer) > 0.9 * len(values) or not np.isfinite(sums).all():
            break
        values = fewer
    return math.fsum(values)


def rounded_with_tail(numbers: Iterable[float]) -> tuple[float, tuple[float, ...]]:
    """The sum rounded, and its tail: the remainder, rounded, and again until none is left.

    Raises:
        OverflowError: it leaves the range of float64.
    """
    total, *tail = [*_parts([*numbers])] or [0.0]
    return total, tuple(tail)


def _parts(numbers: list[float]) -> Iterator[float]:
    while part := math.fsum(numbers):
        yield part
        numbers.append(-part)
