"""What a request pays for its id and its line in the log, in microseconds of the processor.

`python -m benchmarks.request_log` calls an application that does nothing, alone and behind the middleware: with the log
off, with it on, and for a request that continues a trace. Lines go through a pipe to another process. Each figure is
the best of many rounds, and the difference to the bare application.
"""

import asyncio
import logging
import subprocess
from collections.abc import Sequence
from shutil import which
from time import thread_time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradient_service.http.log_lines import OFF, LineHandler
from gradient_service.http.request_log import RequestLog, RequestLogMiddleware, Told, logger

ROUNDS, REQUESTS = 50, 1000
HEADERS = [(name, b"a value") for name in (b"host", b"content-type", b"content-length", b"user-agent", b"accept")]
TRACED = [*HEADERS, (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]


class Place:
    """What stands for a route."""

    path = "/gradient"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Read and answer, as little as an application can."""
    await receive()
    scope["route"] = Place
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS]})
    await send({"type": "http.response.body", "body": b""})


async def receive() -> Message:
    """A body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    """Nobody's reply."""


class Uncounted:
    """Counts nothing."""

    def count(self, told: Sequence[Told]) -> None:
        """Count nothing."""

    def count_refused(self, milliseconds: Sequence[float]) -> None:
        """Count nothing."""


async def one_round(app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> float:
    """Microseconds of one request, on the average of a round."""
    begun = thread_time()
    for _ in range(REQUESTS):
        await app({"type": "http", "method": "POST", "path": "/gradient", "headers": headers}, receive, send)
    return (thread_time() - begun) / REQUESTS * 1e6


def best(app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> float:
    """Microseconds of one request in the best round."""
    return min(asyncio.run(one_round(app, headers)) for _ in range(ROUNDS))


def main() -> None:
    """Measure and print."""
    told = RequestLogMiddleware(answer, RequestLog(Uncounted()))
    with subprocess.Popen([which("cat") or "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:  # noqa: S603 - arguments from above
        if reader.stdin is None:
            return
        logger.addHandler(LineHandler(reader.stdin.fileno()))
        bare = best(answer, HEADERS)
        for name, level, headers in (
            ("off", OFF, HEADERS),
            ("on", logging.INFO, HEADERS),
            ("traced", logging.INFO, TRACED),
        ):
            logger.setLevel(level)
            print(f"{name}: {best(told, headers) - bare:.1f} us")
        reader.stdin.close()


if __name__ == "__main__":
    main()
