"""Long JSON arrays to NumPy arrays, piece by piece."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.schemas.tensor import Tensor
from gradient_service.wire.json_document import LongArray, parse_or_read
from gradient_service.wire.json_grammar import Checkpoint, without_pause
from gradient_service.wire.json_pieces import Piece
from gradient_service.wire.json_values import DTYPES, PieceParser, flat_values

ROW, ELEMENT = b"[", b"[["
"""What is open, the array itself included, where a piece begins or ends between two of its rows, or within one."""


def read_long(array: LongArray, tensor: Tensor, checkpoint: Checkpoint = without_pause) -> NDArray[Any]:
    """Read an array of rank 1 or 2.

    Raises:
        TypeError, ValueError: an element has another type or rank, or rows differ in length.
    """
    values = np.empty(array.most_elements, DTYPES[tensor.kind])
    size, reading = 0, Reading(tensor)
    for piece, text in array.texts():
        checkpoint()
        scalars = reading.read(piece, text)
        values[size : size + len(scalars)] = scalars
        size += len(scalars)
    return values[:size].reshape((reading.rows, reading.num_columns or 0) if tensor.rank > 1 else size)


@dataclass(slots=True)
class Reading:
    """How far an array has been read, piece by piece."""

    tensor: Tensor
    rows: int = 0
    """Rows that have ended, or elements of a vector."""
    columns: int = 0
    """Elements of the row that is open."""
    num_columns: int | None = None
    """Elements of the first row."""
    _parser: PieceParser = field(default_factory=PieceParser)

    def read(self, piece: Piece, text: bytes) -> NDArray[Any]:
        """Return the scalars of the next piece, and go on behind it.

        Raises:
            TypeError, ValueError: an element has another type or rank, or rows differ in length; nothing goes on.
        """
        values = parse_or_read(text, self._parser.parse)
        lengths, num_arrays = _lengths(piece, values) if self.tensor.rank > 1 else ([], _num_arrays(piece))
        if text.count(b"[") != num_arrays:
            raise ValueError  # an array stands among the scalars, which the flat buffer does not show
        if isinstance(values, list):
            _take_out_completion(piece, values, self.tensor.rank)  # a parser's flat buffer shows nothing of it
        scalars = flat_values(values, self.tensor.kind)
        if self.tensor.rank > 1:
            self._end_rows(piece, lengths)
        else:
            self.rows += len(scalars)
        return scalars

    def _end_rows(self, piece: Piece, lengths: list[int]) -> None:
        """Go on behind rows of these lengths."""
        if piece.before == ELEMENT:
            lengths[0] += self.columns
        columns = lengths.pop() if piece.after == ELEMENT else 0
        num_columns = lengths[0] if self.num_columns is None and lengths else self.num_columns
        if lengths.count(num_columns or 0) != len(lengths):
            raise ValueError
        self.rows, self.columns, self.num_columns = self.rows + len(lengths), columns, num_columns


def _num_arrays(piece: Piece) -> int:
    """Return how many arrays a vector's piece has: itself, and what completes it."""
    if not {piece.before, piece.after} <= {b"", ROW}:
        raise ValueError
    return 1 + piece.is_begun + piece.goes_on


def _lengths(piece: Piece, rows: Any) -> tuple[list[int], int]:
    """Return how many elements each row has in a piece, and how many arrays there are with what completes it."""
    if not {piece.before, piece.after} <= {b"", ROW, ELEMENT}:
        raise ValueError
    lengths = [len(row) for row in rows]
    num_arrays = 1 + len(lengths) + (piece.before == ELEMENT) + (piece.after == ELEMENT)
    lengths[0] -= piece.before == ELEMENT
    lengths[-1] -= piece.after == ELEMENT
    return lengths[piece.before == ROW : len(lengths) - (piece.after == ROW)], num_arrays


def _take_out_completion(piece: Piece, values: list[Any], rank: int) -> None:
    """Remove the empty arrays that complete a piece from where the scalars are."""
    first, last = (values, values) if rank == 1 else (values[0], values[-1])
    if len(piece.before) == rank:
        del first[0]
    if len(piece.after) == rank:
        del last[-1]
