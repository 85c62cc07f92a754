"""When to try again, and after how long: pure decisions, so that they are tested without waiting."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from threading import TIMEOUT_MAX
from typing import TypeGuard

from .errors import ConfigurationError

# Not 500: a fault of the service will be there again. Calls are pure, so repeating one is always safe.
RETRYABLE_STATUSES = frozenset({408, 429, 502, 503, 504})

_FIRST_TOKENS = 10
_CALLS_PER_TOKEN = 10


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failed call is tried again, and how long it waits at most before each try.

    Waits are drawn uniformly from [0, first_wait_seconds · 2^i], capped ("full jitter"), so that clients
    that failed together do not come back together. A `Retry-After` of the service is waited out in full.

    Args:
        max_retries: tries after the first; 0 switches retrying off.
        first_wait_seconds: longest wait before the first retry, in seconds.
        longest_wait_seconds: cap of the doubling, in seconds.

    Raises:
        ConfigurationError: max_retries is negative or no integer, or a wait is negative or not finite.

    Source: M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015.
    """

    max_retries: int = 2
    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 5.0

    def __post_init__(self) -> None:
        if type(self.max_retries) is not int or self.max_retries < 0:
            raise ConfigurationError("Retry: max_retries must be an integer of 0 or more")
        for name in ("first_wait_seconds", "longest_wait_seconds"):
            seconds = getattr(self, name)
            if not (is_number(seconds) and 0 <= seconds <= sys.float_info.max):
                raise ConfigurationError(f"Retry: {name} must be a finite number of seconds, 0 or more")


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a float or an integer, of which clocks take no others."""
    return isinstance(value, int | float) and not isinstance(value, bool)


DEFAULT_RETRY = Retry()


class RetryBudget:
    """A token bucket that one client's calls share: ten retries to start with, then one per ten calls.

    It keeps retries at a tenth of the traffic, so a fleet of clients cannot turn an outage into a storm.
    It has no lock because a lock held in another thread at the moment of a fork would stay held in the
    child for ever; `next` on a counter and `append` and `pop` on a deque are atomic by themselves.
    """

    def __init__(self) -> None:
        self._calls = count(1)
        self._tokens = deque([None] * _FIRST_TOKENS, maxlen=_FIRST_TOKENS)

    def record_call(self) -> None:
        """Count a call; every tenth earns a retry, up to the starting allowance."""
        if next(self._calls) % _CALLS_PER_TOKEN == 0:
            self._tokens.append(None)

    def take(self) -> bool:
        """Whether one more retry is allowed; if so, it is spent."""
        try:
            self._tokens.pop()
        except IndexError:
            return False
        return True


def parse_retry_after(text: str | None, *, now: float) -> float | None:
    """Seconds to wait by a `Retry-After` header, given as seconds or as a date.

    Args:
        text: the header's value, or None.
        now: the time, in seconds since the epoch.

    Returns:
        Seconds, 0 or more, or None if there is no header that can be read.
    """
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - 15 modules for what few calls ever meet

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # no date, or one beyond the calendar
        return None
    # HTTP dates are in GMT; the form without a zone means the same.
    moment = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())


def next_wait_seconds(
    retry: Retry, *, retries_made: int, remaining: float, retry_after: float | None, jitter: float
) -> float | None:
    """How long to wait before trying again.

    Formula: wait = (retry_after or 0) + jitter · min(longest_wait, first_wait · 2^retries_made)

    Args:
        retry: the policy.
        retries_made: retries of this call so far.
        remaining: what is left of the call's time, in seconds; infinity without a limit.
        retry_after: seconds the service asked for, or None.
        jitter: a number in [0, 1), drawn anew for each wait.

    Returns:
        Seconds, or None if the call must give up: the retries are used up, or the wait would not fit, or is longer
        than the system can wait.
    """
    if retries_made >= retry.max_retries:
        return None
    # ldexp would overflow on an absurd number of retries; the cap is reached long before 2^64.
    ceiling = min(retry.longest_wait_seconds, retry.first_wait_seconds * 2.0 ** min(retries_made, 64))
    wait = (retry_after or 0.0) + jitter * ceiling
    return wait if wait < min(remaining, TIMEOUT_MAX) else None
