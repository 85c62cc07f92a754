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
    remainder = difference - virtual
    np.subtract(minuend, remainder, out=remainder)
    virtual += subtrahend
    remainder -= virtual
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


def two_product(left: Doubles, right: Doubles) -> tuple[Doubles, Doubles]:
    """Return v = fl(x y) and ρ with x y = v + ρ exactly, where nothing leaves the range on the way."""
    product = left * right
    left_high, left_low = _split(left)
    right_high, right_low = _split(right)
    error = left_high * right_high - product
    error += left_high * right_low
    error += left_low * right_high
    error += left_low * right_low
    return product, error


def two_quotient(dividend: Doubles, remainder: Doubles, divisor: float) -> tuple[Doubles, Doubles]:
    """Return v = fl(x / m) and ρ with (x + remainder) / m = v + ρ to twice the precision, for 1/2 < m < 2."""
    quotient = dividend / divisor
    product, error = two_product(quotient, np.asarray(divisor))
    return quotient, ((dividend - product) - error + remainder) / divisor


def _split(value: Doubles) -> tuple[Doubles, Doubles]:
    """Return the upper and lower half of each significand: x = high + low exactly."""
    scaled = value * VELTKAMP_SPLITTER
    high = scaled - (scaled - value)
    return high, value - high
