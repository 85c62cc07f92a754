"""Where rows come from: files with named columns, of which any block can be read by itself, on any machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from gradient_service.core.blocks import Array
from gradient_service.scoring.errors import ScoringError


class Source(Protocol):
    """Named columns of as many rows each. It can be pickled; files are open only while they are read."""

    def files(self, columns: Sequence[str]) -> list[Path]:
        """Return the files that some columns lie in."""
        ...

    def names(self) -> list[str]:
        """Return the columns that are known without being asked for."""
        ...

    def shape(self, column: str) -> tuple[int, ...]:
        """Return the shape of a column, rows first.

        Raises:
            ScoringError: there is no such column, or no array in it.
        """
        ...

    def cuts(self, num_rows: int, block_rows: int) -> list[slice]:
        """Return blocks of at most so many rows, or of as few as can be read by themselves."""
        ...

    def read(self, column: str, rows: slice) -> Array:
        """Return a block of a column.

        Raises:
            ScoringError: the file is no longer what it was.
            InvalidInputError: a row holds no numbers, or not as many as the first one; counted from the block's first.
        """
        ...


def even_cuts(num_rows: int, block_rows: int) -> list[slice]:
    """Return blocks of so many rows, the last one shorter; of no rows one block without any."""
    starts = range(0, num_rows, block_rows)
    return [slice(start, min(start + block_rows, num_rows)) for start in starts] or [slice(0, 0)]


def source_of(path: Path) -> Source:
    """Return the rows of a file, by its suffix, or of the Parquet files in a folder.

    Raises:
        ScoringError: there is none, it is of a kind that is not read, or what reads it is not installed.
    """
    if not path.exists():
        raise ScoringError(f"{path}: there is no such file.")
    if path.suffix == ".npy":
        from gradient_service.scoring.numpy_files import NumpyFiles  # noqa: PLC0415  one kind of file is read at a time

        return NumpyFiles(path, Path.cwd())
    if path.suffix == ".safetensors":
        from gradient_service.scoring.safetensors_file import SafetensorsFile  # noqa: PLC0415  the same

        return SafetensorsFile(path)
    if path.is_dir() or path.suffix == ".parquet":
        return _parquet(path)
    raise ScoringError(f"{path}: files are read that end in .parquet, .npy or .safetensors, and folders of .parquet.")


def _parquet(path: Path) -> Source:
    try:
        from gradient_service.scoring.parquet_files import parquet_files  # noqa: PLC0415  pyarrow is an extra
    except ModuleNotFoundError:
        raise ScoringError("Parquet files need pyarrow: install the extra 'score'.") from None
    return parquet_files(path)
