"""Connections whose callers were refused: what they ask at once is read later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from fastapi import FastAPI

from gradient_service.http.admission import READ_AHEAD_BYTES, Admission
from gradient_service.http.line import Line
from gradient_service.server import resting
from gradient_service.server.holding import HoldingFlow
from gradient_service.server.refusing import READ_SECONDS, RefusingProtocol
from gradient_service.server.resting import (
    AT_ONCE_PER_SECOND,
    LONG_BODY_BYTES,
    LONG_BODY_REST_SECONDS,
    LOOK_SECONDS,
    MOST_EARLY,
    REST_SECONDS,
    Resting,
)

from .busy import BODY, CALL, call, make_busy, status
from .conftest import Talk

pytestmark = pytest.mark.anyio

LEAST_SECONDS = 0.2
"""What is read at once is answered sooner, what is not read is never."""


@pytest.fixture
def busy(connect: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - cleared away after this
    """The same while a test runs, and not while its connections end."""
    with monkeypatch.context() as patched:
        make_busy(patched)
        yield


@pytest.fixture(params=[False, True], ids=["unknown head", "known head"])
async def caller(talk: Talk, request: pytest.FixtureRequest) -> Talk:
    """A connection whose next call has a head that is known, or is not."""
    if request.param:
        await talk.send(CALL)
        assert await status(talk) == b"200"
    return talk


async def check_silent(talk: Talk) -> None:
    """Nothing is answered for a while."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(talk.reader.read(1), LEAST_SECONDS)


@pytest.mark.parametrize("parts", [[CALL], [CALL[:-5], CALL[-5:]]], ids=["whole", "in parts"])
async def test_who_was_refused_is_read_later(caller: Talk, monkeypatch: pytest.MonkeyPatch, parts: list[bytes]) -> None:
    """The next call is not read while others wait, and answered when none do."""
    with monkeypatch.context() as patched:
        make_busy(patched)
        for part in parts:
            await caller.send(part)
            await asyncio.sleep(0.01)
        assert await status(caller) == b"503"
        patched.setattr(Admission, "refuses", lambda *_: False)
        await caller.send(CALL)
        await check_silent(caller)
    assert await status(caller) == b"200"


@pytest.mark.parametrize("surplus", [0, 1])
async def test_who_sends_a_long_body_is_read_sooner(
    caller: Talk, monkeypatch: pytest.MonkeyPatch, surplus: int
) -> None:
    """One of that length rests as others do; one that is a byte longer is read, and refused again, after less."""
    message = call(BODY.ljust(LONG_BODY_BYTES + surplus))
    with monkeypatch.context() as patched:
        make_busy(patched)
        patched.setattr(resting, "LONG_BODY_REST_SECONDS", LEAST_SECONDS)
        await caller.send(message)
        assert await status(caller) == b"503"
        start = time.monotonic()
        await caller.send(CALL)
        if surplus:
            assert await status(caller) == b"503"
            assert time.monotonic() - start >= LEAST_SECONDS / 2
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.reader.read(1), 2 * LEAST_SECONDS)


@pytest.mark.parametrize("body_bytes", [len(BODY), 2 * LONG_BODY_BYTES])
async def test_whom_the_application_refuses_is_read_later(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, body_bytes: int
) -> None:
    """A call with a field that only the application knows, such as a web page's, is refused there, and rests."""
    message = call(BODY.ljust(body_bytes)).replace(b"Host", b"Origin: http://localhost\r\nHost", 1)
    with monkeypatch.context() as patched:
        make_busy(patched)
        patched.setattr(Line, "turns_away", lambda *_: True)
        await talk.send(message)
        assert await status(talk) == b"503"
        await talk.send(CALL)
        await check_silent(talk)
    assert await status(talk) == b"200"


