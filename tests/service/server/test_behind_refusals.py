"""Messages that came together with a call that was refused: whatever they are, each is answered, and as itself."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from safetensors.numpy import save

from gradient_service.http.admission import Admission
from gradient_service.server import resting
from gradient_service.server.protocol import MAX_PIPELINED, PARSED_BYTES, GuardedProtocol
from gradient_service.settings import Settings

from .busy import BODY, CALL, call, make_busy, status
from .conftest import Talk

pytestmark = pytest.mark.anyio

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
FRESH_SEED = int.from_bytes(os.urandom(4), "big")
SHORT_REST, LEAST_SECONDS = 0.1, 0.2


def padded(num_bytes: int) -> bytes:
    """A call of this length, by a field that nobody reads."""
    field = b"X-Filling: %b\r\nHost" % (b"a" * (num_bytes - len(CALL) - len(b"X-Filling: \r\n")))
    return CALL.replace(b"Host", field, 1)


def softmax_of(logits: NDArray[np.float64]) -> bytes:
    """A call in tensors."""
    message = call(save({"logits": logits})).replace(b"application/json", b"application/x-safetensors", 1)
    return message.replace(b"/loss", b"/softmax", 1)


def make_rests_short(patched: pytest.MonkeyPatch, seconds: float = SHORT_REST) -> None:
    """Have every call find no room, and rests end soon."""
    make_busy(patched)
    patched.setattr(resting, "REST_SECONDS", seconds)
    patched.setattr(resting, "LONG_BODY_REST_SECONDS", seconds)


async def test_calls_are_read_later_too(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many the first are refused; the others rest with the connection, and are answered then."""
    with monkeypatch.context() as patched:
        make_busy(patched)
        await talk.send(40 * CALL)
        refused = 0
        with suppress(TimeoutError):
            while True:
                assert await asyncio.wait_for(status(talk), LEAST_SECONDS) == b"503"
                refused += 1
    assert 0 < refused < 20
    assert [await status(talk) for _ in range(40 - refused)] == (40 - refused) * [b"200"]


@pytest.mark.parametrize("num_bytes", range(len(CALL) + 20, len(CALL) + 140, 7))
async def test_the_connection_stays_in_step(talk: Talk, monkeypatch: pytest.MonkeyPatch, num_bytes: int) -> None:
    """Wherever a message is cut where the rest begins, each is answered once, and so is the next one."""
    with monkeypatch.context() as patched:
        make_rests_short(patched)
        await talk.send(20 * padded(num_bytes))
        assert [await status(talk) for _ in range(20)] == 20 * [b"503"]
    await talk.send(CALL)
    assert await status(talk) == b"200"


@pytest.mark.parametrize("behind", [b"", call(BODY.ljust(20_000))], ids=["alone", "followed"])
async def test_a_large_call_is_answered_for_its_own_bytes(
    app: FastAPI,
    talk: Talk,
    connect: Callable[[], asyncio.Future[Talk]],
    monkeypatch: pytest.MonkeyPatch,
    behind: bytes,
) -> None:
    """There may be room for a large one, though none is left for a small one before it."""
    large = softmax_of(np.random.default_rng(0).normal(size=(40_000, 4)))
    other = await connect()
    await other.send(large)
    _, expected = await other.answer()
    admission: Admission = app.state.readiness.admission
    used = admission._max_bytes - 40 * 1024 * 1024
    monkeypatch.setattr(resting, "AT_ONCE_PER_SECOND", 0.0)
    admission.count(used)
    try:
        await talk.send(CALL + large + behind)
        assert await status(talk) == b"503"
        head, body = await talk.answer()
    finally:
        admission.release(used)
    assert head[9:12] == b"200"
    assert body == expected


async def test_a_head_behind_others_may_be_as_long_as_any(talk: Talk) -> None:
    """What is counted of a head that has not come to its end is none of the messages before it."""
    long = padded(Settings().max_header_bytes)
    await talk.send(10 * GET + long[: -len(BODY) - 1])
    await asyncio.sleep(0.01)
    await talk.send(long[-len(BODY) - 1 :])
    assert [await status(talk) for _ in range(11)] == 11 * [b"200"]


