"""Other sizes of the pieces that JSON is read in, so that small documents are cut as large ones are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gradient_service.wire import json_document, json_grammar, json_pieces

WHOLE = 1 << 20
"""Nothing in a test is cut."""


@contextmanager
def pieces_of(size: int) -> Iterator[None]:
    """Read in pieces of this many bytes until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (json_pieces, json_grammar, json_document):
            patch.setattr(module, "PIECE_BYTES", size)
        yield
