"""Admission: calls that memory or cores have no room for are refused at once, and what was reserved is free again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI

from gradient_service.app import create_app
from gradient_service.http import admission
from gradient_service.http.admission import (
    ARRIVING_SECONDS,
    READ_AHEAD_BYTES,
    STANDING_FOR_EACH,
    WAITING_FOR_EACH,
    Admission,
    Reservation,
)
from gradient_service.http.open_inference.statistics import ModelCounters
from gradient_service.http.problems import HttpProblemError
from gradient_service.settings import Settings

from .conftest import JSON, check_problem, client_of, post
from .slow_work import BLOCKS, INFER_PATH, LARGE, NATIVE_PATH, SMALL, Caller, SlowWork, app_with, until

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
PART = 65_536
JACOBIAN = {"logits": [[0] * 100], "labels": [0], "include": ["jacobian"]}


@pytest.fixture
def slow() -> Iterator[SlowWork]:
    """Slow work, that ends with the test at the latest."""
    work = SlowWork()
    yield work
    work.gate.set()


def app_of(**settings: int) -> FastAPI:
    """A started application."""
    app = create_app(Settings.model_construct(None, **settings))
    app.state.lifecycle.is_started = True
    return app


class Sender:
    """A body of blanks that remembers how much of it was taken."""

    def __init__(self) -> None:
        self.taken = 0

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield up to 8 MiB."""
        while self.taken < 8 * MIB:
            self.taken += PART
            yield b" " * PART


def check_overloaded(reply: httpx.Response) -> None:
    """The reply is the refusal that says when to ask again."""
    check_problem(reply, 503, "overloaded")
    assert reply.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/softmax", "/loss", "/gradient", INFER_PATH])
async def test_a_declared_body_without_room_is_refused_unread(path: str) -> None:
    """A body whose memory does not fit is 503 before any of it is read."""
    sender = Sender()
    async with client_of(app_of(max_in_flight_bytes=MIB)) as http:
        headers = JSON | {"Content-Length": str(8 * MIB)}
        check_overloaded(await http.post(path, content=sender.parts(), headers=headers))
    assert sender.taken <= PART  # the client's own first part


async def test_a_chunked_body_is_refused_once_it_has_no_room() -> None:
    """The memory of a body without a length is reserved as it arrives."""
    sender = Sender()
    async with client_of(app_of(max_in_flight_bytes=16 * MIB)) as http:
        check_overloaded(await http.post("/softmax", content=sender.parts(), headers=JSON))
    assert MIB < sender.taken < 2 * MIB


