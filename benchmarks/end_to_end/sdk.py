"""One call of the client, arrays in and out, against tritonclient with Triton and against bare sockets."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import tritonclient.http as triton

from benchmarks.core.rounds import take_turns
from benchmarks.end_to_end.bare_socket import round_trips
from benchmarks.http.dialects import Arrays
from benchmarks.report.part import Goal, table
from benchmarks.report.samples import Samples
from benchmarks.rivals.maths import loss_and_gradient
from benchmarks.rivals.running import AbsentError, running
from benchmarks.rivals.servers import LOOPBACK, OURS, SERVERS
from gradient_client import GradientClient

SHAPE, SEED = (1000, 1000), 20261127
WANTED_OF_SOCKET = 2.0
CLIENT, TRITON, SOCKET = "gradient_client", "tritonclient with Triton", "bare socket, the same bytes"
BY_NAME = {server.name: server for server in SERVERS}
TRITON_SERVER = next(server for server in SERVERS if server.environment == "triton")


def question() -> Arrays:
    """Rows and labels in float32."""
    generator = np.random.default_rng(SEED)
    logits = generator.normal(scale=3, size=SHAPE).astype(np.float32)
    return {"logits": logits, "labels": generator.integers(0, SHAPE[1], SHAPE[0])}


def check(gradient: Any, arrays: Arrays) -> None:
    """Stop where an answer is wrong."""
    _, expected = loss_and_gradient(arrays["logits"].astype(np.float64), arrays["labels"])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-9)


@contextmanager
def tritonclient_calls(arrays: Arrays) -> Iterator[Callable[[], Any]]:
    """Start Triton; yield a call by its client."""
    inputs = []
    for name, datatype in (("logits", "FP32"), ("labels", "INT64")):
        inputs.append(triton.InferInput(name, arrays[name].shape, datatype))
    small = {"logits": arrays["logits"][:1].astype(np.float64), "labels": arrays["labels"][:1]}
    with running(TRITON_SERVER, small) as served:
        client = triton.InferenceServerClient(f"{LOOPBACK}:{served.port}", network_timeout=60.0)

        def once() -> Any:
            for each in inputs:
                each.set_data_from_numpy(arrays[each.name()])
            return client.infer("gradient_fp32", inputs).as_numpy("gradient")

        try:
            yield once
        finally:
            client.close()


def measure(seconds: float) -> tuple[list[Goal], str]:
    """Goals and table."""
    arrays = question()
    small = {"logits": arrays["logits"][:1].astype(np.float64), "labels": arrays["labels"][:1]}
    with ExitStack() as stack:
        served = stack.enter_context(running(BY_NAME[OURS], small))
        client = stack.enter_context(GradientClient(f"http://{LOOPBACK}:{served.port}"))
        first = client.gradient(arrays["logits"], arrays["labels"])
        check(first.gradient, arrays)
        trip = stack.enter_context(round_trips(first.meta.request_bytes, first.meta.reply_bytes))
        calls = {CLIENT: lambda: client.gradient(arrays["logits"], arrays["labels"]).gradient, SOCKET: trip}
        absent = ""
        try:
            calls[TRITON] = stack.enter_context(tritonclient_calls(arrays))
            check(calls[TRITON](), arrays)
        except AbsentError as error:
            absent = f"; Triton is absent: {error}"
        taken = take_turns(calls, seconds)
    rows = [[name, found.shown(1e3)] for name, found in taken.items()]
    return _goals(taken), table((f"ms a call, 1000×1000 float32{absent}", "median (quartiles)"), rows)


def _goals(taken: dict[str, Samples]) -> list[Goal]:
    ratio = taken[CLIENT].over(taken[SOCKET])
    goals = [
        Goal("client, over a bare socket's round trip", "≤ 2×", f"{ratio.shown()}×", ratio.median <= WANTED_OF_SOCKET)
    ]
    if TRITON in taken:
        ratio = taken[TRITON].over(taken[CLIENT])
        goals.append(Goal("client, faster than tritonclient", "> 1×", f"{ratio.shown()}×", ratio.median > 1))
    return goals
