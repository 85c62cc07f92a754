"""A server that reads so many bytes and answers so many, and nothing else: what the machine's sockets take.

`python -m benchmarks.end_to_end.bare_socket PORT REQUEST_BYTES REPLY_BYTES` is its process.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from benchmarks.rivals.environments import ROOT
from benchmarks.rivals.servers import LOOPBACK
from tests.contract.serving import free_port

START_SECONDS = 10.0


def receive(connection: socket.socket, buffer: memoryview) -> bool:
    """Fill a buffer; false where the other side ends before."""
    filled = 0
    while filled < len(buffer):
        count = connection.recv_into(buffer[filled:])
        if not count:
            return False
        filled += count
    return True


def serve(port: int, request_bytes: int, reply_bytes: int) -> None:
    """Answer one connection until it ends."""
    request, reply = memoryview(bytearray(request_bytes)), bytes(reply_bytes)
    with socket.create_server((LOOPBACK, port)) as listener:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while receive(connection, request):
                connection.sendall(reply)


@contextmanager
def round_trips(request_bytes: int, reply_bytes: int) -> Iterator[Callable[[], None]]:
    """Start the server; yield what makes one round trip."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.end_to_end.bare_socket", str(port)]
    with subprocess.Popen([*command, str(request_bytes), str(reply_bytes)], cwd=ROOT) as process:  # noqa: S603 - this module
        connection = _connect(port)
        request, reply = bytes(request_bytes), memoryview(bytearray(reply_bytes))

        def once() -> None:
            connection.sendall(request)
            receive(connection, reply)

        try:
            yield once
        finally:
            connection.close()
            process.terminate()


def _connect(port: int) -> socket.socket:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            connection = socket.create_connection((LOOPBACK, port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        time.sleep(0.01)
    sys.exit("the bare socket's server did not start")


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
