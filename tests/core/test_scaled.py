"""Numbers as m 2^e: products in and out of the range of float64."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_service.core.scaled import Scaled

POSITIVE = st.floats(1e-300, 1e300)


def exactly(factor: Scaled) -> Fraction:
    """The factor as a fraction."""
    return Fraction(float(factor.mantissa)) * Fraction(2) ** int(factor.exponent)


@settings(derandomize=True, deadline=None)
@given(POSITIVE, POSITIVE, POSITIVE)
def test_products_and_quotients_round_once_each(first: float, second: float, divisor: float) -> None:
    """Each multiplication and division errs by half an ulp at most, however far the result lies."""
    exact = Fraction(first) * Fraction(second) / Fraction(divisor)
    found = exactly(Scaled.of(first).times(second).over(divisor))
    assert abs(found / exact - 1) <= 2 * Fraction(1, 2**53) + Fraction(1, 2**100)


@pytest.mark.parametrize(("dtype", "exponent"), [(np.float32, -118), (np.float64, -1014)])
@pytest.mark.parametrize("num_classes", [3, 100])
def test_a_neighbour_with_a_far_factor_changes_no_bit(dtype: type[Any], exponent: int, num_classes: int) -> None:
    """Products below the range of ordinary numbers are rounded as often as if their row were alone."""
    generator = np.random.default_rng(0)
    values = (generator.random((num_classes, 50)) * np.exp2(-generator.integers(8, 20, (num_classes, 50)))).astype(
        dtype
    )
    mantissa = generator.uniform(0.5, 1, 51)
    exponents = np.full(51, exponent, np.int32)
    exponents[50] -= 4
    with_neighbour = np.column_stack([values, values[:, 0]])
    alone = Scaled(mantissa[:50], exponents[:50]).scaled(values)
    assert Scaled(mantissa, exponents).scaled(with_neighbour)[:, :50].tobytes() == alone.tobytes()
    assert (np.abs(alone) < np.finfo(dtype).tiny).any()


@settings(derandomize=True, deadline=None)
@given(POSITIVE, st.floats(1.0, 1e9))
def test_quotients_by_numbers_of_rows_round_once(number: float, divisor: float) -> None:
    """Each row's quotient errs by half an ulp at most."""
    quotient = Scaled.of(number).over_each(np.array([divisor]))
    found = exactly(Scaled(quotient.mantissa[0], quotient.exponent[0]))
    assert abs(found * Fraction(divisor) / Fraction(number) - 1) <= Fraction(1, 2**53)


def test_products_are_put_where_they_are_wanted() -> None:
    """A product stands in the array given, whether the factor is 1, ordinary, or beyond the range."""
    values = np.array([1e-200, 2e-200])
    for factor in (Scaled.of(1.0), Scaled.of(3.0), Scaled.of(1e200).times(1e200)):
        out = np.empty(2)
        assert factor.scaled(values, out) is out
        np.testing.assert_array_equal(out, factor.scaled(values))
        assert values.tolist() == [1e-200, 2e-200]


def test_intermediate_overflow_does_no_harm() -> None:
    """1e300 · 1e300 / 1e300 multiplies by 1e300, and the like below the range."""
    large = Scaled.of(1e300).times(1e300).over(1e300)
    small = Scaled.of(1e-300).times(1e-300).over(1e-300)
    assert large.scale(np.array([1.0]))[0] == pytest.approx(1e300, rel=4e-16)
    assert small.scale(np.array([1.0]))[0] == pytest.approx(1e-300, rel=4e-16)


def test_factors_beyond_the_range_meet_values_that_bring_them_back() -> None:
    """A factor of 1e400 times a value of 1e-200 is 1e200, a factor of 1e-400 times 1e200 is 1e-200."""
    large, small = Scaled.of(1e200).times(1e200), Scaled.of(1e-200).times(1e-200)
    assert large.scale(np.array([1e-200]))[0] == pytest.approx(1e200, rel=6e-16)
    assert small.scale(np.array([1e200]))[0] == pytest.approx(1e-200, rel=6e-16)


def test_one_changes_nothing() -> None:
    """A factor of 1 returns the values themselves."""
    values = np.array([np.inf, np.nan, 1.0])
    assert Scaled.of(1.0).scale(values) is values


def test_zero_gives_zero() -> None:
    """A factor 0 makes even infinity and NaN exactly +0."""
    with np.errstate(invalid="ignore"):  # as blocks are worked on
        found = Scaled.of(np.array([0.0, -0.0, 2.0])).scale(np.array([np.inf, -1.0, 3.0]))
    assert found.tolist() == [0.0, 0.0, 6.0]
    assert not np.signbit(found).any()


def test_division_by_zero_is_zero() -> None:
    """A mean over nothing multiplies by 0."""
    assert Scaled.of(np.array([1.0, 5.0])).over(0.0).value.tolist() == [0.0, 0.0]


def test_rows_have_factors_of_their_own() -> None:
    """A block's factors are those of its rows; one for all stays one for all."""
    factor = Scaled.of(np.array([1.0, 2.0, 4.0, 8.0]))
    assert factor[1:3].scale(np.ones((2, 2))).tolist() == [[2.0, 4.0], [2.0, 4.0]]
    assert Scaled.of(3.0)[1:3].scale(np.ones(2)).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("power", [0.0, 1.0, 699.5, 700.5, 745.0, 1399.0])
def test_exponentials_go_beyond_the_range(power: float) -> None:
    """exp(x) keeps its digits where float64 has no such number."""
    found = Scaled.exponential(np.array([power]), None).times(Scaled.exponential(np.array([0.0]), None))
    mantissa, exponent = float(found.mantissa[0]), int(found.exponent[0])
    assert math.log(mantissa) + exponent * math.log(2.0) == pytest.approx(power, rel=1e-14, abs=1e-15)


def test_single_precision_stays_single() -> None:
    """float32 values are scaled in float32, also by factors beyond its range."""
    values = np.array([1e-30], np.float32)
    found = Scaled.of(1e60).scale(values)
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(1e30, rel=2e-7)
