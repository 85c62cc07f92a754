"""The client against services that are faulty on the socket: whether calls end in time, and how often it retries."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import anyio
import numpy as np

from benchmarks.reliability.figures import Verdict
from gradient_client import AsyncGradientClient, GradientClient, GradientClientError, Retry

BUDGET_SECONDS, GRACE_SECONDS = 0.3, 0.05
CALLS, STORM_CALLS = 10, 300
ALLOWANCE, WANTED_SHARE = 10, 0.10
LOGITS = np.zeros((100, 1000))
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-safetensors\r\nContent-Length: 800000\r\n\r\n"
Conversation = Callable[[socket.socket], None]


def drips(data: bytes) -> Conversation:
    """Send byte by byte, for ever."""

    def talk(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)

    return talk


def resets(connection: socket.socket) -> None:
    """Reset the connection in the middle of the reply."""
    connection.sendall(HEAD + bytes(1000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def takes_slowly(connection: socket.socket) -> None:
    """Take the request byte by byte."""
    while connection.recv(100):
        time.sleep(0.01)


def streams(connection: socket.socket) -> None:
    """Send without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-safetensors\r\n\r\n")
    while True:
        connection.sendall(bytes(65536))


def drips_in_the_body(connection: socket.socket) -> None:
    """Send a head, and a byte now and then."""
    connection.sendall(HEAD)
    drips(bytes(1000))(connection)


FAULTS: dict[str, Conversation] = {
    "silent": lambda _: time.sleep(2 * BUDGET_SECONDS),
    "closes at once": lambda _: None,
    "reset in the reply": resets,
    "reply cut short": lambda connection: connection.sendall(HEAD + bytes(1000)),
    "dripping head": drips(HEAD + bytes(1000)),
    "dripping body": drips_in_the_body,
    "endless body": streams,
    "takes the request slowly": takes_slowly,
    "503 with seconds": lambda connection: connection.sendall(BUSY % b"1"),
    "503 with a date": lambda connection: connection.sendall(BUSY % formatdate(time.time() + 2, usegmt=True).encode()),
    "503 again and again": lambda connection: connection.sendall(BUSY % b"0"),
}


@contextmanager
def serving(talk: Conversation) -> Iterator[str]:
    """Talk on every connection; yield the address."""

    def converse(connection: socket.socket) -> None:
        with connection:
            try:
                if talk is not takes_slowly:
                    connection.recv(65536)
                talk(connection)
            except OSError:
                return

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def overrun(client: GradientClient) -> float:
    """Seconds that the longest of several calls outlives its time; negative where all end before."""
    longest = 0.0
    for _ in range(CALLS):
        began = time.monotonic()
        try:
            client.softmax(LOGITS)
        except GradientClientError:
            longest = max(longest, time.monotonic() - began)
    return longest - BUDGET_SECONDS


async def async_overrun(client: AsyncGradientClient) -> float:
    """The same for the asynchronous client."""
    longest = 0.0
    for _ in range(CALLS):
        began = time.monotonic()
        try:
            await client.softmax(LOGITS)
        except GradientClientError:
            longest = max(longest, time.monotonic() - began)
    await client.aclose()
    return longest - BUDGET_SECONDS


def storm() -> float:
    """Retries for each call while nothing but 503 is answered, after the starting allowance."""
    told: list[str] = []
    with serving(FAULTS["503 again and again"]) as url:
        retry = Retry(5, first_wait_seconds=0.0)
        with GradientClient(url, retry=retry, on_event=lambda event: told.append(event.kind)) as client:
            for _ in range(STORM_CALLS):
                try:
                    client.limits()
                except GradientClientError:
                    continue
    return (told.count("retry") - ALLOWANCE) / STORM_CALLS


def main() -> int:
    """Print the worst of each fault, for both clients."""
    verdict = Verdict()
    for name, talk in FAULTS.items():
        with serving(talk) as url, GradientClient(url, timeout=BUDGET_SECONDS) as client:
            late = overrun(client)
            late_async = anyio.run(async_overrun, AsyncGradientClient(url, timeout=BUDGET_SECONDS))
        figures = f"{late * 1e3:+.0f} ms from its limit, asynchronous {late_async * 1e3:+.0f} ms"
        text = f"{name}: the longest call ends {figures}"
        verdict.want(text, met=max(late, late_async) <= GRACE_SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with GradientClient(f"http://127.0.0.1:{port}", timeout=BUDGET_SECONDS) as client:
        late = overrun(client)
    verdict.want(f"refused: the longest call ends {late * 1e3:+.0f} ms from its limit", met=late <= GRACE_SECONDS)
    share = storm()
    verdict.want(f"retries in a storm, after the allowance: {share:.1%} of calls", met=share <= WANTED_SHARE)
    return verdict.close()
