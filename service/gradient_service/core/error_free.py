"""Error-free transformations: a rounded result together with what rounding left out.

Source: Knuth, TAOCP vol. 2, 4.2.2 (TwoSum); Dekker, Numer. Math. 18 (1971) (TwoProduct by splitting).
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
VELTKAMP_SPLITTER = 134217729.0  # 2^27 + 1 halves a 53-bit significand


def two_difference(minuend: Doubles, subtrahend: Doubles) -> tuple[Doubles, Doubles]:
    """Return d = fl(x − y) and ρ with x − y = d + ρ exactly, where nothing overflows."""
    difference = minuend - subtrahend
    virtual = difference - minuend
    remainder = minuend - (difference - virtual)
    remainder -= subtrahend + virtual
    return difference, remainder


def two_sum(left: Doubles, right: Doubles) -> tuple[Doubles, Doubles]:
    """Return v = fl(x + y) and ρ with x + y = v + ρ exactly, where nothing overflows."""
    return two_difference(left, -right)


def sum_over_classes(terms: Doubles) -> tuple[Doubles, Doubles]:
    """Return Σ over the first axis as a rounded sum and what it left out, to about twice the precision.

    A tree of halves with every rounding error carried along; (K, rows) to two (rows,).
    """
    errors = np.zeros(terms.shape[1])
    while len(terms) > 1:
        half = len(terms) // 2
        folded, left_out = two_sum(terms[:half], terms[half : 2 * half])
        errors += left_out.sum(axis=0)
        terms = np.concatenate([folded, terms[2 * half :]])
    return two_sum(terms[0], errors)


def two_quotient(dividend: Doubles, remainder: Doubles, divisor: float) -> tuple[Doubles, Doubles]:
    """Return v = fl(x / m) and ρ with (x + remainder) / m = v + ρ to twice the precision, for 1 ≤ m < 2."""
    quotient = dividend / divisor
    product = quotient * divisor
    high, low = _split(quotient)
    divisor_high, divisor_low = _split(np.asarray(divisor))
    error = high * divisor_high - product
    error += high * divisor_low
    error += low * divisor_high
    error += low * divisor_low
    return quotient, ((dividend - product) - error + remainder) / divisor


def _split(value: Doubles) -> tuple[Doubles, Doubles]:
    """Return the upper and lower half of each significand: x = high + low exactly."""
    scaled = value * VELTKAMP_SPLITTER
    high = scaled - (scaled - value)
    return high, value - high
