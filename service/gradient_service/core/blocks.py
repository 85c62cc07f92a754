"""Row blocks: where numbers lie in memory while they are worked on, and how they are summed.

A block has the logical shape (K, rows), classes first, so that a vector with one number a row broadcasts against it
and formulas read as they are written. In memory, long rows lie contiguous; short rows are transposed, because a
reduction along a short contiguous axis costs 40 times as much an element. The route is chosen by K alone, so that a
row's bits never depend on its neighbours.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

SHORT_ROW = 64
FEW_TERMS = 16
USUAL_BUFFER = 8192
"""What NumPy's arithmetic takes at a time, in numbers."""
BUFFER_STEP = 16
"""Buffers are multiples of it."""
SHORT_STRETCH = 256
"""To begin with such a stretch takes as long as to copy a number that often."""
BLOCK_BYTES = 256 * 1024
"""A block and its few companions stay in a second-level cache, and the Jacobians of its rows in memory."""

WIDE: np.dtype[np.floating] = np.dtype(np.longdouble)
"""For the few numbers that leave the range of float64: 15 bits of exponent, but where a platform has no such type."""

Array = NDArray[Any]
Rows = slice | NDArray[np.intp]
"""Some rows of a batch: those of a block, or single ones by number."""


def never_stops() -> None:
    """Let the work go on."""


def row_blocks(batch_size: int, num_classes: int, checkpoint: Callable[[], None] = never_stops) -> Iterator[slice]:
    """Yield the slices that cut N rows of K float64 numbers into blocks of about `BLOCK_BYTES`.

    The checkpoint is asked before each; what it raises ends the work.
    """
    rows = max(1, BLOCK_BYTES // (8 * num_classes))
    for start in range(0, batch_size, rows):
        checkpoint()
        yield slice(start, min(start + rows, batch_size))


def buffer_size(batch_size: int, num_classes: int) -> int:
    """Return how many numbers NumPy's arithmetic on such blocks should take at a time: one contiguous stretch of them.

    Where a block meets a vector with one number a row, and more than a stretch is taken at a time, NumPy first copies
    the vector's numbers as often as they are needed, which takes longer than the arithmetic.
    """
    rows = min(max(1, BLOCK_BYTES // (8 * num_classes)), batch_size)
    stretch = rows if num_classes < SHORT_ROW else num_classes
    return -(-stretch // BUFFER_STEP) * BUFFER_STEP if SHORT_STRETCH <= stretch < USUAL_BUFFER else USUAL_BUFFER


def block_of(rows: Array, dtype: DTypeLike) -> Array:
    """Copy rows (rows, K) of any memory layout into a fresh block (K, rows)."""
    if rows.shape[1] < SHORT_ROW:
        return rows.T.astype(dtype, order="C")
    return rows.astype(dtype, order="C").T


def zero_block(like: Array, shape: tuple[int, int], dtype: DTypeLike) -> Array:
    """Return a block (K, rows) of zeros in the memory layout of `block_of`, of the class of another array."""
    return np.zeros_like(like, dtype, order="C" if shape[0] < SHORT_ROW else "F", shape=shape)


def row_sum(terms: Array, *, has_digits_to_spare: bool = False) -> Array:
    """Sum over the classes, (K, rows) to (rows,), as a tree of halves, so that few roundings stand in a row.

    NumPy's own reduction adds up to 16 terms of a long row one after the other, which alone errs by 2 ulp, and all of a
    short one. It is several times as fast, and taken for long rows where these digits do not count. Folding a long row
    pays until few terms are left; these are transposed.
    """
    num_classes, rows = terms.shape
    if has_digits_to_spare and num_classes >= SHORT_ROW:
        return np.asanyarray(np.add.reduce(terms, axis=0))
    while num_classes > 1:
        half = (num_classes + 1) // 2
        pairs = num_classes - half
        is_transposed = half <= FEW_TERMS or terms.flags.c_contiguous
        folded = np.empty_like(terms, shape=(half, rows), order="C" if is_transposed else "F")
        np.add(terms[:pairs], terms[half:], out=folded[:pairs])
        if pairs < half:
            folded[pairs] = terms[pairs]
        terms, num_classes = folded, half
    return np.array(terms[0])


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
