"""Has the workers of one service count together, in files that each of them can read."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from prometheus_client import values
from prometheus_client.multiprocess import mark_process_dead

from gradient_service.http.metrics import FOLDER

SHARED_MEMORY = "/dev/shm"  # noqa: S108  the folder below it is for this user alone

logger = logging.getLogger("gradient_service.counts")


@contextmanager
def counting_together() -> Iterator[None]:
    """Have processes that are forked meanwhile count in a folder of this service: in memory where the system has such.

    A container whose file system is read-only has it, too. Where there is no place to write, each counts by itself.
    """
    place = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    try:
        made = TemporaryDirectory(prefix="gradient-service-", dir=place)
    except OSError as error:
        logger.warning("each worker tells its own counts only, as there is no folder to share them: %s", error.strerror)
        yield
        return
    with made as folder:
        os.environ[FOLDER] = folder
        yield


def count_as(pid: int) -> None:
    """Have this process, a worker, count under its id; the library would ask the system for it at every count."""
    if FOLDER in os.environ:
        values.ValueClass = values.MultiProcessValue(lambda: pid)  # type: ignore[no-untyped-call]  # it has few types


def note_end(pid: int) -> None:
    """Keep the counts of a worker that has ended, and no more what it had under way."""
    if FOLDER in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # as above
