"""Tensors of one safetensors file, read where they lie."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.records import record
from gradient_service.scoring.errors import ScoringError
from gradient_service.scoring.sources import even_cuts
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.safetensors_body import ELEMENT_TYPES, Entry, read_file
from gradient_service.wire.tensor_codec import decode_tensor


@record()
class SafetensorsFile:
    """Columns that are tensors of a file."""

    path: Path

    def files(self, _: Sequence[str]) -> list[Path]:
        """Return the file."""
        return [self.path]

    def names(self) -> list[str]:
        """Return the names of the tensors."""
        entries, _ = self._mapped()
        return list(entries)

    def shape(self, column: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        entries, _ = self._mapped()
        entry = self._entry(entries, column)
        if not entry.shape:
            raise ScoringError(f"{self.path}: {column} is one number, and has no rows.")
        return entry.shape

    def cuts(self, num_rows: int, block_rows: int) -> list[slice]:
        """Return blocks of so many rows."""
        return even_cuts(num_rows, block_rows)

    def read(self, column: str, rows: slice) -> Array:
        """Return a block of a tensor, copied, so that the file is not kept in memory."""
        entries, data = self._mapped()
        entry = self._entry(entries, column)
        element, (num_rows, *others) = ELEMENT_TYPES[entry.dtype], entry.shape
        start, stop, _ = rows.indices(num_rows)
        row_bytes = element.size * prod(others)
        part = data[entry.begin + start * row_bytes : entry.begin + stop * row_bytes]
        try:
            return np.array(decode_tensor(part, element, (stop - start, *others), column))
        except MalformedBodyError as error:
            raise ScoringError(f"{self.path}: {column}: {error.detail}") from None

    def _entry(self, entries: dict[str, Entry], column: str) -> Entry:
        if column not in entries:
            raise ScoringError(f"{self.path}: there is no tensor {column!r}; there are {', '.join(entries) or 'none'}.")
        if entries[column].dtype not in ELEMENT_TYPES:
            raise ScoringError(f"{self.path}: {column} is of type {entries[column].dtype}, which is not read.")
        return entries[column]

    def _mapped(self) -> tuple[dict[str, Entry], memoryview]:
        try:
            content = np.memmap(self.path, np.uint8, "r").data if self.path.stat().st_size else memoryview(b"")
            entries, data = read_file(content)
        except MalformedBodyError as error:
            raise ScoringError(f"{self.path}: this is no safetensors file. {error.detail}") from None
        return dict(entries), data
