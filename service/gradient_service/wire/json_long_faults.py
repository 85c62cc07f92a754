"""What is wrong with a long JSON array, told piece by piece."""

from collections.abc import Iterator
from typing import Any

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.schemas.tensor import Tensor
from gradient_service.wire.json_document import LongArray, read_exactly
from gradient_service.wire.json_faults import IndexOf, element_faults, ragged, wrong_rank, wrong_row
from gradient_service.wire.json_grammar import Checkpoint, without_pause
from gradient_service.wire.json_long_array import ELEMENT, ROW, Reading
from gradient_service.wire.json_pieces import Piece
from gradient_service.wire.json_values import is_array, is_scalar_of


def long_faults(
    field: str,
    array: LongArray,
    tensor: Tensor,
    index_of: IndexOf = lambda position: (position,),
    checkpoint: Checkpoint = without_pause,
) -> Iterator[Fault]:
    """Yield what keeps an array from being one of its rank and kind, in document order; behind a wrong rank, anything.

    Args:
        field: whose value it is.
        array: the array.
        tensor: what it should be.
        index_of: returns the index in the field of a position in an array of rank 1.
        checkpoint: asked between two pieces.

    Raises:
        InvalidInputError: a piece is no JSON.
    """
    reading = Reading(tensor)
    for piece, text in array.texts():
        checkpoint()
        try:
            reading.read(piece, text)
        except InvalidInputError:
            raise
        except (TypeError, ValueError):
            values = read_exactly(text)
            if tensor.rank > 1:
                yield from _row_faults(field, values, piece, reading)
            else:
                own = values[piece.is_begun : len(values) - (piece.after == ROW)]
                yield from element_faults(field, own, tensor, _behind(reading.rows, index_of))
                reading.rows += len(own)


def _behind(start: int, index_of: IndexOf) -> IndexOf:
    return lambda position: index_of(start + position)


def _row_faults(field: str, rows: list[Any], piece: Piece, reading: Reading) -> Iterator[Fault]:
    """Yield the faults of a piece of rows, and go on behind it; what was open before it has been told."""
    for number, row in enumerate(rows):
        is_rest = number == 0 and piece.is_begun
        is_open = number == len(rows) - 1 and piece.goes_on
        if (is_rest and piece.before == ROW) or (is_open and piece.after == ROW):
            continue  # the array that completes the piece
        if is_array(row):
            own = row[is_rest : len(row) - (is_open and piece.after == ELEMENT)]
            start = reading.columns if is_rest else 0
            yield from element_faults(field, own, reading.tensor, _in_row(reading.rows, start))
            reading.columns = start + len(own)
            if not is_open:
                yield from _end_row(field, reading)
        elif is_scalar_of(row, reading.tensor.kind):
            yield wrong_rank(field, reading.tensor)
        elif not is_rest:
            yield wrong_row(field, reading.rows, reading.tensor)
        reading.rows += not is_open


def _in_row(row: int, start: int) -> IndexOf:
    return lambda position: (row, start + position)


def _end_row(field: str, reading: Reading) -> Iterator[Fault]:
    if reading.num_columns is None:
        reading.num_columns = reading.columns
    if reading.columns != reading.num_columns:
        yield ragged(field, reading.rows, reading.columns, reading.num_columns)
