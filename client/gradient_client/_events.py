"""What a client tells while it works: one event stream for the caller's hook and for logging."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Event", "EventHook"]

# The root of the package's loggers. Lines hold the operation, numbers and ids: never a header, a key or
# an element of an array.
_logger = logging.getLogger("gradient_client")


EventKind = Literal["started", "attempt", "retry", "done"]
"""`attempt` follows each try, `retry` announces the wait before the next, `done` ends every call but one for
readiness."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a call, as handed to `on_event`."""

    kind: EventKind
    """Which step."""
    operation: str
    """The method's name."""
    request_id: str
    """The id that the service logs."""
    attempt: int = 0
    """Number of the attempt the event is about; 0 before the first."""
    outcome: str | None = None
    """`attempt`, `done`: the status, or what failed."""
    seconds: float = 0.0
    """`attempt`, `done`: time taken. `retry`: time to wait."""


EventHook = Callable[[Event], None]


def announce(event: Event, hook: EventHook | None) -> None:
    """Log an event (retries as INFO, the rest as DEBUG) and hand it to the caller's hook."""
    level = logging.INFO if event.kind == "retry" else logging.DEBUG
    if _logger.isEnabledFor(level):
        _logger.log(
            level,
            "%s %s attempt=%d outcome=%s seconds=%.4f request_id=%s",
            event.operation,
            event.kind,
            event.attempt,
            event.outcome,
            event.seconds,
            event.request_id,
        )
    if hook is not None:
        try:
            hook(event)
        except Exception:
            _logger.exception("on_event failed: %s %s", event.operation, event.kind)
