"""The lines of the log: one JSON object each, bounded, printable, and waited for by nobody."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradient_service.http.log_lines import MAX_LINE_BYTES, LineHandler, lines_of

PIPE_BYTES = 64 * 1024


class Pipe:
    """A log whose lines go into a pipe."""

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()
        self.logger = logging.Logger("test")  # noqa: LOG001 - one of its own, which the next test does not meet
        self.logger.addHandler(LineHandler(self._write_end))

    def lines(self) -> list[bytes]:
        """The lines that wait to be read."""
        return os.read(self.read_end, 2 * PIPE_BYTES).splitlines()

    def told(self) -> dict[str, Any]:
        """What the only line says."""
        (content,) = self.lines()
        told: dict[str, Any] = json.loads(content)
        return told


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A log in a pipe."""
    opened = Pipe()
    yield opened
    os.close(opened._write_end)


def test_a_record_is_one_line_of_json(pipe: Pipe) -> None:
    """A text is told with its time in UTC, its level and where it comes from."""
    pipe.logger.warning("worker %d ended", 7)
    told = pipe.told()
    assert told.pop("time").endswith("Z")
    assert told == {"level": "warning", "logger": "test", "message": "worker 7 ended"}


def test_fields_stay_fields(pipe: Pipe) -> None:
    """A record whose message is a dictionary has its members."""
    pipe.logger.info({"status": 200, "route": "/loss"})
    told = pipe.told()
    assert (told["status"], told["route"]) == (200, "/loss")


def test_a_record_may_be_many_lines(pipe: Pipe) -> None:
    """A record whose message is a list of dictionaries is a line for each, in their order, however many there are."""
    pipe.logger.info([{"number": number} for number in range(500)])
    assert [json.loads(content)["number"] for content in pipe.lines()] == [*range(500)]


def test_lines_that_are_lost_together_are_counted(pipe: Pipe) -> None:
    """Of a record of many lines those are lost that a full pipe does not take."""
    pipe.logger.info([{"number": number} for number in range(10_000)])
    kept = len(pipe.lines())
    pipe.logger.info("at last")
    lost, _ = map(json.loads, pipe.lines())
    assert lost["lost"] == 10_000 - kept


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\ud800"])
def test_control_characters_are_not_written(pipe: Pipe, character: str) -> None:
    """What would end a line, or steer a terminal, does not reach it."""
    pipe.logger.info("before%safter", character)
    (content,) = pipe.lines()
    assert content.decode().isprintable()
    assert json.loads(content)["message"] in {"before�after", "before after"}


@pytest.mark.parametrize("text", ["a" * 2_200_000, "\n" * 10_000, '"' * 10_000, "\0" * 10_000, "😀" * 10_000])
def test_lines_are_bounded(pipe: Pipe, text: str) -> None:
    """A text of any length and kind makes a line of at most 4 KiB."""
    pipe.logger.info(text)
    (content,) = pipe.lines()
    assert len(content) < MAX_LINE_BYTES


def test_fields_are_bounded() -> None:
    """A line that its fields would make too long only says where it comes from."""
    record = logging.LogRecord("test", logging.INFO, "", 0, [{"route": "x" * 5000}], None, None)
    (content,) = lines_of(record)
    assert len(content) < MAX_LINE_BYTES
    assert json.loads(content)["message"] == "this line was too long"


def test_an_error_is_told_by_type_and_places(pipe: Pipe) -> None:
    """An error and its cause are one line without their texts, which may quote a request."""

    def fail() -> None:
        try:
            int("secret")
        except ValueError as error:
            raise RuntimeError("secret") from error

    try:
        fail()
    except RuntimeError:
        pipe.logger.exception("failed")
    (content,) = pipe.lines()
    outer, inner = json.loads(content)["errors"]
    assert (outer["type"], inner["type"]) == ("RuntimeError", "ValueError")
    assert outer["at"][-1].endswith(" fail")
    assert b"secret" not in content


def test_an_error_of_the_system_is_told_with_its_text(pipe: Pipe) -> None:
    """What the operating system says quotes no request, and an operator needs it."""
    try:
        Path("/nowhere-at-all").read_bytes()
    except OSError:
        pipe.logger.exception("failed")
    assert "No such file or directory" in pipe.told()["errors"][0]["text"]


def test_a_deep_error_is_bounded(pipe: Pipe) -> None:
    """An error from the end of all recursion, after many others, makes a line of at most 4 KiB."""

    def fall(depth: int) -> None:
        try:
            if depth:
                fall(depth - 1)
        finally:
            raise KeyError(depth)

    try:
        fall(200)
    except KeyError:
        pipe.logger.exception("x" * 1000)
    (content,) = pipe.lines()
    assert len(content) < MAX_LINE_BYTES
    assert json.loads(content)["errors"][0]["type"] == "KeyError"


def test_a_reader_that_stands_still_is_not_waited_for(pipe: Pipe) -> None:
    """What a full pipe does not take is lost, and the first line after that says how many were."""
    for _ in range(10_000):
        pipe.logger.info("something")
    kept = len(pipe.lines())
    assert kept * len(b"something") < PIPE_BYTES
    pipe.logger.info("at last")
    lost, last = map(json.loads, pipe.lines())
    assert (lost["level"], lost["lost"], last["message"]) == ("warning", 10_000 - kept, "at last")


def test_a_reader_that_has_gone_harms_nobody(pipe: Pipe) -> None:
    """Where nobody can read any more, records are lost in silence."""
    os.close(pipe.read_end)
    pipe.logger.info("something")


def test_a_record_that_cannot_be_written_harms_nobody(pipe: Pipe) -> None:
    """A record of something that is no JSON is lost, and told as lost."""
    pipe.logger.info({"route": object()})
    pipe.logger.info("two")
    lost, last = map(json.loads, pipe.lines())
    assert (lost["lost"], last["message"]) == (1, "two")


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
        ("off", []),
    ],
)
def test_the_level_says_what_is_told(level: str, expected: list[str]) -> None:
    """From its level up a process tells its records on stderr, whoever makes them; with `off` none."""
    program = f"""
import logging
from gradient_service.http import log_lines
log_lines.install("{level}")
other = logging.getLogger("other")
other.setLevel(logging.DEBUG)
for say in (other.debug, other.info, other.warning, other.error):
    say("something")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert [json.loads(content)["level"] for content in done.stderr.splitlines()] == expected
    assert done.stdout == b""