async def test_who_asks_for_no_call_is_answered_at_once(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told that the service is not ready may go on to ask; and no answer to them turns a call away."""
    asked: list[object] = []
    with monkeypatch.context() as patched:
        make_busy(patched)
        patched.setattr(Admission, "has_room", property(lambda _: False))
        patched.setattr(Admission, "refuses", lambda *arguments: asked.append(arguments))
        for path, expected in ((b"/readyz", b"503"), (b"/livez", b"200"), (b"/readyz", b"503")):
            await talk.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            assert await status(talk) == expected
    assert not asked


async def test_nobody_rests_where_the_service_ends(caller: Talk, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has arrived on a connection that is about to be closed is read before that."""
    with monkeypatch.context() as patched:
        make_busy(patched)
        await caller.send(CALL[:-5])
        assert await status(caller) == b"503"
        app.state.lifecycle.is_draining = True
        await caller.send(CALL[-5:])
        await asyncio.sleep(LEAST_SECONDS)
        await caller.send(CALL)
        assert await status(caller) == b"200"


async def test_of_a_long_body_as_much_stands_in_the_line_as_is_read_of_it(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is declared is in nobody's memory yet."""
    told: list[int] = []
    monkeypatch.setattr(Line, "join", lambda *_, num_bytes: told.append(num_bytes))
    head, _, _ = CALL.partition(b"\r\n\r\n")
    await talk.send(head.replace(b"Length: %d" % len(BODY), b"Length: %d" % (2 * READ_AHEAD_BYTES)) + b"\r\n\r\n")
    await asyncio.sleep(LEAST_SECONDS)
    assert told == [READ_AHEAD_BYTES]


async def test_what_was_sent_during_a_rest_has_waited(caller: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is told for how long, and of a call that comes later, that it has not."""
    told: list[float] = []
    monkeypatch.setattr(Admission, "refuses", lambda _, __, waited, *___: told.append(waited))
    with monkeypatch.context() as patched:
        make_busy(patched)
        await caller.send(CALL)
        assert await status(caller) == b"503"
        await caller.send(CALL)
        await asyncio.sleep(LEAST_SECONDS)
    assert await status(caller) == b"200"
    await asyncio.sleep(READ_SECONDS)
    await caller.send(CALL)
    assert await status(caller) == b"200"
    assert told[-2:] == [pytest.approx(LEAST_SECONDS, abs=LEAST_SECONDS / 2), 0]


@pytest.mark.parametrize(
    ("parts", "num_answers"),
    [
        ([CALL], 1),
        ([40 * CALL], 40),
        ([CALL[:-5], CALL[-5:]], 1),
        ([CALL[:30], CALL[30:] + CALL], 2),
        ([call(BODY.ljust(2 * LONG_BODY_BYTES)) + CALL], 2),
    ],
    ids=["a call", "many", "a part of one", "a part of a head", "a long one, and one behind it"],
)
async def test_what_was_sent_during_a_rest_is_answered(
    caller: Talk, monkeypatch: pytest.MonkeyPatch, parts: list[bytes], num_answers: int
) -> None:
    """Whatever of it had arrived at the end of the rest, and what comes later."""
    with monkeypatch.context() as patched:
        make_busy(patched)
        await caller.send(CALL)
        assert await status(caller) == b"503"
        await caller.send(parts[0])
        await asyncio.sleep(0.01)
    await asyncio.sleep(2 * LOOK_SECONDS)
    for part in parts[1:]:
        await caller.send(part)
    assert [await status(caller) for _ in range(num_answers)] == num_answers * [b"200"]


async def test_who_sends_nothing_more_is_answered_what_it_asked_in_a_rest(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of its sending is read once the answer to what came before it is under way."""
    with monkeypatch.context() as patched:
        make_busy(patched)
        await talk.send(CALL)
        assert await status(talk) == b"503"
        await talk.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        talk.writer.write_eof()
        await asyncio.sleep(0.01)
    assert await status(talk) == b"200"


@pytest.mark.usefixtures("busy")
async def test_who_is_refused_again_is_not_given_back_to_the_event_loop(talk: Talk) -> None:
    """What it sent during its rest is read without the loop, which is told of a connection on which nothing came."""
    looks = count()
    await talk.send(CALL)
    assert await status(talk) == b"503"
    await talk.send(CALL)
    await asyncio.sleep(0.01)
    with (
        patch.object(HoldingFlow, "let_go", autospec=True, side_effect=HoldingFlow.let_go) as let_go,
        patch.object(Admission, "wants_more", property(lambda _: next(looks) in {0, 10})),
    ):
        assert await status(talk) == b"503"
        assert let_go.call_count == 0
        await asyncio.sleep(20 * LOOK_SECONDS)
        assert let_go.call_count == 1


async def test_who_was_answered_is_read_behind_those_who_wait(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a call has been turned away, what comes behind one with a known head is read when there is room."""
    await talk.send(CALL)
    assert await status(talk) == b"200"
    with monkeypatch.context() as patched:
        make_busy(patched)
        patched.setattr(Admission, "refuses", lambda *_: False)
        patched.setattr(Line, "is_standing", property(lambda _: True))
        await talk.send(CALL)
        assert await status(talk) == b"200"
        await talk.send(CALL)
        await check_silent(talk)
    assert await status(talk) == b"200"


@pytest.mark.usefixtures("busy")
async def test_who_asks_several_times_at_once_rests_once(talk: Talk) -> None:
    """Calls that came together are all told, and the connection is one of those that rest."""
    with patch.object(Resting, "begin", autospec=True, side_effect=Resting.begin) as begin:
        await talk.send(3 * CALL)
        assert [await status(talk) for _ in range(3)] == 3 * [b"503"]
    assert begin.call_count == 1


async def test_a_connection_that_rests_is_not_idle(caller: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept for as long as it rests, and for as long as others behind that."""
    seconds = property(lambda _: LEAST_SECONDS / 4, lambda *_: None)
    monkeypatch.setattr(RefusingProtocol, "timeout_keep_alive", seconds, raising=False)
    with monkeypatch.context() as patched:
        make_busy(patched)
        await caller.send(CALL)
        assert await status(caller) == b"503"
        await caller.send(CALL)
        await asyncio.sleep(LEAST_SECONDS)
    assert await status(caller) == b"200"
    assert await asyncio.wait_for(caller.reader.read(1), 10) == b""


@pytest.mark.usefixtures("busy")
async def test_others_are_answered_meanwhile(connect: Callable[[], asyncio.Future[Talk]]) -> None:
    """Another connection is read at once, and so is one that asked for no call."""
    refused, other = await connect(), await connect()
    await refused.send(CALL)
    assert await status(refused) == b"503"
    await other.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await status(other) == b"200"
    await other.send(CALL)
    assert await status(other) == b"503"


@pytest.mark.usefixtures("busy")
async def test_one_that_has_left_is_let_go(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that leaves while its connection rests is noticed when the rest ends, before an idle one would be."""
    lost = asyncio.Event()
    monkeypatch.setattr(RefusingProtocol, "note_departure", lambda _: lost.set())
    await talk.send(CALL)
    assert await status(talk) == b"503"
    talk.writer.transport.abort()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lost.wait(), LEAST_SECONDS)
    with patch.object(Admission, "wants_more", property(lambda _: True)):
        await asyncio.wait_for(lost.wait(), 2)


class Clock:
    """An event loop whose time is said."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        """Return it."""
        return self.now

    def call_later(self, delay: float, call: Callable[..., None], *arguments: object) -> None:
        """Keep what is to be called."""
        self.due.append((self.now + delay, lambda: call(*arguments)))

    def call_soon(self, call: Callable[[], None]) -> None:
        """Keep what is to be called at once."""
        self.due.append((self.now, call))

    def go_to(self, now: float) -> None:
        """Call what is due until then, each at its time."""
        while self.due and self.due[0][0] <= now:
            self.now, call = self.due.pop(0)
            call()
        self.now = now


class Rester:
    """A connection that notes what is done with it."""

    def __init__(self, loop: Clock, told: list[Any], name: object = "resumed", paused: list[Any] | None = None) -> None:
        self.loop: Any = loop
        self._told, self._name, self._paused = told, name, paused

    def pause(self) -> None:
        """Note it."""
        if self._paused is not None:
            self._paused.append(self._name)

    def resume(self) -> None:
        """Note it."""
        self._told.append(self._name)


class Waits:
    """An admission at which calls wait, or do not, and its line."""

    is_idle = wants_more = is_standing = False

    @property
    def line(self) -> Waits:
        """Return what tells of the line."""
        return self


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody go on at once."""
    monkeypatch.setattr(resting, "AT_ONCE_PER_SECOND", 0.0)


@pytest.mark.usefixtures("storm")
def test_each_rests_as_long() -> None:
    """Whoever began first is read first; the timer ends with the last of them."""
    clock, rests = Clock(), Resting(Waits())  # type: ignore[arg-type]  # all that it asks for
    told: list[Any] = []
    for number, at in enumerate((0.0, 0.2, 0.3)):
        clock.go_to(at)
        rests.begin(Rester(clock, told, number), 0)
    ends = [at + REST_SECONDS + LOOK_SECONDS for at in (0.0, 0.2, 0.3)]
    for number, end in enumerate(ends):
        clock.go_to(end - 2 * LOOK_SECONDS)
        assert number not in told
        clock.go_to(end)
        assert told == list(range(number + 1))
    clock.go_to(10.0)
    assert clock.due == []


@pytest.mark.usefixtures("storm")
def test_long_bodies_rest_less() -> None:
    """Whoever was refused one is read before those who began earlier."""
    clock, rests = Clock(), Resting(Waits())  # type: ignore[arg-type]  # as above
    told: list[Any] = []
    rests.begin(Rester(clock, told, "short"), LONG_BODY_BYTES)
    clock.go_to(0.1)
    rests.begin(Rester(clock, told, "long"), LONG_BODY_BYTES + 1)
    clock.go_to(0.1 + LONG_BODY_REST_SECONDS + LOOK_SECONDS)
    assert told == ["long"]
    clock.go_to(REST_SECONDS + LOOK_SECONDS)
    assert told == ["long", "short"]


@pytest.mark.usefixtures("storm")
def test_nobody_rests_where_nothing_waits() -> None:
    """All are read again as soon as it is seen that no call waits, but not so many that others would wait for them."""
    clock, admission = Clock(), Waits()
    told: list[Any] = []
    rests = Resting(admission)  # type: ignore[arg-type]  # as above
    for number in range(MOST_EARLY + 3):
        rests.begin(Rester(clock, told, number), 0)
    admission.wants_more = True
    clock.go_to(LOOK_SECONDS)
    assert told == list(range(MOST_EARLY))
    clock.go_to(2 * LOOK_SECONDS)
    assert told == list(range(MOST_EARLY + 3))


@pytest.mark.usefixtures("storm")
@pytest.mark.parametrize(("body_bytes", "is_long"), [(LONG_BODY_BYTES, False), (LONG_BODY_BYTES + 1, True)])
def test_as_many_go_on_as_there_is_room_for(body_bytes: int, is_long: bool) -> None:
    """Those who have rested for longest; of whom a long body is expected, none before nothing waits."""
    clock = Clock()
    told: list[int] = []

    class Fills(Waits):
        @property
        def wants_more(self) -> bool:  # type: ignore[override]  # changes by itself
            return len(told) < 3

    admission = Fills()
    rests = Resting(admission)  # type: ignore[arg-type]  # as above
    for number in range(5):
        rests.begin(Rester(clock, told, number), body_bytes)
    clock.go_to(2 * LOOK_SECONDS)
    assert told == ([] if is_long else [0, 1, 2])
    admission.is_idle = True
    clock.go_to(3 * LOOK_SECONDS)
    assert told == (list(range(5)) if is_long else [0, 1, 2])


@pytest.mark.usefixtures("storm")
def test_one_that_fails_keeps_no_other_from_going_on() -> None:
    """The error is the event loop's to tell, and at the next look it is the others' turn."""
    clock, rests = Clock(), Resting(Waits())  # type: ignore[arg-type]  # as above
    told: list[Any] = []

    class Fails(Rester):
        def resume(self) -> None:
            raise RuntimeError

    rests.begin(Fails(clock, told), 0)
    rests.begin(Rester(clock, told, "other"), 0)
    with pytest.raises(RuntimeError):
        clock.go_to(REST_SECONDS + LOOK_SECONDS)
    clock.go_to(REST_SECONDS + 2 * LOOK_SECONDS)
    assert told == ["other"]


@pytest.mark.parametrize(
    ("is_standing", "body_bytes", "rests"),
    [(True, LONG_BODY_BYTES, True), (True, LONG_BODY_BYTES + 1, False), (False, 0, False)],
)
def test_who_was_answered_gives_way_where_others_wait(is_standing: bool, body_bytes: int, rests: bool) -> None:
    """And not with a long body, which needs time to arrive when its turn has come."""
    admission = Waits()
    paused: list[Any] = []
    admission.is_standing = is_standing
    Resting(admission).give_way(Rester(Clock(), [], paused=paused), body_bytes)  # type: ignore[arg-type]  # as above
    assert bool(paused) is rests


def test_a_few_go_on_at_once() -> None:
    """So many a second do not rest, and as many again in the next one."""
    clock, rests = Clock(), Resting(Waits())  # type: ignore[arg-type]  # as above
    paused: list[int] = []

    def refuse(times: int) -> int:
        paused.clear()
        for number in range(times):
            rests.begin(Rester(clock, [], number, paused), 0)
        return len(paused)

    few = int(AT_ONCE_PER_SECOND)
    assert refuse(few) == 0
    assert refuse(10) == 10
    clock.go_to(0.5)
    assert refuse(few) == few // 2
    clock.go_to(100.0)
    assert refuse(few + 1) == 1


@pytest.mark.usefixtures("storm")
def test_so_many_rest_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond these a connection is not even paused."""
    monkeypatch.setattr(resting, "MOST_RESTING", 2)
    paused: list[Any] = []
    rests = Resting(Waits())  # type: ignore[arg-type]  # as above
    for number in range(3):
        rests.begin(Rester(Clock(), [], number, paused), 0)
    assert paused == [0, 1]
