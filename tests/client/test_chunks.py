"""Batches in chunks without a service: what is refused, what stops, what is told."""

from __future__ import annotations

import copy
import math
import pickle
import sys
import time
from fractions import Fraction
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from gradient_client import (
    AsyncGradientClient,
    ChunkError,
    ConfigurationError,
    DeadlineExceededError,
    GradientClient,
    HttpReply,
    HttpRequest,
    InputError,
    UnavailableError,
)
from gradient_client._exact_sum import exact_sum, rounded_with_tail, scaled_product
from gradient_client.testing import FakeService

from .conftest import URL, Ask, Script, softmax_reply

LOGITS, LABELS = np.zeros((100, 3)), np.zeros(100, np.int64)


def client_of(fake: Any) -> GradientClient:
    """A client of a fake service."""
    return GradientClient(URL, transport=fake)


@pytest.mark.parametrize("rows", [0, -1, 1.5, True, "many", np.array(1.5), np.array([1, 2])])
def test_chunk_rows_is_a_number_of_rows(ask: Ask, rows: object) -> None:
    """What is neither a number of rows nor auto is refused before anything is sent."""
    script = Script([softmax_reply()])
    with pytest.raises(InputError, match="chunk_rows"):
        ask(script, "softmax", LOGITS, chunk_rows=rows)
    assert script.requests == []


def test_progress_is_of_chunks(ask: Ask) -> None:
    """Progress of one request would say nothing."""
    with pytest.raises(InputError, match='chunk_rows="auto"'):
        ask(Script([softmax_reply()]), "softmax", LOGITS, progress=True)


@pytest.mark.parametrize("progress", [1, "bar", np.zeros(3)])
def test_progress_is_a_function_or_a_bar(ask: Ask, progress: object) -> None:
    """What can be neither is refused by name."""
    with pytest.raises(InputError, match="progress is of type"):
        ask(Script([softmax_reply()]), "softmax", LOGITS, chunk_rows=10, progress=progress)


def test_a_check_is_of_the_whole_batch(ask: Ask) -> None:
    """A check takes no chunks, and says so as of any keyword it does not have."""
    with pytest.raises(TypeError, match="chunk_rows"):
        ask(Script([softmax_reply()]), "check", LOGITS, LABELS, gradient=LOGITS, chunk_rows=1)


def test_every_field_has_the_rows_of_the_logits() -> None:
    """A field that is too short could not be told from one whose rows went into other chunks."""
    with client_of(FakeService()) as client, pytest.raises(InputError, match="labels does not have the 100 rows"):
        client.loss(LOGITS, LABELS[:99], chunk_rows=10)


@pytest.mark.parametrize("name", ["class_weights", "sample_weights"])
def test_weights_beyond_the_range(name: str) -> None:
    """Weights whose sum no float64 holds are refused, as the service would refuse them of one call."""
    weights = {name: np.full(3 if name == "class_weights" else 100, 1e308)}
    with client_of(FakeService()) as client, pytest.raises(InputError, match=f"{name} add up beyond"):
        client.gradient(LOGITS, LABELS, chunk_rows=10, **weights)  # type: ignore[arg-type] # a table of one entry


class Counting:
    """A fake service that breaks at one of its requests."""

    def __init__(self, broken: int) -> None:
        self.fake, self.count, self.broken = FakeService(), 0, broken

    def __call__(self, request: HttpRequest) -> HttpReply:
        """The answer, or what no transport should raise."""
        self.count += 1
        if self.count == self.broken:
            raise RuntimeError("a mistake in the transport")
        return self.fake(request)

    async def awaited(self, request: HttpRequest) -> HttpReply:
        """The same for the asynchronous client."""
        await anyio.lowlevel.checkpoint()
        return self(request)


def test_a_mistake_stops_the_other_lanes() -> None:
    """What is no error of ours is raised as it is, and most of the batch is not sent any more."""
    counting = Counting(broken=3)
    with client_of(counting) as client, pytest.raises(RuntimeError, match="a mistake"):
        client.loss(LOGITS, LABELS, chunk_rows=1)
    assert counting.count < len(LOGITS)


