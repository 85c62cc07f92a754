"""Arrays in `.npy` files: the logits in the file that is named first, any other column in a file of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.records import record
from gradient_service.scoring.errors import ScoringError
from gradient_service.scoring.sources import even_cuts

OWN = "logits"
"""The column that the first file is; other names are paths."""


@record()
class NumpyFiles:
    """Columns that are files."""

    path: Path
    folder: Path
    """Where other paths begin."""

    def files(self, columns: Sequence[str]) -> list[Path]:
        """Return the file of each column."""
        return [self._path(column) for column in columns]

    def names(self) -> list[str]:
        """Return the column that needs no path."""
        self.shape(OWN)
        return [OWN]

    def shape(self, column: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        array = self._mapped(column)
        if array.ndim == 0:
            raise ScoringError(f"{self._path(column)}: there is one number, and no rows.")
        return array.shape

    def cuts(self, num_rows: int, block_rows: int) -> list[slice]:
        """Return blocks of so many rows."""
        return even_cuts(num_rows, block_rows)

    def read(self, column: str, rows: slice) -> Array:
        """Return a block of an array, copied, so that the file is not kept in memory."""
        return np.array(self._mapped(column)[rows], order="C")

    def _path(self, column: str) -> Path:
        return self.path if column == OWN else self.folder / column

    def _mapped(self, column: str) -> Array:
        path = self._path(column)
        try:
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except FileNotFoundError:
            raise ScoringError(f"{path}: there is no such file; of .npy files a column is a path.") from None
        except (ValueError, EOFError, OverflowError) as error:
            raise ScoringError(
                f"{path}: there is no array of numbers in it: {str(error).partition('. ')[0]}."
            ) from None
