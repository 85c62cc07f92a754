"""Callers that send drop by drop: how long they are waited for, and what they cost the others."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

from benchmarks.reliability.figures import Verdict, percentile
from benchmarks.reliability.load import check, closed_load, run
from benchmarks.reliability.messages import Batch
from benchmarks.reliability.service import on_cores, running, separate_cores

SOCKETS, ROUNDS, SECONDS = 200, 5, 4.0
DRIP_SECONDS = 0.5
ENDED_SECONDS = 12.0
HOST = b"Host: localhost\r\n"
POST = b"POST /loss HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
SENDERS = {
    "head": (b"GET /livez HTTP/1.1\r\n" + HOST, b"X: a\r\n"),
    "body": (POST + b"Content-Length: 1000\r\n\r\n", b" "),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}
CALL = Batch(32, 10).json()


async def drip(port: int, first: bytes, more: bytes) -> float:
    """Send drop by drop until the other side ends the connection; return the seconds."""
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError):
        writer.write(first)
        while True:
            with suppress(TimeoutError):
                if await asyncio.wait_for(reader.read(65536), DRIP_SECONDS):
                    break
            writer.write(more)
    writer.close()
    return time.monotonic() - begun


async def lifetimes(port: int) -> dict[str, float]:
    """How long one sender of each kind is waited for."""
    seconds = await asyncio.gather(*(drip(port, *sender) for sender in SENDERS.values()))
    return dict(zip(SENDERS, seconds, strict=True))


@asynccontextmanager
async def dripping(port: int, count: int) -> AsyncIterator[None]:
    """Have so many slow senders meanwhile."""
    kinds = list(SENDERS.values())
    tasks = [asyncio.create_task(drip(port, *kinds[number % len(kinds)])) for number in range(count)]
    await asyncio.sleep(DRIP_SECONDS)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def p99_beside(port: int, slow: int) -> float:
    """The 99th percentile of a live client's seconds beside some slow senders."""
    async with dripping(port, slow):
        tally = await closed_load(port, CALL, 1, SECONDS)
    return percentile(tally.seconds[200], 0.99)


def pairs(port: int) -> Iterator[tuple[float, float]]:
    """The percentile without and with slow senders, in turns."""
    for number in range(ROUNDS):
        found = {slow: run(p99_beside(port, slow)) for slow in ((0, SOCKETS) if number % 2 else (SOCKETS, 0))}
        print(f"  p99 {found[0] * 1e3:.2f} ms alone, {found[SOCKETS] * 1e3:.2f} ms beside {SOCKETS} slow sockets")
        yield found[0], found[SOCKETS]


def main() -> int:
    """Print lifetimes, then each round."""
    verdict = Verdict()
    load_cores, service_cores = separate_cores()
    with on_cores(load_cores), running(cores=service_cores) as service:
        check(service.port, CALL)
        ended = run(lifetimes(service.port))
        print("  ended after " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in ended.items()))
        alone, beside = zip(*pairs(service.port), strict=True)
    verdict.want(f"slowest ended after {max(ended.values()):.1f} s, wanted 12", met=max(ended.values()) < ENDED_SECONDS)
    before, after = statistics.median(alone), statistics.median(beside)
    verdict.want(
        f"p99, median of {ROUNDS}: {before * 1e3:.2f} ms alone, {after * 1e3:.2f} ms beside {SOCKETS} slow sockets, "
        "wanted 10 % or 2 ms more at the most",
        met=after <= max(1.1 * before, before + 0.002),
    )
    return verdict.close()