def test_a_mistake_stops_the_other_tasks() -> None:
    """The asynchronous client raises the same, and not a group of it."""
    counting = Counting(broken=3)

    async def ask() -> None:
        async with AsyncGradientClient(URL, transport=counting.awaited) as client:
            await client.loss(LOGITS, LABELS, chunk_rows=1)

    with pytest.raises(RuntimeError, match="a mistake"):
        anyio.run(ask)
    assert counting.count < len(LOGITS)


def test_cancelling_ends_all_lanes() -> None:
    """A cancelled call sends nothing more."""
    sent: list[HttpRequest] = []

    async def forever(request: HttpRequest) -> HttpReply:
        sent.append(request)
        await anyio.sleep_forever()
        raise AssertionError

    async def ask() -> None:
        async with AsyncGradientClient(URL, transport=forever) as client:
            with anyio.move_on_after(0.05):
                await client.loss(LOGITS, LABELS, chunk_rows=1)

    anyio.run(ask)
    assert 1 < len(sent) <= 4


def test_the_time_limit_is_of_all_chunks() -> None:
    """A batch whose chunks would take longer than the time allowed ends in time, with what is done."""
    fake = FakeService()

    def slowly(request: HttpRequest) -> HttpReply:
        time.sleep(0.05)
        return fake(request)

    began = time.monotonic()
    with GradientClient(URL, transport=slowly, timeout=1.0) as client, pytest.raises(ChunkError) as caught:
        client.loss(np.zeros((1000, 3)), np.zeros(1000, np.int64), chunk_rows=1)
    assert isinstance(caught.value.error, DeadlineExceededError)
    assert 0 < len(caught.value.partial) < 1000
    assert time.monotonic() - began < 5  # all chunks would take 12


def test_a_failing_function_of_progress_ends_the_call() -> None:
    """What the caller's own function raises is the caller's."""

    def fail(_done: int, _rows: int) -> None:
        raise ZeroDivisionError

    with client_of(FakeService()) as client, pytest.raises(ZeroDivisionError):
        client.loss(LOGITS, LABELS, chunk_rows=10, progress=fail)


def test_progress_by_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """With tqdm there is a bar that ends at all rows."""
    with client_of(FakeService()) as client:
        client.loss(LOGITS, LABELS, chunk_rows=10, progress=True)
    assert "100/100" in capsys.readouterr().err


def test_progress_needs_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says what to install, or what to pass instead."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with client_of(FakeService()) as client, pytest.raises(ConfigurationError, match="install tqdm"):
        client.loss(LOGITS, LABELS, chunk_rows=10, progress=True)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - our own
def test_partial_results_travel(clone: Any) -> None:
    """The error reaches another process with what the finished chunks gave, and with its cause."""
    fake = FakeService()
    fake.answer(gradient=1.0)
    fake.refuse("overloaded", status=503, retry_after=60)
    with client_of(fake) as client, pytest.raises(ChunkError) as caught:
        client.gradient(LOGITS, LABELS, chunk_rows=50)
    twin = clone(caught.value)
    assert type(twin.error) is UnavailableError
    assert twin.rows in {(0, 50), (50, 100)}
    assert {twin.rows, *twin.partial} == {(0, 50), (50, 100)}


@pytest.mark.parametrize("spread", [0, 30, 250])
def test_sums_are_exact(spread: int) -> None:
    """Any numbers of any sizes add up to the float64 nearest to their sum."""
    generator = np.random.default_rng(spread)
    values = np.ldexp(generator.normal(size=10_001), generator.integers(-spread, spread + 1, 10_001))
    values[::3] *= -1
    assert exact_sum([values[:7], values[7:]]) == float(sum(map(Fraction, values.tolist())))


def test_products_are_exact() -> None:
    """A product and what rounding left out of it are the product."""
    a, b = np.random.default_rng(7).normal(size=(2, 1000))
    for x, y, product, error, exponent in zip(a, b, *scaled_product(a, b), strict=True):
        assert Fraction(x) * Fraction(y) == (Fraction(product) + Fraction(error)) * Fraction(2) ** int(exponent)


def test_tails_are_what_rounding_left_out() -> None:
    """A sum and its tail add up to the numbers, exactly."""
    numbers = [1e16, 1.0, 1e-17, -1e-40, 3e-60]
    total, tail = rounded_with_tail(numbers)
    assert sum(map(Fraction, (total, *tail))) == sum(map(Fraction, numbers))
    assert total == math.fsum(numbers)
    assert rounded_with_tail([]) == (0.0, ())
