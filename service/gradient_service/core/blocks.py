"""Row blocks: where numbers lie in memory while they are worked on, and how they are summed.

A block has the logical shape (K, rows), classes first, so that a vector with one number a row broadcasts against it
and formulas read as they are written. In memory, long rows lie contiguous; short rows are transposed, because a
reduction along a short contiguous axis costs 40 times as much an element. The route is chosen by K alone, so that a
row's bits never depend on its neighbours.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SHORT_ROW = 64
PIECE = 32
"""Of a long row; its terms are added at the speed of memory."""
FEW_ROWS = 64
USUAL_BUFFER = 8192
"""What NumPy's arithmetic takes at a time, in numbers."""
BUFFER_STEP = 16
"""Buffers are multiples of it."""
SHORT_STRETCH = 256
"""To begin with such a stretch takes as long as to copy a number that often."""
SUM_OF_ALL = ("->", "i->", "ij->", "ijk->")
"""By the number of axes."""
BLOCK_BYTES = 1024 * 1024
"""The few arrays of a block that are wanted at a time stay in a second-level cache. More blocks would be more calls of
NumPy, at each of which threads wait for each other."""

WIDE: np.dtype[np.floating] = np.dtype(np.longdouble)
"""For numbers that leave the range of float64, or need more digits: 15 bits of exponent and 64 of significand on most
machines, no more than float64 has where a platform has no such type."""

Array = NDArray[Any]
Rows = slice | NDArray[np.intp]
"""Some rows of a batch: those of a block, or single ones by number."""


def never_stops() -> None:
    """Let the work go on."""


def row_blocks(batch_size: int, bytes_a_row: int, checkpoint: Callable[[], None] = never_stops) -> Iterator[slice]:
    """Yield the slices that cut N rows into blocks of about `BLOCK_BYTES`.

    The checkpoint is asked before each; what it raises ends the work.
    """
    rows = max(1, BLOCK_BYTES // bytes_a_row)
    for start in range(0, batch_size, rows):
        checkpoint()
        yield slice(start, min(start + rows, batch_size))


def buffer_size(rows: int, num_classes: int) -> int:
    """Return how many numbers NumPy's arithmetic on a block should take at a time: one contiguous stretch of them.

    Where a block meets a vector with one number a row, and more than a stretch is taken at a time, NumPy first copies
    the vector's numbers as often as they are needed, which takes longer than the arithmetic.
    """
    stretch = rows if num_classes < SHORT_ROW else num_classes
    return -(-stretch // BUFFER_STEP) * BUFFER_STEP if SHORT_STRETCH <= stretch < USUAL_BUFFER else USUAL_BUFFER


def view_of(rows: Array, dtype: DTypeLike) -> Array:
    """Return rows (rows, K) as a block (K, rows) to read from: the rows themselves where they lie like one."""
    if rows.shape[1] >= SHORT_ROW and rows.dtype == dtype and rows.flags.c_contiguous:
        return rows.T
    return block_of(rows, dtype)


def block_of(rows: Array, dtype: DTypeLike) -> Array:
    """Copy rows (rows, K) of any memory layout into a fresh block (K, rows)."""
    if rows.shape[1] < SHORT_ROW:
        return rows.T.astype(dtype, order="C")
    return rows.astype(dtype, order="C").T


def zero_block(like: Array, shape: tuple[int, int], dtype: DTypeLike) -> Array:
    """Return a block (K, rows) of zeros in the memory layout of `block_of`, of the class of another array."""
    return np.zeros_like(like, dtype, order="C" if shape[0] < SHORT_ROW else "F", shape=shape)


def row_sum(terms: Array, *, has_digits_to_spare: bool = False) -> Array:
    """Sum over the classes, (K, rows) to (rows,), so that few roundings stand in a row.

    NumPy's own reduction adds up to 16 terms of a long row one after the other, which alone errs by 2 ulp, and all of a
    short one. It is the fastest, and taken for long rows where these digits do not count.
    """
    if len(terms) < SHORT_ROW:
        return _sum_of_halves(terms)
    if has_digits_to_spare:
        return np.asanyarray(np.add.reduce(terms, axis=0))
    return _sum_of_halves(_sums_of_pieces(np.ascontiguousarray(terms.T)))


def _sum_of_halves(terms: Array) -> Array:
    """Return Σ over the first axis as a tree."""
    length = (len(terms) + 1) // 2
    folded = terms[:length].copy()
    folded[: len(terms) - length] += terms[length:]
    while length > 1:
        half = (length + 1) // 2
        folded[: length - half] += folded[half:length]
        length = half
    return np.array(folded[0])


def _sums_of_pieces(rows: Array) -> Array:
    """Return the sum of each `PIECE` of each row, (rows, K) to (pieces, rows); four of its terms stand in a row."""
    num_pieces, rest = divmod(rows.shape[1], PIECE)
    pieces = rows[:, : num_pieces * PIECE].reshape(len(rows), num_pieces, PIECE)
    sums = np.empty_like(rows, shape=(num_pieces + bool(rest), len(rows)), order="C")
    sums[:num_pieces] = np.einsum("npj->pn", pieces)
    if rest:
        sums[num_pieces] = np.einsum("nj->n", rows[:, -rest:])
    return sums


def first_largest(block: Array) -> NDArray[np.intp]:
    """Return the first class with the largest number of each row, (K, rows) to (rows,).

    NumPy's own search goes through short rows one by one, which takes longer than all the rest that is done with them.
    """
    num_classes, rows = block.shape
    if num_classes >= SHORT_ROW or rows < FEW_ROWS:
        return np.asanyarray(block.argmax(axis=0))
    is_largest = block == np.maximum.reduce(block, axis=0)
    ranks = np.arange(num_classes, 0, -1, dtype=np.uint8)[:, np.newaxis]
    return num_classes - np.multiply(is_largest, ranks).max(axis=0).astype(np.intp)


def are_finite(values: Array) -> bool:
    """Return whether all numbers are finite, in one pass without temporaries.

    A NaN or an infinity reaches the sum. So does nothing else, unless ordinary numbers add up beyond the range.
    """
    return math.isfinite(np.einsum(SUM_OF_ALL[values.ndim], values)) or bool(np.isfinite(values).all())


def positions(classes: NDArray[np.intp], num_classes: int) -> NDArray[np.intp]:
    """Return where element (classes[n], n) of a block lies in its memory; for `take` and `put`."""
    rows = np.arange(len(classes), dtype=np.intp)
    if num_classes < SHORT_ROW:
        return classes * len(classes) + rows
    return rows * num_classes + classes


def take(block: Array, where: NDArray[np.intp]) -> Array:
    """Return one element a row, (rows,), from its memory positions."""
    return np.asanyarray(block.ravel(order="K").take(where))


def put(block: Array, where: NDArray[np.intp], values: Array | float) -> None:
    """Set one element a row, in place, at its memory positions."""
    block.ravel(order="K")[where] = values
