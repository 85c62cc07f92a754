"""The folder that a run fills: a file for each block, a journal of those that are done, and at last the manifest.

Each file is written under another name and renamed when it is whole. A block counts once the journal names it with its
digest; all blocks count once there is a manifest. So whatever ends a run, the next one goes on from there.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import orjson
from pydantic import Field, TypeAdapter

from gradient_service.core.records import record
from gradient_service.core.summary import Summary
from gradient_service.scoring.errors import ScoringError

MANIFEST, JOURNAL, LOCK = "manifest.json", "journal.jsonl", ".lock"
BLOCK = r"rows-\d{12,}\.safetensors"
PARTIAL = re.compile(rf"\.({BLOCK}|{re.escape(MANIFEST)}|{re.escape(JOURNAL)})\.[0-9a-f]{{32}}\.partial")


@record(kw_only=True)
class Record:
    """What is told of a finished block."""

    file: Annotated[str, Field(pattern=f"^{BLOCK}$")]
    rows: tuple[int, int]
    """The first one, and the one behind the last."""
    bytes: int
    sha256: str
    summary: Summary | None = None
    """What the rows add to a loss."""


@record(kw_only=True)
class Told:
    """What the journal, line by line, or the manifest tells."""

    question: dict[str, Any]
    blocks: list[Record]


TOLD = TypeAdapter(Told)
MISSING = object()


class Folder:
    """A folder that this run alone writes to."""

    def __init__(self, path: Path, question: Mapping[str, Any]) -> None:
        self.path = path
        self._question = question

    def records(self) -> list[Record]:
        """Return what is told of the blocks that are done and unharmed.

        Raises:
            ScoringError: they answer another question.
        """
        told = self._told()
        if told is None:
            return []
        changed = [*_changed(told.question, self._question)]
        if changed:
            raise ScoringError(
                f"{self.path} answers another question: {', '.join(changed)} differs. Choose another one."
            )
        return [each for each in told.blocks if _is_whole(self.path / each.file, each)]

    def is_complete(self) -> bool:
        """Return whether there is a manifest."""
        return (self.path / MANIFEST).exists()

    def begin(self, records: Iterable[Record]) -> None:
        """Start the journal anew with what is done, and remove what was left half written."""
        for path in self.path.iterdir():
            if PARTIAL.fullmatch(path.name):
                path.unlink()
        put(self.path / JOURNAL, [_line({"question": self._question}), *map(_line, records)])
        (self.path / MANIFEST).unlink(missing_ok=True)

    def add(self, record: Record) -> None:
        """Tell the journal of a finished block."""
        path = self.path / record.file
        if not path.exists() or path.stat().st_size != record.bytes:
            raise ScoringError(f"{path} is not here, where it was written: all machines must share this folder.")
        with (self.path / JOURNAL).open("ab") as journal:
            journal.write(_line(record))
            journal.flush()
            os.fsync(journal.fileno())

    def end(self, manifest: Mapping[str, Any]) -> None:
        """Say that all is done."""
        text = orjson.dumps(
            {"question": self._question, **manifest}, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
        )
        put(self.path / MANIFEST, [text + b"\n"])
        (self.path / JOURNAL).unlink()

    def manifest(self) -> dict[str, Any]:
        """Return what was said when all was done."""
        content: dict[str, Any] = orjson.loads((self.path / MANIFEST).read_bytes())
        return content

    def _told(self) -> Told | None:
        """Return what the manifest tells, or without one the journal, if there is any."""
        manifest, journal = self.path / MANIFEST, self.path / JOURNAL
        path = manifest if manifest.exists() else journal
        if not path.exists():
            return None
        try:
            content = orjson.loads(path.read_bytes()) if path == manifest else _of_lines(path.read_bytes())
            return TOLD.validate_python(content)
        except (ValueError, TypeError):
            raise ScoringError(f"{path} is not what a run wrote.") from None


@contextmanager
def held(path: Path, question: Mapping[str, Any]) -> Iterator[Folder]:
    """Make a folder, and keep other runs out of it.

    Raises:
        ScoringError: another run writes to it, or it holds what no run wrote.
    """
    if path.exists() and not path.is_dir():
        raise ScoringError(f"{path} is no folder.")
    path.mkdir(parents=True, exist_ok=True)
    if not any((path / name).exists() for name in (MANIFEST, JOURNAL)) and not all(map(_is_of_a_start, path.iterdir())):
        raise ScoringError(f"{path} is not empty, and holds no run. Choose another folder.")
    with (path / LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ScoringError(f"{path} is being written by another run.") from None
        yield Folder(path, question)


def put(path: Path, parts: Iterable[bytes | bytearray | memoryview]) -> tuple[int, str]:
    """Write a file that is either whole or not there; return its length and its digest."""
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    digest, length = sha256(), 0
    try:
        with partial.open("xb") as file:
            for part in parts:
                file.write(part)
                digest.update(part)
                length += len(part)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return length, digest.hexdigest()


def _is_of_a_start(path: Path) -> bool:
    """Return whether a run that was ended before it had a journal may have left this."""
    return path.name == LOCK or PARTIAL.fullmatch(path.name) is not None


def _line(content: Mapping[str, Any] | Record) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def _of_lines(journal: bytes) -> dict[str, Any]:
    """Return what a journal tells as a manifest does; behind the last end of line a line may have been cut short."""
    head, *blocks = map(orjson.loads, journal.split(b"\n")[:-1])
    return {**head, "blocks": blocks}


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of a question that are not what they were, an option by its own name."""
    for name in (name for name in now if before.get(name) != now[name]):
        old, new = before.get(name), now[name]
        if isinstance(old, dict) and isinstance(new, dict):
            parts = {**old, **new}
            yield from (f"{name}.{part}" for part in parts if old.get(part, MISSING) != new.get(part, MISSING))
        else:
            yield name


def _is_whole(path: Path, record: Record) -> bool:
    if not path.exists() or path.stat().st_size != record.bytes:
        return False
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest() == record.sha256
