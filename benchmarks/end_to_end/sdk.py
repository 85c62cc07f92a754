"""One call of the client, arrays in and out, against tritonclient, of the same server and of Triton, and sockets."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import tritonclient.http as triton

from benchmarks.core.rounds import take_turns
from benchmarks.end_to_end.bare_socket import receive, round_trips
from benchmarks.http.dialects import SAFETENSORS, Arrays, safetensors
from benchmarks.report.part import Goal, table
from benchmarks.report.samples import Samples
from benchmarks.rivals.maths import loss_and_gradient
from benchmarks.rivals.running import AbsentError, running
from benchmarks.rivals.servers import LOOPBACK, OURS, SERVERS
from gradient_client import GradientClient

SHAPE, SEED = (1000, 1000), 20261127
WANTED_OF_SOCKET = 2.0
CLIENT, SOCKET = "gradient_client", "bare socket, the same request to the same service"
TRITON_HERE, TRITON = "tritonclient with the same service", "tritonclient with Triton"
NOTHING = "bare socket, as many bytes, nothing computed"
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
def tritonclient_calls(port: int, model: str, arrays: Arrays) -> Iterator[Callable[[], Any]]:
    """Yield a call by Triton's client of whoever listens there."""
    inputs = []
    for name, datatype in (("logits", "FP32"), ("labels", "INT64")):
        inputs.append(triton.InferInput(name, arrays[name].shape, datatype))
    client = triton.InferenceServerClient(f"{LOOPBACK}:{port}", network_timeout=60.0)

    def once() -> Any:
        for each in inputs:
            each.set_data_from_numpy(arrays[each.name()])
        return client.infer(model, inputs).as_numpy("gradient")

    try:
        yield once
    finally:
        client.close()


@contextmanager
def socket_calls(port: int, arrays: Arrays) -> Iterator[Callable[[], None]]:
    """Yield a call of the service by a bare socket, which sends bytes that are ready and looks at none that come."""
    dialect = safetensors()
    message = dialect.ask(arrays)
    fields = {"Host": f"{LOOPBACK}:{port}", "Accept": SAFETENSORS, "Content-Length": len(message.body)}
    lines = [
        f"POST {dialect.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in {**message.headers, **fields}.items()),
    ]
    request = "\r\n".join([*lines, "", ""]).encode() + message.body
    with socket.create_connection((LOOPBACK, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        room = memoryview(bytearray(2 * len(request)))

        def once() -> None:
            connection.sendall(request)
            arrived = wanted = connection.recv_into(room)
            head, _, _ = bytes(room[:arrived]).partition(b"\r\n\r\n")
            length = re.search(rb"\r\nContent-Length: *([0-9]+)", head, re.IGNORECASE)
            if length is None or not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the service answered {head[:100]!r}")
            wanted = len(head) + len(b"\r\n\r\n") + int(length[1])
            if not receive(connection, room[arrived:wanted]):
                raise RuntimeError("the service ended its answer early")

        yield once


def measure(seconds: float) -> tuple[list[Goal], str]:
    """Goals and table."""
    arrays = question()
    small = {"logits": arrays["logits"][:1].astype(np.float64), "labels": arrays["labels"][:1]}
    with ExitStack() as stack:
        calls: dict[str, Callable[[], Any]] = {}
        absent = ""
        try:
            of_triton = stack.enter_context(running(TRITON_SERVER, small))
            calls[TRITON] = stack.enter_context(tritonclient_calls(of_triton.port, "gradient_fp32", arrays))
        except AbsentError as error:
            absent = f"; Triton is absent: {error}"
        served = stack.enter_context(running(BY_NAME[OURS], small))
        client = stack.enter_context(GradientClient(f"http://{LOOPBACK}:{served.port}"))
        calls[CLIENT] = lambda: client.gradient(arrays["logits"], arrays["labels"]).gradient
        calls[TRITON_HERE] = stack.enter_context(tritonclient_calls(served.port, "gradient", arrays))
        for call in calls.values():
            check(call(), arrays)
        meta = client.gradient(arrays["logits"], arrays["labels"]).meta
        calls[NOTHING] = stack.enter_context(round_trips(meta.request_bytes, meta.reply_bytes))
        calls[SOCKET] = stack.enter_context(socket_calls(served.port, arrays))
        taken = take_turns(calls, seconds)
    rows = [[name, found.shown(1e3)] for name, found in taken.items()]
    return _goals(taken), table((f"ms a call, 1000×1000 float32{absent}", "median (quartiles)"), rows)


def _goals(taken: dict[str, Samples]) -> list[Goal]:
    goals = []
    for other in (SOCKET, NOTHING):
        ratio = taken[CLIENT].over(taken[other])
        goals.append(Goal(f"client, over a {other}", "≤ 2×", f"{ratio.shown()}×", ratio.median <= WANTED_OF_SOCKET))
    for other in (TRITON_HERE, TRITON):
        if other in taken:
            ratio = taken[other].over(taken[CLIENT])
            goals.append(Goal(f"client, faster than {other}", "> 1×", f"{ratio.shown()}×", ratio.median > 1))
    return goals
