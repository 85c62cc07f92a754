"""Columns of Parquet files. What can be read by itself is a row group, so that a block is one or several of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from gradient_service.core.blocks import Array
from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.core.records import record
from gradient_service.scoring.errors import ScoringError

NO_VALUE = "there is no value"


@record()
class RowGroup:
    """A row group, and which rows of all files it holds."""

    path: Path
    number: int
    rows: slice


@record()
class ParquetFiles:
    """Columns of one file, or of several with the same columns, one after the other."""

    paths: tuple[Path, ...]
    groups: tuple[RowGroup, ...]

    def files(self, _: Sequence[str]) -> list[Path]:
        """Return all files."""
        return list(self.paths)

    def names(self) -> list[str]:
        """Return the columns of the first file."""
        return list(_opened(self.paths[0]).schema_arrow.names)

    def shape(self, column: str) -> tuple[int, ...]:
        """Return rows, and of lists the length of the first one."""
        num_rows = self.groups[-1].rows.stop if self.groups else 0
        first, *others = self.paths
        kind = _kind(first, column)
        odd = next((path for path in others if _stored(_kind(path, column)) != _stored(kind)), None)
        if odd is not None:
            raise ScoringError(f"{odd}: {column} is of type {_kind(odd, column)}, and {kind} in {first}.")
        return (num_rows, *self._row_shape(column, kind))

    def cuts(self, _: int, block_rows: int) -> list[slice]:
        """Return blocks of whole row groups: one, and more as long as they have no more rows than that together."""
        blocks: list[slice] = []
        for group in self.groups:
            if blocks and group.rows.stop - blocks[-1].start <= block_rows:
                blocks[-1] = slice(blocks[-1].start, group.rows.stop)
            else:
                blocks.append(group.rows)
        return blocks or [slice(0, 0)]

    def read(self, column: str, rows: slice) -> Array:
        """Return a column of some row groups, one after the other."""
        groups = [group for group in self.groups if rows.start <= group.rows.start and group.rows.stop <= rows.stop]
        if not groups:
            return np.empty(0, _number(_kind(self.paths[0], column)).to_pandas_dtype())
        found = [(_column(group, column), group.rows.start - rows.start) for group in groups]
        length = _length(found[0][0])
        return np.concatenate([_array(values, column, length, first_row) for values, first_row in found])

    def _row_shape(self, column: str, kind: Any) -> tuple[int, ...]:
        if not _is_list(kind):
            return ()
        if pa.types.is_fixed_size_list(kind):
            return (kind.list_size,)
        if not self.groups:
            return (0,)
        first = _first(self.groups[0], column)
        _refuse_any(first.is_null(), column, 0, NO_VALUE)
        return (_length(first) or 0,)


def parquet_files(path: Path) -> ParquetFiles:
    """Return the rows of a file, or of all `.parquet` files of a folder in the order of their names."""
    paths = tuple(sorted(path.glob("*.parquet"))) if path.is_dir() else (path,)
    if not paths:
        raise ScoringError(f"{path}: there is no .parquet file in this folder.")
    groups: list[RowGroup] = []
    for each in paths:
        metadata = _opened(each).metadata
        for number in range(metadata.num_row_groups):
            start = groups[-1].rows.stop if groups else 0
            stop = start + metadata.row_group(number).num_rows
            if stop > start:
                groups.append(RowGroup(each, number, slice(start, stop)))
    return ParquetFiles(paths, tuple(groups))


def _opened(path: Path) -> Any:
    with path.open("rb"):  # what the system refuses it says better than Arrow does
        pass
    try:
        return ParquetFile(path)
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise ScoringError(f"{path}: this cannot be read as Parquet. {str(error).splitlines()[0]}.") from None


def _first(group: RowGroup, column: str) -> Any:
    """Return the first value of a column of a row group, in an array."""
    try:
        return next(_opened(group.path).iter_batches(1, row_groups=[group.number], columns=[column])).column(0)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(group, error) from None


def _unreadable(group: RowGroup, error: Exception) -> ScoringError:
    return ScoringError(f"{group.path}: row group {group.number} cannot be read: {error}".splitlines()[0])


def _column(group: RowGroup, column: str) -> Any:
    """Return a column of a row group as one array, of an extension what it stores."""
    try:
        table = _opened(group.path).read_row_group(group.number, columns=[column], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(group, error) from None
    values = table.column(column).combine_chunks()
    return values.storage if isinstance(values, pa.ExtensionArray) else values


def _kind(path: Path, column: str) -> Any:
    """Return the type of a column, of an extension what it stores."""
    schema = _opened(path).schema_arrow
    if column not in schema.names:
        raise ScoringError(f"{path}: there is no column {column!r}; there are {', '.join(schema.names) or 'none'}.")
    if schema.names.count(column) > 1:
        raise ScoringError(f"{path}: several columns are called {column}.")
    kind = schema.field(column).type
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    number = _number(kind)
    if not (pa.types.is_floating(number) or pa.types.is_integer(number) or pa.types.is_boolean(number)):
        raise ScoringError(f"{path}: {column} is of type {kind}; numbers, or lists of numbers, are needed.")
    return kind


def _number(kind: Any) -> Any:
    return kind.value_type if _is_list(kind) else kind


def _stored(kind: Any) -> tuple[Any, bool]:
    """Return what must be the same in all files; how a list is stored and what its items are called need not."""
    return _number(kind), _is_list(kind)


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _length(values: Any) -> int | None:
    """Return how many numbers the first list has; None where a value is a number, or missing."""
    return len(values[0]) if _is_list(values.type) and values[0].is_valid else None


def _array(values: Any, column: str, length: int | None, first_row: int) -> Array:
    """Return the numbers of a column; refuse rows without any, and lists of another length."""
    _refuse_any(values.is_null(), column, first_row, NO_VALUE)
    if length is None:
        return np.asarray(values.to_numpy(zero_copy_only=False))
    lengths = pc.list_value_length(values)
    _refuse_any(pc.not_equal(lengths, length), column, first_row, f"there are not {length} numbers")
    numbers = values.flatten()
    if numbers.null_count:
        is_short = np.asarray(numbers.is_null()).reshape(-1, length).any(axis=1)
        _refuse_any(pa.array(is_short), column, first_row, "a number is missing")
    return np.asarray(numbers.to_numpy(zero_copy_only=False)).reshape(-1, length)


def _refuse_any(is_bad: Any, column: str, first_row: int, detail: str) -> None:
    row = pc.index(is_bad, value=True).as_py()
    if row >= 0:
        raise InvalidInputError([Fault("wrong-type", column, (first_row + row,), f"{detail} in column {column}.")])
