"""A run that was ended goes on, and nothing it left can be taken for a whole answer."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from gradient_service.scoring.errors import ScoringError
from gradient_service.scoring.progress import silence
from gradient_service.scoring.question import question_of
from gradient_service.scoring.run import Job, score
from gradient_service.scoring.sources import source_of

from .conftest import CLASSES, Refused, Scored, arguments, manifest_of, rows_of

MORE = ("--operation", "gradient", "--block-rows", "10")
WAIT_SECONDS = 60.0
EVERYTHING = "version, operation, columns, options, input, block_rows"


def inodes(folder: Path) -> dict[str, int]:
    """Which file each block is; one that is written anew is another."""
    return {path.name: path.stat().st_ino for path in folder.glob("rows-*")}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file of 120 blocks of ten rows."""
    generator = np.random.default_rng(3)
    rows = {"logits": generator.normal(size=(1200, CLASSES)), "labels": generator.integers(0, CLASSES, 1200)}
    save_file(rows, tmp_path / "many.safetensors")
    return tmp_path / "many.safetensors"


def killed(source: Path, out: Path, least_blocks: int) -> None:
    """Start a run, and kill it once it has done some blocks."""
    with subprocess.Popen([sys.executable, "-m", "gradient_service", *arguments(source, out, *MORE)]) as run:
        deadline = time.monotonic() + WAIT_SECONDS
        while len(list(out.glob("rows-*"))) < least_blocks and time.monotonic() < deadline:
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)


def test_a_killed_run_goes_on_with_the_blocks_that_are_left(tmp_path: Path, scored: Scored, many: Path) -> None:
    """After SIGKILL there is no manifest; the same command keeps what is done and ends with the bits of one run."""
    out = tmp_path / "out"
    killed(many, out, 5)
    done = inodes(out)
    told = [json.loads(line)["file"] for line in (out / "journal.jsonl").read_bytes().split(b"\n")[1:-1]]
    assert not (out / "manifest.json").exists()
    assert 4 <= len(told) <= len(done) < 120
    resumed = scored(many, out, *MORE)
    assert {name: inodes(out)[name] for name in told} == {name: done[name] for name in told}
    assert resumed == scored(many, tmp_path / "whole", *MORE)
    assert rows_of(out)["gradient"].tobytes() == rows_of(tmp_path / "whole")["gradient"].tobytes()
    assert {path.name for path in out.iterdir()} == {".lock", "manifest.json", *inodes(tmp_path / "whole")}


def test_a_finished_run_has_nothing_to_do(tmp_path: Path, scored: Scored, source: Path) -> None:
    """The same command again prints the same, and writes nothing."""
    first = scored(source, tmp_path / "out", *MORE)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert scored(source, tmp_path / "out", *MORE) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == files


