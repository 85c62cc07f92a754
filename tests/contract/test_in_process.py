"""The client without a network: the application of this process, the bits and refusals of a call over HTTP."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import numpy as np
import pytest

from gradient_client import (
    AsyncGradientClient,
    ConfigurationError,
    DeadlineExceededError,
    GradientClient,
    RejectedInputError,
    _in_process,
)
from gradient_client._wire import WireName

from .conftest import Ask
from .test_chunks import LABELS, LOGITS, bits

KINDS = ["sync", "asyncio", "trio"]


def ask_in_process(kind: str, method: str, *args: object, wire: WireName = "binary", **options: object) -> Any:
    """Run one method of a client of each kind without a network."""
    if kind == "sync":
        with GradientClient.in_process(wire=wire) as client:
            return getattr(client, method)(*args, **options)

    async def run_async() -> Any:
        async with AsyncGradientClient.in_process(wire=wire) as client:
            return await getattr(client, method)(*args, **options)

    return anyio.run(run_async, backend=kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_have_the_bits_of_a_call_over_http(ask: Ask, wire: WireName, kind: str, dtype: str) -> None:
    """Without a network the results of both formats are the same to the last bit."""
    for method, labels in (("softmax", []), ("loss", [LABELS]), ("gradient", [LABELS])):
        arguments = LOGITS.astype(dtype), *labels
        assert bits(ask_in_process(kind, method, *arguments, wire=wire)) == bits(ask(method, *arguments))


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_in_process(kind: str) -> None:
    """Chunks go the same way."""
    chunked = ask_in_process(kind, "gradient", LOGITS, LABELS, chunk_rows=50)
    assert bits(chunked) == bits(ask_in_process(kind, "gradient", LOGITS, LABELS))


def test_a_large_text_in_process() -> None:
    """A text of more than a mebibyte is read like any other."""
    logits = np.random.default_rng(0).normal(size=(1000, 100))
    text = ask_in_process("sync", "softmax", logits, wire="json")
    assert bits(text) == bits(ask_in_process("sync", "softmax", logits))


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_in_process(kind: str) -> None:
    """What the service refuses it refuses here, by the same error."""
    with pytest.raises(RejectedInputError, match="label-out-of-range at /labels/0"):
        ask_in_process(kind, "loss", [[1.0, 2.0]], [5])


def test_the_service_in_process_is_ready() -> None:
    """It has limits and takes work at once."""
    with GradientClient.in_process() as client:
        client.wait_until_ready(timeout=5)
        assert client.limits().max_elements > 0


def test_the_time_limit_holds_in_process() -> None:
    """A call that takes longer than its limit ends with it."""
    with GradientClient.in_process(timeout=0.02) as client, pytest.raises((DeadlineExceededError, TimeoutError)):
        client.gradient(np.zeros((200_000, 100)), np.zeros(200_000, np.int64))


def test_a_client_in_process_pickles() -> None:
    """A copy in another process asks the application there."""
    with GradientClient.in_process() as client, pickle.loads(pickle.dumps(client)) as twin:  # noqa: S301 - our own
        assert twin.loss([[0.0, 0.0]], [0]).loss == client.loss([[0.0, 0.0]], [0]).loss


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_an_application_of_its_own() -> None:
    """After a fork both sides go on."""
    with GradientClient.in_process() as client:
        client.limits()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if client.loss([[0.0, 0.0]], [0]).loss > 0 else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0


def test_a_process_ends_in_silence() -> None:
    """Nothing is left behind that would warn, or keep the process."""
    code = "from gradient_client import GradientClient\nGradientClient.in_process().limits()"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, timeout=60, check=False)
    assert (done.returncode, b"event loop" in done.stderr) == (0, False), done.stderr


def test_the_service_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not, the error says what to install."""
    monkeypatch.setitem(sys.modules, "gradient_service", None)
    with pytest.raises(ConfigurationError, match="installed beside the client"):
        GradientClient.in_process()


def test_threads_that_ask_at_once_share_one_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first chunks of a batch come in several threads; each once started an application of its own."""
    made: list[object] = []

    class Slow:
        def __init__(self) -> None:
            time.sleep(0.05)
            made.append(self)

    monkeypatch.setattr(_in_process, "Application", Slow)
    monkeypatch.setattr(_in_process, "_applications", {})
    with ThreadPoolExecutor(8) as pool:
        found = {*pool.map(lambda _: _in_process._application(), range(8))}
    assert found == {*made}
    assert len(made) == 1
