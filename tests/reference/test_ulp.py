"""The yardstick itself: rounding and error counts against plain fractions and Python's own conversions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp

from tests.reference.ulp import (
    expand,
    is_lost,
    round_array,
    round_exactly,
    surviving_gap,
    ulp_error,
    ulp_exponent,
)

DECIMALS = ["0.1", "1e23", "9007199254740993", "2.2250738585072011e-308", "4.9e-324", "2.5e-324", "1.8e308"]
HALFWAY = Fraction(1) + Fraction(1, 2**53)


def mpf_of(fraction: Fraction) -> object:
    """The fraction, of power-of-two denominator, as an mpf without rounding."""
    return mp.ldexp(mp.mpf(fraction.numerator), 1 - fraction.denominator.bit_length())


@pytest.mark.parametrize("decimal", DECIMALS)
def test_decimals_round_as_float_reads_them(decimal: str) -> None:
    """A decimal known to 2000 bits rounds to float64 as Python reads it."""
    with mp.workprec(2000):
        value = mp.mpf(decimal)
    assert round_exactly(value, np.float64) == float(decimal)


def test_random_numbers_round_as_fractions_do() -> None:
    """Four hundred random 200-bit numbers over the whole exponent range round as `Fraction` converts."""
    rng = np.random.default_rng(7)
    for exponent in rng.integers(-1300, 820, 400).tolist():
        numerator = int.from_bytes(rng.bytes(25), "big")
        with mp.workprec(256):
            value = mp.ldexp(mp.mpf(numerator), exponent)
        assert round_exactly(-value, np.float64) == -float(numerator * Fraction(2) ** exponent)


@pytest.mark.parametrize("exponent", [-160, -150, -149, -140, -126, 0, 100, 127])
def test_float64_numbers_round_to_float32_as_numpy_does(exponent: int) -> None:
    """Float64 numbers round to float32, subnormals and overflow included, as NumPy rounds them."""
    numbers = np.ldexp(np.random.default_rng(3).uniform(1, 2.2, 50), exponent)
    with np.errstate(over="ignore"):
        expected = numbers.astype(np.float32)
    rounded = round_array(np.array([mp.mpf(number) for number in numbers]), np.float32)
    np.testing.assert_array_equal(rounded, expected)


@pytest.mark.parametrize(("steps", "expected"), [(0, 1.0), (2, 1 + 2**-51)])
def test_ties_round_to_even(steps: int, expected: float) -> None:
    """A number halfway between two float64 goes to the one with the even last bit."""
    with mp.workprec(200):
        halfway = mpf_of(HALFWAY + Fraction(steps, 2**53))
    assert round_exactly(halfway, np.float64) == expected


def test_just_above_a_tie_rounds_up() -> None:
    """One bit three hundred places further down breaks a tie."""
    with mp.workprec(600):
        value = mpf_of(HALFWAY + Fraction(1, 2**400))
    assert round_exactly(value, np.float64) == math.nextafter(1, 2)


def test_half_the_smallest_subnormal_rounds_to_zero() -> None:
    """The tie below the smallest subnormal goes to 0, anything more to the subnormal."""
    half = mp.ldexp(mp.mpf(1), -1075)
    assert round_exactly(half, np.float64) == 0
    assert round_exactly(half * mp.mpf(1.0000001), np.float64) == 5e-324


def test_unboundedly_small_and_large_numbers_round() -> None:
    """Numbers with exponents near ±1e308 round to 0 and to infinity."""
    with mp.workprec(1400):
        assert round_exactly(mp.exp(mp.mpf(-1e308)), np.float64) == 0
        assert round_exactly(-mp.exp(mp.mpf(1e308)), np.float32) == -math.inf


@pytest.mark.parametrize("magnitude", [1.0, 1.999, 2.0, 1e300, 1e-300, 2.3e-308, 1e-310, 5e-324])
def test_spacing_is_that_of_numpy(magnitude: float) -> None:
    """The exponent of an ulp is that of NumPy's spacing."""
    assert math.ldexp(1.0, ulp_exponent(mp.mpf(magnitude), np.float64)) == np.spacing(magnitude)


def test_a_neighbour_is_one_ulp_away() -> None:
    """The next float64 after an exact value is 1 ulp wrong."""
    assert ulp_error(np.array([math.nextafter(3.0, 4.0)]), [mp.mpf(3)], dtype=np.float64) == [1.0]


def test_an_ulp_just_below_a_power_of_two_is_the_smaller_one() -> None:
    """The exact value's own binade counts, even where it rounds into the next."""
    with mp.workprec(400):
        exact = mp.mpf(1) - mp.ldexp(1, -300)
    assert ulp_error(np.array([1.0 + 2**-52]), [exact], dtype=np.float64) == pytest.approx([2.0])


def test_size_replaces_a_smaller_exact_value() -> None:
    """An error is counted in ulps of the size where the exact value is smaller."""
    assert ulp_error(np.array([2.0**-52]), [mp.mpf(0)], dtype=np.float64, size=mp.mpf(1)) == [1.0]


def test_no_ulp_is_below_the_floor() -> None:
    """An error of eight smallest subnormals is 2 ulp under a floor of four."""
    assert ulp_error(np.array([8 * 5e-324]), [mp.mpf(0)], dtype=np.float64, floor=4) == [2.0]


def test_infinities_and_nan() -> None:
    """Equal infinities and a true overflow are right; NaN and other infinities are infinitely wrong."""
    computed = np.array([-np.inf, np.inf, np.nan, np.inf, 0.0])
    exact = [-mp.inf, mp.ldexp(1, 1024), mp.mpf(1), mp.mpf(1), -mp.inf]
    errors = ulp_error(computed, exact, dtype=np.float64)
    np.testing.assert_array_equal(errors, [0, 0, np.inf, np.inf, np.inf])


def test_lost_numbers_are_found() -> None:
    """A zero for a normal number, a NaN and a spurious infinity are lost; a true zero or infinity is not."""
    computed = np.array([0.0, np.nan, np.inf, 0.0, 0.0, -np.inf])
    exact = np.array([mp.mpf(1e-300), mp.mpf(1), mp.mpf(1), mp.mpf(0), mp.mpf(1e-320), -mp.inf])
    assert is_lost(computed, exact, np.float64).tolist() == [True, True, True, False, False, False]


def test_shapes_must_agree() -> None:
    """An answer of another shape is refused, not broadcast."""
    with pytest.raises(ValueError, match="computed"):
        ulp_error(np.zeros(2), np.full((2, 2), mp.mpf(0)), dtype=np.float64)


def test_an_expansion_loses_nothing() -> None:
    """The parts of an exact sum add up to it, and the first is its correct rounding."""
    numbers = [1e300, 1.0, -1e300, 1e-300, 0.1] * 3
    parts = expand(numbers)
    assert parts[0] == math.fsum(numbers)
    assert sum(map(Fraction, parts)) == sum(map(Fraction, numbers))


@pytest.mark.parametrize(("dtype", "gap"), [(np.float32, 100.0), (np.float64, 740.0)])
def test_the_surviving_gap_leaves_out_what_underflows(dtype: type, gap: float) -> None:
    """Gaps whose exponentials round to 0 in the dtype do not count, masked classes neither."""
    logits = np.array([[5.0, -95.0, -735.0, -1e308, -np.inf]])
    assert surviving_gap(logits, dtype).tolist() == [gap]