def spoil(path: Path) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [spoil, Path.unlink, lambda path: os.truncate(path, 100)], ids=["changed", "removed", "cut short"]
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_harmed_block_is_scored_again(
    tmp_path: Path, scored: Scored, source: Path, harm: Callable[[Path], None], *, finished: bool
) -> None:
    """A file that is not the one the manifest or the journal tells of is made anew, and it alone."""
    out = tmp_path / "out"
    first = scored(source, out, *MORE)
    rows, files, manifest = rows_of(out), inodes(out), manifest_of(out)
    if not finished:
        lines = [{"question": manifest["question"]}, *manifest["blocks"]]
        (out / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (out / "manifest.json").unlink()
    harm(out / "rows-000000000020.safetensors")
    assert scored(source, out, *MORE) == first
    assert rows_of(out)["gradient"].tobytes() == rows["gradient"].tobytes()
    assert {name for name, inode in inodes(out).items() if files[name] != inode} <= {"rows-000000000020.safetensors"}


def test_a_block_that_tells_no_sums_is_scored_again(tmp_path: Path, scored: Scored, source: Path) -> None:
    """Its rows would be missing in the loss of all rows."""
    out = tmp_path / "out"
    first = scored(source, out, *MORE)
    manifest = manifest_of(out)
    manifest["blocks"][7]["summary"] = None
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert scored(source, out, *MORE) == first
    assert manifest_of(out)["blocks"][7]["summary"]["example_count"] == 10


def test_a_line_cut_short_counts_as_not_written(tmp_path: Path, scored: Scored, many: Path) -> None:
    """What stands behind the last end of line in the journal is no record."""
    out = tmp_path / "out"
    killed(many, out, 3)
    with (out / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"file":"rows-0000')
    assert scored(many, out, *MORE)["rows"] == 1200


@pytest.mark.parametrize(
    ("more", "changed"),
    [
        ((*MORE, "--option", "temperature=2"), "options.temperature"),
        (("--operation", "loss", "--block-rows", "10"), "operation, options.include"),
        (("--operation", "gradient", "--block-rows", "20"), "block_rows"),
        ((*MORE, "--column", "sample_weights="), "columns.sample_weights"),
    ],
)
def test_another_question_is_refused(
    scored: Scored, refused: Refused, source: Path, more: tuple[str, ...], changed: str
) -> None:
    """Answers to different questions are never mixed in a folder, and those that are there stay."""
    out = source.parent / "out"
    scored(source, out, *MORE)
    files = inodes(out)
    assert f"answers another question: {changed} differ" in refused(source, out, *more)
    assert inodes(out) == files


def test_another_input_is_refused(tmp_path: Path, scored: Scored, refused: Refused, source: Path) -> None:
    """A file that was written again since may have other rows."""
    scored(source, tmp_path / "out", *MORE)
    save_file(load_file(source), source)
    assert "another question: input differ" in refused(source, tmp_path / "out", *MORE)


def test_a_folder_of_other_things_is_refused(tmp_path: Path, refused: Refused, source: Path) -> None:
    """A run never writes among files that are not its own."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    assert "is not empty, and holds no run" in refused(source, tmp_path / "mine", *MORE)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_lock_alone_makes_no_run(tmp_path: Path, refused: Refused, source: Path) -> None:
    """A folder of another program may have a `.lock` as well, and files called as those of a run."""
    (tmp_path / "mine").mkdir()
    for name in (".lock", ".x.partial", "rows-000000000000.safetensors"):
        (tmp_path / "mine" / name).write_text("keep")
    assert "is not empty, and holds no run" in refused(source, tmp_path / "mine", *MORE)
    assert {path.read_text() for path in (tmp_path / "mine").iterdir()} == {"keep"}


def test_a_run_that_was_ended_before_its_journal_goes_on(tmp_path: Path, scored: Scored, source: Path) -> None:
    """A lock and a journal half written are no foreign files; what is half written goes, and nothing else."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").touch()
    (tmp_path / "out" / f".journal.jsonl.{'0' * 32}.partial").write_text("{")
    scored(source, tmp_path / "out", "--block-rows", "300")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {".lock", "manifest.json", "rows-000000000000.safetensors"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"5\n", b'{"question":5,"blocks":[]}\n', b'{"question":{},"blocks":[{"file":"/etc/hosts"}]}\n'],
)
@pytest.mark.parametrize("name", ["manifest.json", "journal.jsonl"])
def test_what_no_run_wrote_is_refused(
    tmp_path: Path, refused: Refused, source: Path, name: str, content: bytes
) -> None:
    """A manifest or a journal of another form is left as it is."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(content)
    assert refused(source, tmp_path / "out") in {
        f"{tmp_path / 'out' / name} is not what a run wrote.",
        f"{tmp_path / 'out'} answers another question: {EVERYTHING} differs. Choose another one.",
    }
    assert (tmp_path / "out" / name).read_bytes() == content


def test_two_runs_at_once_do_not_share_a_folder(tmp_path: Path, scored: Scored, refused: Refused, source: Path) -> None:
    """While one run holds the folder another one is refused; the lock ends with its holder, however that ends."""
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is being written by another run" in refused(source, tmp_path / "out", *MORE)
    assert scored(source, tmp_path / "out", *MORE)["rows"] == 300


def test_an_input_that_changes_meanwhile_has_no_manifest(tmp_path: Path, source: Path) -> None:
    """A file that is written while it is read is no input."""

    def meddling(function: Callable[[slice], Any], blocks: Sequence[slice]) -> Iterator[Any]:
        yield from map(function, blocks)
        os.utime(source)

    opened = source_of(source)
    question = question_of(opened, "loss", {}, {}, [])
    with pytest.raises(ScoringError, match="The input changed while it was read"):
        score(Job(source=opened, question=question, path=tmp_path / "out"), 50, meddling, silence)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_the_manifest_tells_what_can_be_verified(tmp_path: Path, scored: Scored, source: Path) -> None:
    """Each block with its rows, length and SHA-256; the blocks' own summaries are beside them and within the files."""
    scored(source, tmp_path / "out", *MORE)
    manifest = manifest_of(tmp_path / "out")
    assert [each["rows"] for each in manifest["blocks"]] == [[start, start + 10] for start in range(0, 300, 10)]
    for each in manifest["blocks"]:
        content = (tmp_path / "out" / each["file"]).read_bytes()
        assert (len(content), sha256(content).hexdigest()) == (each["bytes"], each["sha256"])
    length = int.from_bytes(content[:8], "little")
    result = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["result"])
    assert result["summary"] == manifest["blocks"][-1]["summary"]


def test_other_cuts_are_another_question(tmp_path: Path, scored: Scored, refused: Refused) -> None:
    """Row groups joined in another way make other blocks, also where the largest of them has as many rows."""
    source, out = tmp_path / "in.parquet", tmp_path / "out"
    with pq.ParquetWriter(source, pa.schema([("logits", pa.list_(pa.float64(), 2)), ("labels", pa.int64())])) as writer:
        for rows in (100, 30, 30, 30):
            logits = pa.array([[0.5, 1.0]] * rows, pa.list_(pa.float64(), 2))
            writer.write_table(pa.table({"logits": logits, "labels": [0] * rows}), row_group_size=rows)
    scored(source, out, "--operation", "gradient", "--block-rows", "100")
    assert "another question: block_rows differ" in refused(
        source, out, "--operation", "gradient", "--block-rows", "50"
    )
