"""The parent of the workers: starts them, starts another where one ends, and ends with them.

Workers are forked from a parent that has imported everything and started nothing, so that one lost is replaced within
milliseconds, also where there is only one. Nothing judges a worker by how busy it is: only its end counts.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from socket import socket
from types import FrameType

logger = logging.getLogger("gradient_service.supervisor")

HEALTHY_SECONDS = 0.5
"""A worker that ends sooner is replaced after this long, so that one that cannot start does not spin."""
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Keeps a number of workers running.

    Args:
        work: what a worker does until it is told to stop, given its place among them, which its successor has, too.
        workers: how many there are.
        listener: the socket that they share; nobody listens any more once the last of them has closed it.
        note_end: told of each that has ended.
    """

    def __init__(
        self, work: Callable[[int], None], workers: int, listener: socket, note_end: Callable[[int], None]
    ) -> None:
        self._work = work
        self._workers = workers
        self._listener = listener
        self._note_end = note_end
        self._started: dict[int, tuple[int, float]] = {}
        self._is_ending = False

    def run(self) -> None:
        """Run until a signal says to end, and the workers, told by the same signal, have ended."""
        for number in ENDING_SIGNALS:
            signal.signal(number, self._end)
        for place in range(self._workers):
            self._start(place)
        while self._started:
            pid, status = os.wait()
            if pid not in self._started:
                continue  # what a worker left behind: in a container, the first process inherits it
            place, since = self._started.pop(pid)
            lifetime = time.monotonic() - since
            self._note_end(pid)
            if not self._is_ending:
                logger.warning("worker %d ended (%d) and is replaced", pid, os.waitstatus_to_exitcode(status))
                time.sleep(HEALTHY_SECONDS if lifetime < HEALTHY_SECONDS else 0)
                self._start(place)

    def _start(self, place: int) -> None:
        """Start a worker; where there is no room for one, try until there is."""
        while True:
            try:
                self._fork(place)
            except OSError as error:
                logger.error("no worker can be started: %s", error.strerror)  # noqa: TRY400  the reason says all
                time.sleep(HEALTHY_SECONDS)
            else:
                return

    def _fork(self, place: int) -> None:
        """Start a worker, unless the end has come; its signals wait until parent and worker know their parts."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        try:
            if self._is_ending:
                return
            pid = os.fork()
            if pid == 0:
                self._be_a_worker(place)
            self._started[pid] = (place, time.monotonic())
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)

    def _be_a_worker(self, place: int) -> None:
        code = 1
        try:
            os.setpgid(0, 0)  # the terminal's interrupt reaches the parent alone, which passes it on once
            for number in ENDING_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
            self._work(place)
            code = 0
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            logger.exception("a worker failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # what the parent would do at its end is not the worker's to do

    def _end(self, number: int, _: FrameType | None) -> None:
        if not self._is_ending:
            logger.info("ending, by %s", signal.Signals(number).name)
        self._is_ending = True
        self._listener.close()
        for pid in self._started:
            with suppress(ProcessLookupError):  # it has ended, which is not known yet
                os.kill(pid, number)
