"""One time limit for all that happens on a connection, in place of one for each phase or each read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from socket import SOCK_STREAM, getaddrinfo
from typing import Any, Self

_SHORTEST_TIMEOUT_SECONDS = 0.001
_WRITTEN_AT_ONCE_BYTES = 64 * 1024
_READ_AT_ONCE_BYTES = 256 * 1024


class Remaining(float):
    """What is left of a call's time, and can be asked what is left later on."""

    ends_at: float

    def __new__(cls, ends_at: float) -> Self:
        """What is left until a moment of the monotonic clock; a moment is left to say that none is."""
        remaining = super().__new__(cls, max(_SHORTEST_TIMEOUT_SECONDS, ends_at - time.monotonic()))
        remaining.ends_at = ends_at
        return remaining

    def now(self) -> float:
        """What is left now."""
        return Remaining(self.ends_at)


class TimeLeft(Mapping[str, float | None]):
    """httpx's timeouts as what is left of one budget.

    httpx allows each of its phases (pool, connect, write, read) its own time, which together would be four times the
    limit. It looks a phase's time up when the phase begins, so answering with what is left at that moment makes one
    budget of them.
    """

    def __init__(self, seconds: float | None) -> None:
        self._ends_at = None if seconds is None else time.monotonic() + seconds

    def __getitem__(self, phase: str) -> float | None:
        return None if self._ends_at is None else Remaining(self._ends_at)

    def __iter__(self) -> Iterator[str]:
        return iter(("connect", "pool", "read", "write"))

    def __len__(self) -> int:
        return 4

    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at


class TimelyStream:
    """A connection on which each read and write has what is left at that moment.

    Within a phase every single read is allowed what was left at its beginning, so a head or a body that drips would
    outlive the budget, and so would a caller whose service takes its bytes one by one.

    Args:
        stream: httpcore's.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has arrived, more of it at once than httpcore asks for: each piece of a reply goes through all of it."""
        read: bytes = self._stream.read(max(max_bytes, _READ_AT_ONCE_BYTES), _now(timeout))
        return read

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it, in pieces that a connection takes at once."""
        view = memoryview(buffer)
        for begin in range(0, len(view), _WRITTEN_AT_ONCE_BYTES):
            self._stream.write(view[begin : begin + _WRITTEN_AT_ONCE_BYTES], _now(timeout))

    def start_tls(self, *args: Any, **keywords: Any) -> TimelyStream:
        """The same over TLS."""
        return TimelyStream(self._stream.start_tls(*args, **keywords))

    def close(self) -> None:
        """End it."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """About it."""
        return self._stream.get_extra_info(info)


class TimelyBackend:
    """Opens such connections.

    Args:
        backend: httpcore's, which does the opening.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **keywords: Any) -> TimelyStream:
        """To a host, at the first of its addresses that answers; each has what is left when its turn comes.

        The name is looked up by the system, in its own time.
        """
        *others, last = dict.fromkeys(str(found[4][0]) for found in getaddrinfo(host, port, type=SOCK_STREAM))
        for address in others:
            with suppress(Exception):  # whatever hinders this one
                return TimelyStream(self._backend.connect_tcp(address, port, timeout=_now(timeout), **keywords))
        return TimelyStream(self._backend.connect_tcp(last, port, timeout=_now(timeout), **keywords))

    def connect_unix_socket(self, *args: Any, **keywords: Any) -> TimelyStream:
        """To a socket of this machine."""
        return TimelyStream(self._backend.connect_unix_socket(*args, **keywords))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._backend.sleep(seconds)


def _now(timeout: float | None) -> float | None:
    return timeout.now() if isinstance(timeout, Remaining) else timeout
