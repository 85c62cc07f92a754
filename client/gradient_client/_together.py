"""Doing several things at once: in threads, and in tasks of asyncio or trio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any


def run_together(calls: Sequence[Callable[[], None]], stop: Callable[[], None]) -> None:
    """Make the calls at the same time and wait for all; where one fails, or the wait is cut short, have them stop."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few calls need it

    def make(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException:
            stop()
            raise

    with ThreadPoolExecutor(len(calls)) as pool:
        try:
            for _ in pool.map(make, calls):
                pass
        finally:
            stop()


async def async_run_together(
    calls: Sequence[Callable[[], Coroutine[Any, Any, None]]], stop: Callable[[], None]
) -> None:
    """Make the calls at the same time and wait for all; where one fails, or the wait is cut short, cancel them."""
    import anyio  # noqa: PLC0415 - comes with httpx, and like httpx is too slow to load before it is needed

    try:
        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(call)
    except BaseExceptionGroup as failures:
        # One alone is what the synchronous client would raise.
        raise failures.exceptions[0] from None
    finally:
        stop()
