"""Deadlines and departed callers: work ends between two row blocks, and waiting counts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from gradient_service.http.patience import Patience

from .conftest import JSON, check_problem, client_of, post
from .slow_work import BLOCKS, INFER, INFER_PATH, LARGE, NATIVE_PATH, SMALL, Caller, SlowWork, app_with, until

pytestmark = pytest.mark.anyio

PATHS = [(NATIVE_PATH, LARGE), (INFER_PATH, INFER)]
DEADLINE = "X-Request-Deadline-Ms"
SLOW_NUMBER = b"2.4703282292062327208e-324,"
"""Next to the middle between two floats; the parser takes ten times as long for it as for others."""
both_paths = pytest.mark.parametrize(("path", "body"), PATHS, ids=["native", "v2"])


@pytest.fixture
def slow() -> Iterator[SlowWork]:
    """Slow work, that ends with the test at the latest."""
    work = SlowWork()
    yield work
    work.gate.set()


@both_paths
async def test_work_ends_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, slow: SlowWork, path: str, body: bytes
) -> None:
    """Past the deadline the answer is 504, and no block is begun any more."""
    async with client_of(app_with(monkeypatch, slow)) as http:
        reply = await http.post(path, content=body, headers=JSON | {DEADLINE: "3000"})
        check_problem(reply, 504, "deadline-exceeded")
        done = slow.done
        await asyncio.sleep(0.1)
    assert 0 < done < BLOCKS
    assert slow.done == done


@both_paths
async def test_work_ends_when_the_caller_leaves(
    monkeypatch: pytest.MonkeyPatch, slow: SlowWork, path: str, body: bytes
) -> None:
    """Once the caller has left no block is begun any more, also where there is no deadline."""
    caller = Caller((body,))
    call = asyncio.create_task(caller.call(app_with(monkeypatch, slow), path))
    await until(lambda: slow.done > 0)
    caller.leaves.set()
    await call
    done = slow.done
    await asyncio.sleep(0.1)
    assert slow.done == done < BLOCKS


async def test_work_ends_when_the_server_cancels_the_call(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """A call that the server cancels, as it does at the end of its draining, leaves no thread at work."""
    call = asyncio.create_task(Caller((LARGE,)).call(app_with(monkeypatch, slow)))
    await until(lambda: slow.done > 0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.sleep(0.05)
    done = slow.done
    await asyncio.sleep(0.1)
    assert slow.done == done < BLOCKS


async def test_threads_that_share_the_blocks_all_end(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """Every thread of a call looks at its deadline."""
    async with client_of(app_with(monkeypatch, slow, threads=4)) as http:
        reply = await http.post(NATIVE_PATH, content=LARGE, headers=JSON | {DEADLINE: "2000"})
        check_problem(reply, 504, "deadline-exceeded")
    assert 0 < slow.done < BLOCKS


async def test_waiting_for_the_body_counts(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """A body that stops to arrive is given up at the deadline."""
    caller = Caller((b'{"logits"',), is_whole=False)
    await caller.call(app_with(monkeypatch, slow), x_request_deadline_ms="50")
    assert caller.status == 504


async def test_waiting_for_a_turn_counts(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """A call behind another one is given up at its deadline, while the other one goes on."""
    slow.is_gated = True
    async with client_of(app_with(monkeypatch, slow, max_concurrency=1)) as http:
        first = asyncio.create_task(http.post(NATIVE_PATH, content=LARGE, headers=JSON))
        await asyncio.sleep(0.05)
        second = await http.post(NATIVE_PATH, content=LARGE, headers=JSON | {DEADLINE: "50"})
        check_problem(second, 504, "deadline-exceeded")
        assert not first.done()
        slow.gate.set()
        assert (await first).status_code == 200


async def test_who_leaves_the_queue_is_not_computed(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """A caller that leaves before its turn ends its call at once."""
    slow.is_gated = True
    app = app_with(monkeypatch, slow, max_concurrency=1)
    first, second = Caller((LARGE,)), Caller((LARGE,))
    calls = [asyncio.create_task(caller.call(app)) for caller in (first, second)]
    await until(lambda: app.state.admission.turns == 2)
    second.leaves.set()
    await calls[1]
    assert not calls[0].done()
    slow.gate.set()
    await calls[0]
    assert first.status == 200


async def test_a_small_call_looks_between_its_stages(monkeypatch: pytest.MonkeyPatch, slow: SlowWork) -> None:
    """A call on the event loop whose computation outlasts the deadline is 504, not written."""
    async with client_of(app_with(monkeypatch, slow)) as http:
        check_problem(await post(http, NATIVE_PATH, SMALL, X_Request_Deadline_Ms="500"), 504, "deadline-exceeded")
    assert 0 < slow.done < BLOCKS


@pytest.mark.parametrize(("path", "body"), [
    (NATIVE_PATH, b'{"logits": [[' + SLOW_NUMBER * 60_000 + b"0," * 200_000 + b"0]]}"),
    (INFER_PATH, INFER.replace(b"20001", b"260001").replace(b"[0,", b"[" + SLOW_NUMBER * 60_000 + b"0," * 180_001)),
])  # fmt: skip
async def test_reading_and_writing_look_at_the_deadline(
    monkeypatch: pytest.MonkeyPatch, http: httpx.AsyncClient, path: str, body: bytes
) -> None:
    """While a large body is read, and between the parts of a large reply, the deadline is looked at."""
    looked = []
    check = Patience.check

    def noted(patience: Patience) -> None:
        looked.append(sys._getframe(1).f_code.co_filename)
        check(patience)

    monkeypatch.setattr(Patience, "check", noted)
    reply = await http.post(path, content=body, headers=JSON)
    assert reply.status_code == 200
    assert sum(place.endswith("apart.py") for place in looked) >= 3
    assert sum("json_writer" in place for place in looked) >= 5


async def test_a_generous_deadline_changes_nothing(http: httpx.AsyncClient) -> None:
    """A call that is done in time is answered as without a deadline, however far it lies."""
    ask = partial(post, http, NATIVE_PATH, {"logits": [[1, 2]]})
    for milliseconds in ("60000", "9" * 18, "9" * 4000):
        assert (await ask(X_Request_Deadline_Ms=milliseconds)).content == (await ask()).content


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "", "soon", "1e3", "+5", "10, 20"])
@both_paths
async def test_a_deadline_that_is_none_is_refused(http: httpx.AsyncClient, path: str, body: bytes, value: str) -> None:
    """A deadline is a positive whole number."""
    reply = await http.post(path, content=body, headers=JSON | {DEADLINE: value})
    check_problem(reply, 400, "malformed-http")


async def test_two_deadlines_are_refused(http: httpx.AsyncClient) -> None:
    """A request has one deadline."""
    headers = [*JSON.items(), (DEADLINE, "1000"), (DEADLINE, "1000")]
    check_problem(await http.post(NATIVE_PATH, content=SMALL, headers=headers), 400, "malformed-http")
