"""The arrays of a reply, filled block by block in the caller's dtype, and the promise that what leaves is finite."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gradient_service.core.blocks import SHORT_ROW, WIDE, Array, Rows, are_finite
from gradient_service.core.errors import Fault, first_true, raise_if_any
from gradient_service.core.inputs import Scores

PER_ROW = frozenset({"losses", "entropy", "log_normalizer", "predicted_labels"})
PER_PAIR_OF_CLASSES = frozenset({"jacobian"})
MADE_OF_JACOBIANS = frozenset({"jacobian", "gradient_by_chain_rule"})
REDUCED = frozenset({"loss", "summary"})
NUMBERS_BESIDE = 10
"""How many numbers a row has in vectors with one a row: of short rows about as many as in the arrays."""
INTEGER_DTYPES: dict[str, np.dtype[Any]] = {"predicted_labels": np.dtype(np.int64), "one_hot": np.dtype(np.uint8)}


class Outputs:
    """Named output arrays, (N,), (N, K) or (N, K, K).

    Args:
        names: of the outputs; those of numbers over the whole batch have no array.
        scores: what they are computed from.
        checkpoint: called before each output of a block is written: a long row is a block of its own.
    """

    def __init__(self, names: Collection[str], scores: Scores, checkpoint: Callable[[], None]) -> None:
        self._arrays = {name: _empty(name, scores) for name in names if is_array(name)}
        self._scores = scores
        self._checkpoint = checkpoint
        self._suspects: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name, of NumPy's own class."""
        return {name: np.asarray(array) for name, array in self._arrays.items()}

    def rounded(self, values: Array) -> Array:
        """Return values as they are reported, in the dtype of the logits, but not rounded a second time when used."""
        return values.astype(self._scores.logits.dtype).astype(values.dtype)

    def place(self, name: str, rows: Rows, dtype: DTypeLike) -> Array | None:
        """Return the rows that an output is written into, as a block (K, rows) to compute it in, sparing a copy.

        None where they are short and do not lie like a block, or are of another dtype than what is computed.
        """
        block = self._arrays[name][rows].T
        return block if len(block) >= SHORT_ROW and block.dtype == dtype else None

    def write(self, name: str, rows: Rows, values: Array) -> None:
        """Round values, rows first, into their rows of the output; remember what is not finite."""
        self._checkpoint()
        output = self._arrays[name]
        if values.dtype == WIDE:
            values = values.astype(output.dtype)  # slow where the range ends, and a long row has pieces here
        output[rows] = values  # NumPy does nothing where they are these rows already
        if name not in INTEGER_DTYPES and not are_finite(output[rows]):
            self._suspects.add(name)

    def are_finite(self, names: Collection[str]) -> bool:
        """Return whether all that was written of these outputs is finite, by all threads."""
        return self._suspects.isdisjoint(names)

    def rows_beyond_range(self, rows: slice, names: Collection[str]) -> NDArray[np.intp]:
        """Return the places in a block, (n,), where something that was written is not finite."""
        is_beyond = np.zeros(rows.stop - rows.start, dtype=bool)
        for name in self._suspects.intersection(names):
            is_beyond |= ~np.isfinite(self._arrays[name][rows]).reshape(len(is_beyond), -1).all(axis=1)
        return np.flatnonzero(is_beyond)

    def check_finite(self) -> None:
        """Raise `number-out-of-range` where an output left the range of its dtype.

        The −∞ log-probability of a masked class is no number out of range.
        """
        for name in sorted(self._suspects):
            is_bad = ~np.isfinite(self._arrays[name])
            mask = self._scores.mask(slice(None))
            if name == "log_probabilities" and mask is not None:
                is_bad &= np.broadcast_to(mask.T, is_bad.shape)
            raise_if_any(
                Fault(
                    code="number-out-of-range",
                    field="logits",
                    index=where[:2],
                    detail=f"{name} leaves the range of {self._arrays[name].dtype} here.",
                )
                for where in first_true(is_bad)
            )


def is_array(name: str) -> bool:
    """Return whether an output is an array; the others are numbers over the whole batch."""
    return name not in REDUCED


def shape_of(name: str, shape: tuple[int, int]) -> tuple[int, ...]:
    """Return the shape of an output array of N rows and K classes."""
    rows, num_classes = shape
    if name in PER_ROW:
        return (rows,)
    return (rows, num_classes, num_classes) if name in PER_PAIR_OF_CLASSES else (rows, num_classes)


def numbers_a_row(names: Collection[str], scores: Scores) -> int:
    """Return how many numbers a row has in the largest array that the outputs are made of."""
    return scores.num_classes if MADE_OF_JACOBIANS.isdisjoint(names) else scores.num_classes**2


def bytes_a_row(names: Collection[str], scores: Scores) -> int:
    """Return what a row takes, in the largest array that the outputs are made of and in vectors beside it."""
    return (numbers_a_row(names, scores) + NUMBERS_BESIDE) * scores.working_dtype.itemsize


def _empty(name: str, scores: Scores) -> Array:
    """Return an output array to be filled in, of the class of the logits."""
    dtype = INTEGER_DTYPES.get(name, scores.logits.dtype)
    return np.empty_like(scores.logits, dtype, order="C", shape=shape_of(name, scores.shape))
