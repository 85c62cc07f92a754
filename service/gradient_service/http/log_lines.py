"""The log of the process: lines of JSON on stderr, none longer than a pipe takes at once."""

import logging
import os
import select
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from traceback import walk_tb
from typing import Any

import orjson

from gradient_service.http.problems import printable

MAX_LINE_BYTES = 4096
"""Writes to a pipe up to this length are whole, so that the lines of several workers do not mix."""
MAX_MESSAGE_LENGTH = 300
MAX_PLACES = 8
MAX_PLACE_LENGTH = 100
MAX_CAUSES = 3
TELLING = (OSError, ImportError)
"""Errors whose text is the system's; that of others may quote a request, and is not told."""
TOO_LONG = b'"message":"this line was too long"}\n'
OFF = logging.CRITICAL + 1
UNTOLD = ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
"""What no line says of where it comes from; to find it out for each record takes as long as to write the line."""

Fields = dict[str, Any]

logger = logging.getLogger("gradient_service.log")


def install(level: str) -> None:
    """Write what the process logs, from a level up, as lines to stderr; `off` writes nothing."""
    number = OFF if level == "off" else logging.getLevelNamesMapping()[level.upper()]
    handler = LineHandler(sys.stderr.fileno())
    handler.setLevel(number)
    logging.basicConfig(level=number, handlers=[handler])
    logging.captureWarnings(capture=True)
    for name in UNTOLD:
        setattr(logging, name, False)


class LineHandler(logging.Handler):
    """Writes lines to a file descriptor, and loses those that nobody takes, so that no request waits for a reader."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, after what is to be said of lost lines; never raise."""
        try:
            if self._lost and self._writes(*lines_of(_lost(record, self._lost))):
                self._lost = 0
            for together in _written_together(lines_of(record)):
                if not self._writes(*together):
                    self._lost += len(together)
        except Exception:  # noqa: BLE001 - what a record holds must not end what it tells of
            self._lost += 1

    def _writes(self, *lines: bytes) -> bool:
        """Return whether lines could be written, at once."""
        try:
            return bool(self._poll.poll(0)) and os.write(self._descriptor, b"".join(lines)) > 0
        except OSError:  # nobody reads any more
            return False


def _written_together(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield as many of the lines at a time as a pipe takes at once."""
    together: list[bytes] = []
    num_bytes = 0
    for each in lines:
        if num_bytes + len(each) > MAX_LINE_BYTES:
            yield together
            together, num_bytes = [], 0
        together.append(each)
        num_bytes += len(each)
    yield together


def _lost(record: logging.LogRecord, number: int) -> logging.LogRecord:
    """Return what is to be told of lost lines before the next one."""
    told = {"message": "lines were lost, as they were not read in time", "lost": number}
    return logging.LogRecord(logger.name, logging.WARNING, record.pathname, 0, told, None, None)


def lines_of(record: logging.LogRecord) -> list[bytes]:
    """Return the lines of a record: what its message holds, a list for many, or its text.

    Of what would be too long a line, only where it comes from.
    """
    time = datetime.fromtimestamp(record.created, UTC)
    begin = _line({"time": time, "level": record.levelname.lower(), "logger": record.name}).removesuffix(b"}\n") + b","
    lines = [begin + _line(each)[1:] for each in (record.msg if isinstance(record.msg, list) else [_said_by(record)])]
    return [line if len(line) <= MAX_LINE_BYTES else begin + TOO_LONG for line in lines]


def _line(fields: Fields) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _said_by(record: logging.LogRecord) -> Fields:
    if isinstance(record.msg, dict):
        fields = dict(record.msg)
    else:
        fields = {"message": printable(" ".join(record.getMessage().split()), MAX_MESSAGE_LENGTH)}
    if record.exc_info and record.exc_info[1] is not None:
        fields["errors"] = [_told(error) for error in islice(_causes(record.exc_info[1]), MAX_CAUSES)]
    return fields


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it came from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _told(error: BaseException) -> Fields:
    """Return an error's type and the places that it passed, the innermost last."""
    places = [
        f"{frame.f_globals.get('__name__')}:{number} {frame.f_code.co_name}"[:MAX_PLACE_LENGTH]
        for frame, number in walk_tb(error.__traceback__)
    ]
    told: Fields = {"type": type(error).__qualname__, "at": places[-MAX_PLACES:]}
    if isinstance(error, TELLING):
        told["text"] = printable(str(error), MAX_MESSAGE_LENGTH)
    return told
