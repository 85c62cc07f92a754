"""What a call asks its shell to do, one effect at a time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ._transport import HttpReply, HttpRequest

T = TypeVar("T")

Outcome = HttpReply | OSError | None
"""What a shell answers: the reply, the error in its place, or None after anything but a `Send`."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this request and answer with its reply or the OSError that prevented one."""

    request: HttpRequest


@dataclass(frozen=True, slots=True)
class Sleep:
    """Sleep this long and answer with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Together:
    """Perform these steps at the same time, each to its end, and answer with None."""

    lanes: Sequence[Generator[Any, Any, None]]
    stop: Callable[[], None]
    """To be called when the caller gives up: the lanes end with what they are about."""


Steps = Generator[Send | Sleep | Together, Outcome, T]
