"""The command around a run: what is missing, how far it is, what memory it takes."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from gradient_service.cli import main
from gradient_service.scoring.numpy_files import NumpyFiles
from gradient_service.scoring.progress import silence
from gradient_service.scoring.question import question_of
from gradient_service.scoring.run import Job, score
from gradient_service.scoring.sources import source_of

from .conftest import Refused, arguments


def test_a_missing_pyarrow_is_told(tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the command that installs it."""
    monkeypatch.setitem(sys.modules, "gradient_service.scoring.parquet_files", None)
    (tmp_path / "rows.parquet").touch()
    line = "Parquet files need pyarrow: install the extra 'score'."
    assert refused(tmp_path / "rows.parquet", tmp_path / "out") == line


def test_a_missing_ray_is_told(tmp_path: Path, refused: Refused, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the command that installs it."""
    monkeypatch.setitem(sys.modules, "gradient_service.scoring.ray_engine", None)
    line = "The engine ray needs Ray: install the extra 'ray'."
    assert refused(source, tmp_path / "out", "--engine", "ray") == line


def test_without_tqdm_there_is_no_bar(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on, and one line tells what a bar needs."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    main(["score", str(source), "--out", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert printed.err == "A progress bar needs tqdm: install the extra 'score'.\n"
    assert printed.out.startswith('{"rows":300,')


def test_progress_counts_the_rows(tmp_path: Path, source: Path) -> None:
    """Both passes are told of, and each ends at the number of rows."""
    heard: dict[str, int] = {}

    @contextmanager
    def listening(total: int, what: str) -> Iterator[Callable[[int], object]]:
        counts: list[int] = []
        yield counts.append
        heard[what] = total - sum(counts)

    rows = source_of(source)
    question = question_of(rows, "gradient", {}, {}, [])
    score(Job(source=rows, question=question, path=tmp_path / "out"), 64, map, listening)
    assert heard == {"denominator": 0, "gradient": 0}


def peak_bytes(folder: Path, num_blocks: int) -> int:
    """What Python and NumPy allocate at the most while a file of so many blocks is scored."""
    folder.mkdir()
    block_rows = 1000
    np.save(folder / "logits.npy", np.zeros((num_blocks * block_rows, 100)))
    np.save(folder / "labels.npy", np.zeros(num_blocks * block_rows, np.int64))
    rows = NumpyFiles(folder / "logits.npy", folder)
    question = question_of(rows, "gradient", {"labels": str(folder / "labels.npy")}, {}, [])
    job = Job(source=rows, question=question, path=folder / "out")
    tracemalloc.start()
    score(job, block_rows, map, silence)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_memory_is_that_of_a_block(tmp_path: Path) -> None:
    """Ten times the blocks take no more memory but for their records."""
    few, many = (peak_bytes(tmp_path / str(number), number) for number in (4, 40))
    assert many < 1.1 * few


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        ("> /dev/full", 1, "All rows are scored, but that cannot be printed: No space left on device.\n"),
        (">&-", 0, ""),
    ],
)
def test_an_answer_that_cannot_be_printed(
    tmp_path: Path, source: Path, redirection: str, status: int, said: str
) -> None:
    """The rows are scored all the same, and one line tells, where it is not as it was asked for."""
    words = [sys.executable, "-m", "gradient_service", *arguments(source, tmp_path / "out")]
    run = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join(words)} {redirection}"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (status, said)
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_block_without_memory_is_told(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what makes blocks smaller."""

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("gradient_service.scoring.command.score", full)
    with pytest.raises(SystemExit) as end:
        main(arguments(source, tmp_path / "out"))
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith(f"{source}: a block takes more memory than there is; --block-rows")
