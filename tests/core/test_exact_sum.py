"""Exact sums against rational arithmetic: subnormals, extremes, cancellation, order."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_service.core.exact_sum import (
    ROWS_AT_ONCE,
    UNIT_EXPONENT,
    exact_sum,
    rounded,
    rounded_with_tail,
    sum_of_parts,
    units,
)
from tests.reference.ulp import expand

LEAST, MOST = 5e-324, float(np.finfo(np.float64).max)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
CASES = {
    "nothing": [],
    "zeros": [0.0, -0.0],
    "subnormals": [LEAST, LEAST, 3 * LEAST, -LEAST],
    "largest and smallest": [MOST, LEAST],
    "largest three times": [MOST, MOST, MOST],
    "cancellation": [1e300, 1.0, -1e300, LEAST],
    "halfway": [1.0, 2.0**-53],
    "just above halfway": [1.0, 2.0**-53, LEAST],
    "tenths": [0.1] * 10,
    "all exponents": [math.ldexp(1.0, exponent) for exponent in range(-1074, 1023)],
}


def exactly(values: list[float]) -> Fraction:
    """The sum as a fraction."""
    return sum((Fraction(value) for value in values), Fraction(0))


@pytest.mark.parametrize("name", CASES)
def test_hard_sums(name: str) -> None:
    """The sum of a hard case is exact."""
    assert Fraction(exact_sum(np.array(CASES[name], dtype=float)), 1 << UNIT_EXPONENT) == exactly(CASES[name])


def test_what_lies_below_the_range_has_no_tail() -> None:
    """A remainder that no float64 holds ends the tail, in place of being taken away for ever."""
    assert rounded_with_tail(1) == (0.0, ())
    assert rounded_with_tail(units(1.0) + 1) == (1.0, ())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(FLOATS, max_size=30))
def test_any_sum(values: list[float]) -> None:
    """The sum of any floats is exact."""
    assert Fraction(exact_sum(np.array(values, dtype=float)), 1 << UNIT_EXPONENT) == exactly(values)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(FLOATS, max_size=20))
def test_a_sum_in_range_is_rounded_correctly(values: list[float]) -> None:
    """The rounded sum equals that of `math.fsum` where it is in range."""
    try:
        expected = math.fsum(values)
    except OverflowError:
        return
    assert rounded(exact_sum(np.array(values, dtype=float))) == expected


def test_order_does_not_matter() -> None:
    """Any order of the numbers gives the same integer."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=5000) * 10.0 ** rng.uniform(-300, 300, 5000)
    assert exact_sum(values) == exact_sum(rng.permutation(values)) == exact_sum(np.sort(values))


def test_parts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums taken a few rows at once equal the sum of all, with a checkpoint before each."""
    values = np.random.default_rng(4).normal(size=1000)
    whole = exact_sum(values)
    monkeypatch.setattr("gradient_service.core.exact_sum.ROWS_AT_ONCE", 7)
    asked: list[None] = []
    assert exact_sum(values, lambda: asked.append(None)) == whole
    assert len(asked) == 143
    assert ROWS_AT_ONCE <= 1 << 25


def test_strided_numbers() -> None:
    """Numbers that lie backwards or apart in memory have the same sum."""
    values = np.random.default_rng(5).normal(size=(40, 3))
    assert exact_sum(values[::-1, 1]) == exact_sum(values[:, 1].copy())


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.floats(-1e300, 1e300), max_size=12))
def test_a_sum_and_its_tail_are_the_exact_sum(values: list[float]) -> None:
    """The sum rounded and its tail are the expansion of the exact sum, each part the rest correctly rounded."""
    total = exact_sum(np.array(values, dtype=float))
    first, tail = rounded_with_tail(total)
    assert [first, *tail] == expand(values)
    assert sum_of_parts([first, *tail]) == total


def test_a_sum_above_the_range_is_infinite() -> None:
    """Sums beyond the largest float round to an infinity of their sign, without a tail."""
    assert rounded(exact_sum(np.array([MOST, MOST]))) == math.inf
    assert rounded(exact_sum(np.array([-MOST, -MOST]))) == -math.inf
    assert rounded_with_tail(exact_sum(np.array([MOST, MOST]))) == (math.inf, ())


@settings(deadline=None)
@given(FLOATS)
def test_units_and_rounding_are_inverse(value: float) -> None:
    """A float counted in units rounds to itself."""
    assert rounded(units(value)) == value
