"""Sleeping, for a thread and for a task of asyncio or trio."""

from __future__ import annotations

import time


def pause(seconds: float) -> None:
    """Let this thread sleep."""
    time.sleep(seconds)


async def async_pause(seconds: float) -> None:
    """Let this task sleep, whichever event loop runs it."""
    import anyio  # noqa: PLC0415 - comes with httpx, and like httpx is too slow to load before it is needed

    await anyio.sleep(seconds)
