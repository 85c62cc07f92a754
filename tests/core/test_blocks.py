"""Row blocks: how rows are cut, laid out, summed and reached one by one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from gradient_service.core.blocks import (
    BLOCK_BYTES,
    FEW_ROWS,
    SHORT_ROW,
    are_finite,
    block_of,
    first_largest,
    positions,
    put,
    row_blocks,
    row_sum,
    take,
    view_of,
    zero_block,
)

CLASS_COUNTS = (1, 2, 3, SHORT_ROW - 1, SHORT_ROW, 1000)


@pytest.mark.parametrize("num_classes", [1, 10, 1000, 10**6])
@pytest.mark.parametrize("batch_size", [0, 1, 5000])
def test_blocks_cover_every_row_once(batch_size: int, num_classes: int) -> None:
    """The slices follow each other from the first row to the last, none too big, none empty."""
    slices = list(row_blocks(batch_size, 8 * num_classes))
    assert [row for rows in slices for row in range(rows.start, rows.stop)] == list(range(batch_size))
    assert all(rows.stop - rows.start <= max(1, BLOCK_BYTES // (8 * num_classes)) for rows in slices)
    assert all(rows.stop > rows.start for rows in slices)


@pytest.mark.parametrize("num_classes", CLASS_COUNTS)
def test_a_block_is_a_fresh_transposed_copy(num_classes: int) -> None:
    """A block holds the rows as columns, in memory of its own, laid out by the number of classes."""
    rows = np.random.default_rng(1).normal(size=(9, num_classes))[::-2]
    block = block_of(rows, np.float32)
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block, rows.T.astype(np.float32))
    assert not np.shares_memory(block, rows)
    assert zero_block(rows, block.shape, np.float32).strides == block.strides


@pytest.mark.parametrize("num_classes", CLASS_COUNTS)
def test_elements_are_taken_and_put_by_position(num_classes: int) -> None:
    """`take` reads and `put` writes one element a row."""
    block = block_of(np.arange(5.0 * num_classes).reshape(5, num_classes), np.float64)
    classes = np.arange(5, dtype=np.intp) * 7 % num_classes
    where = positions(classes, num_classes)
    np.testing.assert_array_equal(take(block, where), block[classes, np.arange(5)])
    put(block, where, -1.0)
    assert (block[classes, np.arange(5)] == -1.0).all()
    assert (block == -1.0).sum() == 5


@pytest.mark.parametrize("num_classes", [*CLASS_COUNTS, 17, 4097])
def test_sums_over_classes_are_good_to_two_ulp(num_classes: int) -> None:
    """The sum errs by 2 ulp at most on numbers ≥ 0 and leaves its terms alone."""
    terms = block_of(np.random.default_rng(2).exponential(size=(3, num_classes)), np.float64)
    copy = terms.copy()
    sums = row_sum(terms)
    for row in range(3):
        exact = sum(map(Fraction, terms[:, row].tolist()), Fraction(0))
        assert abs(Fraction(float(sums[row])) - exact) <= 2 * Fraction(float(np.spacing(sums[row])))
    np.testing.assert_array_equal(terms, copy)


@pytest.mark.parametrize("num_classes", [SHORT_ROW, 1000])
def test_long_rows_add_up_to_the_same_bits_alone_and_together(num_classes: int) -> None:
    """A row's sum does not depend on the rows beside it, nor on how many numbers NumPy takes at a time."""
    terms = block_of(np.random.default_rng(3).exponential(size=(40, num_classes)), np.float64)
    alone = [row_sum(block_of(terms[:, [row]].T, np.float64))[0] for row in range(40)]
    for at_a_time in (16, 272, 8192):
        with np.errstate():
            np.setbufsize(at_a_time)
            np.testing.assert_array_equal(row_sum(terms), alone)


@pytest.mark.parametrize("rows", [FEW_ROWS - 1, 500])
@pytest.mark.parametrize("num_classes", CLASS_COUNTS)
def test_of_equal_numbers_the_first_is_the_largest(num_classes: int, rows: int) -> None:
    """The first class of the largest number is found, where a class is −∞, too."""
    numbers = np.random.default_rng(4).choice([-np.inf, 0.0, 1.0], size=(rows, num_classes))
    np.testing.assert_array_equal(first_largest(block_of(numbers, np.float64)), numbers.argmax(axis=1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_seen(bad: float) -> None:
    """A NaN or an infinity is seen among numbers that add up beyond the range, and these alone are finite."""
    numbers = np.full((7, 9), np.finfo(np.float32).max, np.float32)
    assert are_finite(numbers)
    numbers[3, 4] = bad
    assert not are_finite(numbers)
    assert not are_finite(np.array([[bad, -bad]]))


def test_rows_are_read_where_they_lie_if_they_lie_like_a_block() -> None:
    """Long contiguous rows of the right dtype are not copied; others are."""
    rows = np.ones((5, SHORT_ROW))
    assert np.shares_memory(view_of(rows[1:3], np.float64), rows)
    for other in (rows[::2], rows[:, ::-1], rows.astype(np.float32), np.ones((5, SHORT_ROW - 1))):
        block = view_of(other, np.float64)
        assert not np.shares_memory(block, other)
        assert block.strides == block_of(other, np.float64).strides


def test_the_sum_of_one_class_is_a_copy() -> None:
    """Writing into the sum of one class leaves the class as it was."""
    terms = np.ones((1, 3))
    row_sum(terms)[:] = 5.0
    assert terms.tolist() == [[1.0, 1.0, 1.0]]
