"""Error-free transformations against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_service.core.error_free import sum_over_classes, two_difference, two_quotient, two_sum

MODERATE = st.floats(-1e150, 1e150)


def exactly(*parts: Any) -> Fraction:
    """The sum of floats as a fraction."""
    return sum((Fraction(float(part)) for part in parts), Fraction(0))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(MODERATE, MODERATE)
def test_a_difference_and_its_remainder_are_exact(left: float, right: float) -> None:
    """x − y = d + ρ exactly, d correctly rounded."""
    difference, remainder = two_difference(np.array([left]), np.array([right]))
    assert difference[0] == left - right
    assert exactly(difference[0], remainder[0]) == Fraction(left) - Fraction(right)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(MODERATE, MODERATE)
def test_a_sum_and_its_remainder_are_exact(left: float, right: float) -> None:
    """x + y = v + ρ exactly."""
    total, remainder = two_sum(np.array([left]), np.array([right]))
    assert exactly(total[0], remainder[0]) == Fraction(left) + Fraction(right)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.floats(1e-100, 1e100), st.floats(1.0, 2.0, exclude_max=True), st.floats(-0.5, 0.5))
def test_a_quotient_has_twice_the_digits(dividend: float, divisor: float, share: float) -> None:
    """(x + remainder) / m = v + ρ to about 2⁻¹⁰⁴."""
    remainder = share * float(np.spacing(dividend))
    quotient, rest = two_quotient(np.array([dividend]), np.array([remainder]), divisor)
    exact = exactly(dividend, remainder) / Fraction(divisor)
    assert abs(exactly(quotient[0], rest[0]) / exact - 1) <= Fraction(1, 2**103)


@pytest.mark.parametrize("num_classes", [1, 2, 3, 7, 64, 65, 1000])
def test_sums_over_classes_have_twice_the_digits(num_classes: int) -> None:
    """Σ over the first axis and what it left out agree with the exact sum to about 2⁻¹⁰⁰ of the magnitudes."""
    rng = np.random.default_rng(num_classes)
    terms = rng.normal(size=(num_classes, 4)) * 10.0 ** rng.uniform(-8, 8, (num_classes, 4))
    totals, left_out = sum_over_classes(terms)
    for column in range(4):
        exact = exactly(*terms[:, column])
        magnitude = exactly(*np.abs(terms[:, column]))
        assert abs(exactly(totals[column], left_out[column]) - exact) <= magnitude * Fraction(num_classes, 2**100)