async def test_a_reply_without_room_is_refused_before_it_is_computed() -> None:
    """A small request for a large reply is 503 where the reply does not fit; at its limit it is 422 as ever."""
    async with client_of(app_of(max_in_flight_bytes=MIB // 4)) as http:
        check_overloaded(await post(http, "/gradient", JACOBIAN))
        assert (await post(http, "/gradient", JACOBIAN | {"include": ["gradient"]})).status_code == 200
    async with client_of(app_of(max_in_flight_bytes=MIB // 4, max_jacobian_elements=9)) as http:
        check_problem(await post(http, "/gradient", JACOBIAN), 422, "output-too-large", "/include/0")


async def test_memory_is_reserved_until_the_reply_is_sent() -> None:
    """A reply counts while a part of it is still to be sent."""
    app = app_of()
    seen = []
    await Caller((LARGE,), on_answer=lambda: seen.append(app.state.admission.in_flight_bytes)).call(app)
    assert min(seen) > len(LARGE)
    assert app.state.admission.in_flight_bytes == 0


async def test_what_only_reading_takes_is_given_back(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """While a call computes, its body and its arrays count, and no more what the parser needed."""
    app = app_with(monkeypatch, slow)
    caller = Caller((LARGE,))
    call = asyncio.create_task(caller.call(app))
    await until(lambda: slow.done > 0)
    assert app.state.admission.in_flight_bytes == len(LARGE) + 20_001 * 8
    caller.leaves.set()
    await call


async def test_bodies_under_way_count_together() -> None:
    """What one call holds another one cannot have; once it is free, it can."""
    app = app_of(max_in_flight_bytes=MIB // 2)
    first = Caller((LARGE,), is_whole=False)
    call = asyncio.create_task(first.call(app))
    async with client_of(app) as http:
        await until(lambda: app.state.admission.in_flight_bytes > MIB // 4)
        check_overloaded(await post(http, "/softmax", LARGE))
        first.leaves.set()
        await call
        assert (await post(http, "/softmax", LARGE[:8001] + b"0]]}")).status_code == 200


async def test_readiness_says_when_there_is_no_room() -> None:
    """/readyz is 503 while what was refused would be refused again, and lists this part when asked."""
    app = app_of(max_in_flight_bytes=MIB * 5 // 8)
    first = Caller((LARGE,), is_whole=False)
    call = asyncio.create_task(first.call(app))
    async with client_of(app) as http:
        await until(lambda: app.state.admission.in_flight_bytes > MIB // 4)
        assert (await http.get("/readyz")).status_code == 200
        await post(http, "/softmax", LARGE)
        check_overloaded(await http.get("/readyz"))
        check_overloaded(await http.get("/v2/health/ready"))
        assert (await http.get("/livez")).status_code == 200
        first.leaves.set()
        await call
        assert (await http.get("/readyz?verbose")).json()["parts"]["within_budget"] is True


async def test_a_call_that_never_fits_keeps_nobody_away() -> None:
    """A call larger than the whole budget is refused, and the service stays ready for others."""
    async with client_of(app_of(max_in_flight_bytes=1000)) as http:
        check_overloaded(await post(http, "/softmax", LARGE))
        assert (await http.get("/readyz")).status_code == 200


async def test_calls_beyond_the_queue_are_refused_unread(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """Some large calls wait for each that computes; the next is 503 unread, small ones and health are answered."""
    slow.is_gated = True
    app = app_with(monkeypatch, slow, max_concurrency=1)
    async with client_of(app) as http:
        calls = [asyncio.create_task(post(http, NATIVE_PATH, LARGE)) for _ in range(1 + WAITING_FOR_EACH)]
        await until(lambda: app.state.admission.turns == len(calls))
        sender = Sender()
        headers = JSON | {"Content-Length": str(MIB)}
        check_overloaded(await http.post(NATIVE_PATH, content=sender.parts(), headers=headers))
        assert sender.taken <= PART
        check_overloaded(await http.get("/readyz"))
        assert (await http.get("/livez")).status_code == 200
        assert (await post(http, "/gradient", {"logits": [[1, 2]], "labels": [0]})).status_code == 200
        slow.gate.set()
        assert {reply.status_code for reply in await asyncio.gather(*calls)} == {200}
        assert (await http.get("/readyz")).status_code == 200


def admission_of(**settings: int) -> Admission:
    """What decides, without an application."""
    return Admission(Settings.model_construct(None, **settings))


async def test_no_call_waits_for_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where calls take as long as a caller waits, none waits behind another one, and one that is alone is computed."""
    monkeypatch.setattr(admission, "WAITING_SECONDS", 0.0)
    admitting = admission_of(max_concurrency=1)
    assert await admitting.in_turn(lambda: 1) == 1
    with admitting.place(), admitting.place():
        assert not admitting.has_room
        with pytest.raises(HttpProblemError):
            await admitting.in_turn(lambda: 1)
    assert await admitting.in_turn(lambda: 1) == 1


async def test_bodies_that_arrive_have_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more large bodies are read at once than may wait; one that takes long loses its place to others."""
    now = 0.0
    monkeypatch.setattr(admission, "monotonic", lambda: now)
    admitting = admission_of(max_concurrency=1)
    with ExitStack() as arriving:
        for _ in range(1 + WAITING_FOR_EACH):
            arriving.enter_context(admitting.place())
        with pytest.raises(HttpProblemError), admitting.place():
            pass
        assert admitting.refuses(2 * MIB)
        assert not admitting.refuses(100)
        now = ARRIVING_SECONDS + 0.01
        assert not admitting.refuses(2 * MIB)
    assert admitting.has_room


def test_bodies_that_wait_leave_memory_for_their_work() -> None:
    """What waits for the event loop leaves a quarter of the memory, what has a thread of its own nothing."""
    admitting = admission_of(max_in_flight_bytes=8 * MIB, max_concurrency=1)
    admitting.reserve(6 * MIB)
    assert not admitting.refuses(2 * MIB)
    assert admitting.refuses(100)
    admitting.release(100)
    assert not admitting.refuses(100)


def test_there_is_no_room_where_the_least_call_is_refused() -> None:
    """To ask changes nothing, whatever was asked about."""
    admitting = admission_of(max_in_flight_bytes=8 * MIB, max_concurrency=1)
    admitting.reserve(6 * MIB)
    assert admitting.refuses(7 * MIB)
    has_room = [admitting.has_room]
    for more in (1, -1):
        admitting.count(more)
        has_room.append(admitting.has_room)
    assert has_room == [True, False, True]


def test_what_is_too_long_is_not_told_to_ask_again() -> None:
    """A body beyond every limit is left to the application, however little room there is."""
    longest = 20 * MIB
    limits = {"max_json_body_bytes": MIB, "max_binary_body_bytes": longest}
    admitting = admission_of(max_in_flight_bytes=8 * MIB, max_concurrency=1, **limits)
    admitting.reserve(8 * MIB)
    assert admitting.refuses(longest)
    assert not admitting.refuses(longest + 1)


def test_what_is_kept_for_the_work_has_a_bound() -> None:
    """Beside a call that holds most of a large memory, small ones find room."""
    admitting = admission_of(max_in_flight_bytes=4096 * MIB)
    admitting.reserve(4032 * MIB - 100)
    assert not admitting.refuses(100)
    assert admitting.refuses(101)


def test_an_idle_service_refuses_nothing_unseen() -> None:
    """What never fits is found out by the application, and beside others it keeps nobody away."""
    admitting = admission_of(max_in_flight_bytes=1000, max_concurrency=1)
    assert not admitting.refuses(5 * MIB)
    admitting.reserve(1)
    assert admitting.refuses(5 * MIB)
    assert admitting.has_room


def test_bytes_that_are_there_count_whatever_room_there_is() -> None:
    """They are in use already; nothing else finds room beside them."""
    admitting = admission_of(max_in_flight_bytes=1000)
    admitting.count(5000)
    with pytest.raises(HttpProblemError):
        admitting.reserve(1)
    admitting.release(5000)
    admitting.reserve(1)


def test_what_text_takes_counts_before_it_is_read() -> None:
    """A body of which each byte takes several is refused where one of them would not be."""
    admitting = admission_of(max_in_flight_bytes=100 * MIB)
    admitting.count(50 * MIB)
    assert not admitting.refuses(10 * MIB)
    assert not admitting.refuses(5 * MIB, memory_per_byte=9)
    assert admitting.refuses(10 * MIB, memory_per_byte=9)
    admitting.release(50 * MIB)
    assert not admitting.refuses(20 * MIB, memory_per_byte=9)  # with nothing in flight to try it tells more


def test_large_calls_in_the_line_have_a_place() -> None:
    """A large call counts among those that wait for a thread before it is worked on."""
    admitting = admission_of(max_concurrency=1)
    begins = [admitting.expect(MIB + 1) for _ in range(1 + WAITING_FOR_EACH)]
    assert admitting.refuses(MIB + 1)
    assert not admitting.refuses(MIB)
    for begin in begins[STANDING_FOR_EACH:]:
        assert admitting.refuses(2 * MIB)
        begin()
    assert not admitting.refuses(2 * MIB)


def test_once_a_large_call_was_turned_away_fewer_wait_until_none_does() -> None:
    """So that in lasting overload nobody waits for longer than a caller does; who was let in before stays."""
    admitting = admission_of(max_concurrency=2)

    def let_in() -> list[Callable[[], None]]:
        return [*iter(lambda: None if admitting.refuses(2 * MIB) else admitting.expect(2 * MIB), None)]

    begins = let_in()
    assert len(begins) == 2 * (1 + WAITING_FOR_EACH)
    assert not admitting.has_room
    for num_waiting in range(2 * WAITING_FOR_EACH - 1, -1, -1):
        begins.pop()()
        assert admitting.has_room is (num_waiting < 2 * STANDING_FOR_EACH)
        assert admitting.refuses(2 * MIB) is not admitting.has_room
    assert len(let_in()) == 2 * WAITING_FOR_EACH


def test_who_asks_for_room_where_none_waits_finds_all_of_it() -> None:
    """Though no large call has come since."""
    admitting = admission_of(max_concurrency=1)
    begins = [admitting.expect(2 * MIB) for _ in range(1 + WAITING_FOR_EACH)]
    assert admitting.refuses(2 * MIB)
    for begin in begins:
        begin()
    assert admitting.has_room
    admitting.turns = WAITING_FOR_EACH
    assert admitting.has_room


@pytest.mark.parametrize(("waited", "is_refused"), [(0.0, False), (0.4, False), (0.5, True), (2.0, True)])
async def test_a_large_call_that_has_waited_joins_a_shorter_queue(
    waited: float, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four calls of a tenth of a second before it are too many where it would be answered 0.85 seconds late."""
    now = 0.0
    monkeypatch.setattr(admission, "monotonic", lambda: now)

    def work() -> None:
        nonlocal now
        now += 0.1

    admitting = admission_of(max_concurrency=1)
    for _ in range(100):
        await admitting.in_turn(work)
    for _ in range(5):
        admitting.expect(2 * MIB)
    assert admitting.refuses(2 * MIB, waited) is is_refused


def test_what_is_read_of_waiting_calls_counts() -> None:
    """As much as the server may have read of a body before its call's turn is in use until then."""
    admitting = admission_of(max_in_flight_bytes=4096 * MIB)
    begins = [admitting.expect(body_bytes) for body_bytes in (1000, MIB, None)]
    assert admitting.in_flight_bytes == 1000 + 2 * READ_AHEAD_BYTES
    for begin in begins:
        begin()
    assert admitting.in_flight_bytes == 0


async def test_a_small_body_with_large_work_meets_the_queue(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """A call found to be large once it is read is refused as well where too many wait."""
    slow.is_gated = True
    app = app_with(monkeypatch, slow, max_concurrency=1)
    async with client_of(app) as http:
        calls = [asyncio.create_task(post(http, NATIVE_PATH, LARGE)) for _ in range(1 + WAITING_FOR_EACH)]
        await until(lambda: app.state.admission.turns == len(calls))
        body = {"logits": [[0] * 300], "labels": [0], "include": ["jacobian"]}
        check_overloaded(await post(http, "/gradient", body))
        slow.gate.set()
        await asyncio.gather(*calls)


ENDS: list[tuple[str, str, bytes, dict[str, str], int]] = [
    ("answered", "/softmax", LARGE, {}, 200),
    ("answered on the event loop", "/softmax", SMALL, {}, 200),
    ("no JSON", "/softmax", LARGE[:-1], {}, 400),
    ("broken contract", "/softmax", b'{"logits": [[1], [1, 2]]}', {}, 422),
    ("too large", "/softmax", b" " * (2 * MIB), {}, 413),
    ("wrong type", "/softmax", SMALL, {"content_type": "text/plain"}, 415),
    ("past the deadline", "/softmax", LARGE, {"x_request_deadline_ms": "1"}, 504),
    ("no gzip", INFER_PATH, LARGE, {"content_encoding": "gzip"}, 400),
]


async def test_a_count_that_fails_leaves_nothing_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no descriptor is left for its file."""

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(ModelCounters, "succeeded", fail)
    app = app_of()
    body = b'{"inputs": [{"name": "logits", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}'
    caller = Caller((body,))
    await caller.call(app, INFER_PATH)
    assert caller.status == 500
    assert app.state.admission.in_flight_bytes == 0


@pytest.mark.parametrize(("path", "body", "headers", "status"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS])
async def test_nothing_stays_reserved(path: str, body: bytes, headers: dict[str, str], status: int) -> None:
    """However a call ends, its memory is free again."""
    app = app_of(max_json_body_bytes=MIB)
    middle = len(body) // 2
    caller = Caller((body[:middle], body[middle:]))
    await caller.call(app, path, **headers)
    assert caller.status == status
    assert (app.state.admission.in_flight_bytes, app.state.admission.turns) == (0, 0)


async def test_nothing_stays_reserved_for_who_left_in_the_body() -> None:
    """A caller that leaves before its body has arrived holds nothing."""
    app = app_of()
    caller = Caller((LARGE[:20_000],), is_whole=False)
    call = asyncio.create_task(caller.call(app))
    await until(lambda: app.state.admission.in_flight_bytes > 0)
    caller.leaves.set()
    await call
    assert app.state.admission.in_flight_bytes == 0


async def test_nothing_stays_reserved_for_who_left_at_work(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """A caller that leaves while its call computes holds nothing, nor a turn."""
    app = app_with(monkeypatch, slow)
    caller = Caller((LARGE,))
    call = asyncio.create_task(caller.call(app))
    await until(lambda: slow.done > 0)
    assert app.state.admission.turns == 1
    caller.leaves.set()
    await call
    assert slow.done < BLOCKS
    assert (app.state.admission.in_flight_bytes, app.state.admission.turns) == (0, 0)


async def test_nothing_stays_reserved_for_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that ends in a fault of the service holds nothing."""

    class Faulty(SlowWork):
        def _block(self, _: slice) -> None:
            raise RuntimeError

    app = app_with(monkeypatch, Faulty())
    async with client_of(app) as http:
        check_problem(await post(http, NATIVE_PATH, LARGE), 500, "internal-error")
    assert (app.state.admission.in_flight_bytes, app.state.admission.turns) == (0, 0)


def test_a_call_that_is_over_reserves_nothing() -> None:
    """What a thread asks for after its call was released is refused, and counted nowhere."""
    admission = Admission(Settings.model_construct())
    reservation = Reservation(admission)
    reservation.add(100)
    reservation.release()
    with pytest.raises(HttpProblemError):
        reservation.add(100)
    assert admission.in_flight_bytes == 0


@pytest.mark.parametrize("is_whole", [True, False], ids=["at work", "in the body"])
async def test_nothing_stays_reserved_for_a_cancelled_call(
    monkeypatch: pytest.MonkeyPatch, slow: SlowWork, *, is_whole: bool
) -> None:
    """A call that the server cancels holds nothing."""
    slow.is_gated = True
    app = app_with(monkeypatch, slow)
    call = asyncio.create_task(Caller((LARGE,), is_whole=is_whole).call(app))
    await until(lambda: app.state.admission.in_flight_bytes > 0 and app.state.admission.turns == int(is_whole))
    call.cancel()
    slow.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (app.state.admission.in_flight_bytes, app.state.admission.turns) == (0, 0)


async def test_nothing_stays_reserved_for_a_reply_that_cannot_be_sent() -> None:
    """A caller that is gone when the reply is sent holds nothing."""
    app = app_of()

    def fail() -> None:
        raise OSError

    with pytest.raises(RuntimeError, match="response already started") as failure:
        await Caller((LARGE,), on_answer=fail).call(app)
    assert isinstance(failure.value.__cause__, OSError)
    assert app.state.admission.in_flight_bytes == 0