@pytest.mark.parametrize("num_before", [MAX_PIPELINED - 1, MAX_PIPELINED, MAX_PIPELINED + 1])
async def test_the_body_of_a_large_call_behind_many_is_its_own(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, num_before: int
) -> None:
    """Where it begins in the bytes in which a rest began, and behind as many messages as may wait."""
    short = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    large = softmax_of(np.random.default_rng(0).normal(size=(25_000, 4)))
    await talk.send(large)
    _, expected = await talk.answer()
    with monkeypatch.context() as patched:
        make_busy(patched)
        patched.setattr(Admission, "refuses", lambda _, num_bytes, *__: num_bytes == len(BODY))
        await talk.send(padded(PARSED_BYTES + 2) + num_before * short + large)
        assert await status(talk) == b"503"
        assert [await status(talk) for _ in range(num_before)] == num_before * [b"200"]
    assert (await talk.answer())[1] == expected
    await talk.send(CALL)
    assert await status(talk) == b"200"


async def test_upgrades_are_answered(
    talk: Talk, connect: Callable[[], asyncio.Future[Talk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also two of them, and others whose connections rest are read again all the same."""
    other = await connect()
    with monkeypatch.context() as patched:
        make_rests_short(patched)
        await talk.send(padded(PARSED_BYTES) + 2 * UPGRADE)
        await other.send(CALL + GET)
        assert [await status(talk) for _ in range(3)] == [b"503", b"200", b"200"]
        assert [await status(other) for _ in range(2)] == [b"503", b"200"]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes are kept after each reading."""
    found: list[int] = []
    received = GuardedProtocol.data_received

    def noted(protocol: GuardedProtocol, data: bytes) -> None:
        received(protocol, data)
        found.append(len(protocol._behind))

    monkeypatch.setattr(GuardedProtocol, "data_received", noted)
    return found


async def test_little_is_kept(talk: Talk, monkeypatch: pytest.MonkeyPatch, kept: list[int]) -> None:
    """However much a caller sends behind a refusal, and though one of the messages is answered meanwhile."""
    with monkeypatch.context() as patched:
        make_busy(patched)
        talk.writer.write(CALL + GET + 20_000 * CALL)
        await asyncio.sleep(LEAST_SECONDS)
        talk.writer.transport.abort()
    assert 0 < max(kept) < 100_000


async def test_little_is_kept_behind_a_call_that_is_computed(talk: Talk, kept: list[int]) -> None:
    """However much a caller sends, and though the call itself is told when its caller leaves."""
    talk.writer.write(softmax_of(np.zeros((200_000, 10))) + 50_000 * GET)
    assert await status(talk) == b"200"
    assert 0 < max(kept) < 100_000
    talk.writer.transport.abort()


@pytest.mark.parametrize("seed", [20261130, FRESH_SEED], ids=["fixed", "fresh"])
async def test_each_has_its_own_answer_or_is_refused(
    connect: Callable[[], asyncio.Future[Talk]], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Drawn calls one behind the other, whichever are refused, and in whatever pieces they arrive."""
    rng = random.Random(seed)  # noqa: S311  # draws are to be repeated
    numbers = np.random.default_rng(seed)
    calls = [softmax_of(numbers.normal(size=(num_rows, 4))) for num_rows in (1, 1, 32, 300, 2000, 4000)]
    calls += [call(b'{"logits": [[1, %d]], "labels": [0]}' % number) for number in range(3)]
    talk, expected = await connect(), []
    for each in calls:
        await talk.send(each)
        expected.append((await talk.answer())[1])
    make_rests_short(monkeypatch, 0.01)
    monkeypatch.setattr(Admission, "refuses", lambda *_: rng.random() < 0.5)

    async def send(data: bytes) -> None:
        while data:
            size = rng.choice((50, 1000, 16 * 1024, 100_000))
            await talk.send(data[:size])
            data = data[size:]
            await asyncio.sleep(rng.choice((0, 0, 0.005)))

    statuses = set()
    for _ in range(40):
        asked = rng.choices(range(len(calls)), k=rng.randint(1, 5))
        sending = asyncio.create_task(send(b"".join(calls[number] for number in asked)))
        for number in asked:
            head, body = await talk.answer()
            statuses.add(head[9:12])
            assert head[9:12] == b"503" or body == expected[number], f"seed {seed}"
        await sending
    assert statuses == {b"200", b"503"}
