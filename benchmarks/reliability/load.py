"""Load from one event loop: closed, as many calls at a time as there are connections, or open, calls by the clock."""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

import uvloop

PATIENCE_SECONDS = 1.0
"""An answer that comes later is worth nothing, and is not waited for."""
MAX_CONNECTIONS = 4000
TICK_SECONDS = 0.0005
HEAD_END = b"\r\n\r\n"

T = TypeVar("T")


@dataclass(slots=True)
class Answer:
    """What came back on a connection; the status is 0 where nothing did."""

    status: int = 0
    is_problem: bool = False
    has_retry_after: bool = False
    is_last: bool = True
    first_byte_at: float = 0.0
    missing: int = 0
    """Bytes of it that are still to come."""


class Connection(asyncio.Protocol):
    """A connection that makes one call at a time and says when it has been answered."""

    def __init__(self, released: Callable[["Connection"], None]) -> None:
        self._released = released
        self._head = b""
        self._answered: Callable[[Answer], None] | None = None
        self.answer = Answer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # what TCP has
        """Keep the transport."""
        self.transport = transport

    def ask(self, data: bytes, answered: Callable[[Answer], None]) -> None:
        """Make a call."""
        self._answered, self.answer, self._head = answered, Answer(), b""
        self.transport.write(data)

    def abandon(self) -> None:
        """Wait no longer."""
        self._answered = None
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count what arrives; tell when it is whole."""
        answer = self.answer
        if not answer.first_byte_at:
            answer.first_byte_at = perf_counter()
        if answer.status:
            answer.missing -= len(data)
        else:
            self._head += data
            if HEAD_END not in self._head:
                return
            self._read_head()
        if not answer.missing:
            self._end()

    def _read_head(self) -> None:
        head, _, rest = self._head.partition(HEAD_END)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        answer = self.answer
        answer.status = int(head[9:12])
        answer.is_problem = fields.get(b"content-type") == b"application/problem+json"
        answer.has_retry_after = b"retry-after" in fields
        answer.is_last = fields.get(b"connection") == b"close"
        answer.missing = int(fields[b"content-length"]) - len(rest)

    def _end(self) -> None:
        answered, self._answered = self._answered, None
        if self.answer.is_last:
            self.transport.abort()
        if answered is not None:
            answered(self.answer)
        if not self.answer.is_last:
            self._released(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Tell that no answer comes."""
        answered, self._answered = self._answered, None
        if answered is not None:
            self.answer.status = 0
            answered(self.answer)


@dataclass(slots=True)
class Tally:
    """What calls came to."""

    statuses: Counter[int] = field(default_factory=Counter)
    """0 counts the calls whose connection broke."""
    late: int = 0
    unsent: int = 0
    """Calls for which no connection was left: the load was less than it should be."""
    malformed_refusals: int = 0
    behind: float = 0.0
    """By how many seconds the load was behind its schedule at the most."""
    answered_at: float = 0.0
    """When the last 200 came, as `perf_counter` says."""
    seconds: dict[int, list[float]] = field(default_factory=dict)
    """From the moment of a call, on the clock of the schedule, to the first byte of its answer; by status."""

    def note(self, asked_at: float, answer: Answer) -> None:
        """Count an answer."""
        self.statuses[answer.status] += 1
        self.seconds.setdefault(answer.status, []).append(answer.first_byte_at - asked_at)
        if answer.status == 200:
            self.answered_at = answer.first_byte_at
        if answer.status == 503 and not (answer.is_problem and answer.has_retry_after):
            self.malformed_refusals += 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on the event loop that the service runs on too."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def connect(port: int, released: Callable[[Connection], None] = lambda _: None) -> Connection:
    """Open a connection."""
    _, connection = await asyncio.get_running_loop().create_connection(partial(Connection, released), "127.0.0.1", port)
    return connection


async def call(port: int, data: bytes) -> Answer:
    """Make one call."""
    future = asyncio.get_running_loop().create_future()
    (await connect(port)).ask(data, future.set_result)
    answer: Answer = await future
    return answer


async def closed_load(port: int, data: bytes, connections: int, seconds: float) -> Tally:
    """Have each of some connections call again as soon as it has been answered."""
    tally = Tally()
    end = perf_counter() + seconds

    def ask(connection: Connection) -> None:
        if perf_counter() < end:
            connection.ask(data, partial(tally.note, perf_counter()))

    opened = [await connect(port, ask) for _ in range(connections)]
    for connection in opened:
        ask(connection)
    await asyncio.sleep(seconds)
    for connection in opened:
        connection.abandon()
    return tally


class OpenLoad:
    """Calls that come by the clock, whatever becomes of those before: each on an idle connection, or on a new one."""

    def __init__(self, port: int, data: bytes) -> None:
        self._port, self._data = port, data
        self._idle: list[Connection] = []
        self._waiting: deque[tuple[float, Connection, Answer]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._tally = Tally()

    async def run(self, rate: float, seconds: float) -> Tally:
        """Make `rate` calls a second."""
        start, made = perf_counter(), 0
        while made < rate * seconds:
            await asyncio.sleep(TICK_SECONDS)
            now = perf_counter() - start
            due = min(int(now * rate), int(rate * seconds) + 1)
            if made < due:
                self._tally.behind = max(self._tally.behind, now - made / rate)
            for number in range(made, due):
                self._call(start + number / rate)
            made = max(made, due)
            self._give_up(perf_counter() - PATIENCE_SECONDS)
        await asyncio.sleep(PATIENCE_SECONDS)
        self._give_up(perf_counter())
        return self._tally

    def _call(self, at: float) -> None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                self._ask(connection, at)
                return
        if len(self._waiting) + len(self._opening) >= MAX_CONNECTIONS:
            self._tally.unsent += 1
            return
        task = asyncio.create_task(self._open(at))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, at: float) -> None:
        try:
            self._ask(await connect(self._port, self._idle.append), at)
        except OSError:
            self._tally.statuses[0] += 1

    def _ask(self, connection: Connection, at: float) -> None:
        connection.ask(self._data, partial(self._tally.note, at))
        self._waiting.append((at, connection, connection.answer))

    def _give_up(self, before: float) -> None:
        while self._waiting and self._waiting[0][0] < before:
            _, connection, answer = self._waiting.popleft()
            is_waiting = connection.answer is answer and answer.missing >= 0 and not _is_whole(answer)
            if is_waiting and not connection.transport.is_closing():
                self._tally.late += 1
                connection.abandon()


def _is_whole(answer: Answer) -> bool:
    return answer.status > 0 and answer.missing == 0


def check(port: int, data: bytes) -> None:
    """Stop unless a call is answered 200."""
    status = run(call(port, data)).status
    if status != 200:
        sys.exit(f"a call was answered {status}")
