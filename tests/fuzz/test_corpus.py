"""The fuzzer's corpus, read again: what it found stays read or refused, and never anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from .readers import READERS

CORPUS = Path(__file__).parent / "corpus"
UNITS = [path for reader in READERS for path in sorted((CORPUS / reader).iterdir())]
MAX_UNIT_BYTES = 4096


@pytest.mark.parametrize("path", UNITS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_each_unit_is_read_or_refused(path: Path) -> None:
    """A unit raises nothing but what says that a body is malformed or breaks the contract."""
    READERS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("reader", READERS)
def test_the_corpus_is_small(reader: str) -> None:
    """Each reader has seeds, and all of them are small files."""
    sizes = [path.stat().st_size for path in (CORPUS / reader).iterdir()]
    assert len(sizes) >= 10
    assert max(sizes) <= MAX_UNIT_BYTES


@pytest.mark.parametrize("reader", READERS)
def test_every_cut_of_a_seed_is_read_or_refused(reader: str) -> None:
    """No seed cut short at any byte, and none with any one byte inverted, is anything else."""
    for path in (CORPUS / reader).iterdir():
        content = path.read_bytes()
        for place in range(0, len(content), 1 + len(content) // 60):
            READERS[reader](content[:place])
            READERS[reader](content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
