"""Retry decisions and whole calls, on a clock that only the test moves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from gradient_client import ConfigurationError, DeadlineExceededError, HttpReply, Retry, UnavailableError
from gradient_client._call import Surroundings
from gradient_client._calls import Calls
from gradient_client._retry import RetryBudget, next_wait_seconds, parse_retry_after
from gradient_client._settings import ClientSettings
from gradient_client._steps import Send, Sleep

from .conftest import json_reply, problem

SUNDAY = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("0", 0.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("Sun, 06 Nov 1994 08:49:47 -0000", 10.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("soon", None),
        ("Sun, 06 Nov 19949999999999999999 08:49:37 GMT", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    """Seconds and dates are read, a past date is now, anything else is ignored."""
    assert parse_retry_after(text, now=SUNDAY) == seconds


def wait(**changes: Any) -> float | None:
    """The wait for a policy of 3 retries from 1 s up to 3 s."""
    facts: dict[str, Any] = {"retries_made": 0, "remaining": math.inf, "retry_after": None, "jitter": 0.5}
    return next_wait_seconds(Retry(3, 1.0, 3.0), **(facts | changes))


def test_wait_doubles_up_to_its_cap() -> None:
    """Half of 1, 2 and 3 seconds, then no more retries."""
    assert [wait(retries_made=count) for count in range(4)] == [0.5, 1.0, 1.5, None]


def test_jitter_is_full() -> None:
    """The wait starts at nothing at all."""
    assert wait(jitter=0.0) == 0.0


def test_retry_after_is_a_lower_bound() -> None:
    """The service's wait is waited out, the jitter comes on top."""
    assert wait(retry_after=7.0) == 7.5


def test_wait_that_does_not_fit() -> None:
    """Waiting into the deadline would be waiting for nothing."""
    assert wait(remaining=0.5) is None


def test_wait_longer_than_the_system_can() -> None:
    """A call without a limit of its own ends as well, and not by an error of the system."""
    assert wait(retry_after=9e9) == 9e9 + 0.5
    assert wait(retry_after=1e10) is None


def test_budget() -> None:
    """Ten retries to start with, then one for every ten calls, never more than ten in store."""
    budget = RetryBudget()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(1000):
        budget.record_call()
    assert sum(budget.take() for _ in range(50)) == 10


@pytest.mark.parametrize("arguments", [{"max_retries": -1}, {"max_retries": 1.5}, {"first_wait_seconds": math.nan}])
def test_policy_is_checked(arguments: dict[str, Any]) -> None:
    """A policy that cannot be carried out is refused when it is made."""
    with pytest.raises(ConfigurationError):
        Retry(**arguments)


class Clock:
    """Time that passes only in sleeps and, if told so, in replies."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleeps: list[float] = []
        self.requests: list[Any] = []

    def drive(self, steps: Any, outcomes: Iterable[HttpReply | OSError], seconds: float = 0.0) -> Any:
        """The result of a call whose attempts take this long each."""
        replies = iter(outcomes)
        answer: HttpReply | OSError | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as finished:
                return finished.value
            if isinstance(step, Sleep):
                self.sleeps.append(step.seconds)
                self.now += step.seconds
                answer = None
            else:
                assert isinstance(step, Send)
                self.requests.append(step.request)
                self.now += seconds
                answer = next(replies)

    def calls(self, timeout: float | None = 10.0, **policy: Any) -> Calls:
        """Calls by this clock with the longest jitter."""
        settings = ClientSettings("http://service.test", timeout=timeout, retry=Retry(**policy))
        return Calls(Surroundings(settings, clock=lambda: self.now), jitter=lambda: 1.0)


def test_timeout_is_shared_by_attempts() -> None:
    """Each attempt gets what the ones before it left, and says so to the service."""
    clock = Clock()
    replies = [problem(503, "overloaded"), problem(503, "overloaded"), json_reply({})]
    clock.drive(clock.calls().limits(), replies, seconds=2.0)
    assert [request.timeout_seconds for request in clock.requests] == pytest.approx([10.0, 7.9, 5.7])
    assert clock.requests[1].headers["X-Request-Deadline-Ms"] == "7900"


def test_retry_after_beyond_the_deadline() -> None:
    """A wait longer than the time left is not begun; the error carries it instead."""
    clock = Clock()
    with pytest.raises(UnavailableError) as caught:
        clock.drive(clock.calls().limits(), [problem(503, "overloaded", Retry_After="60")])
    assert (clock.sleeps, caught.value.retry_after) == ([], 60.0)


def test_time_spent_in_the_last_attempt() -> None:
    """A timeout at the deadline is final, with the attempt on the error."""
    clock = Clock()
    with pytest.raises(DeadlineExceededError, match="within 10 s after 1 attempt") as caught:
        clock.drive(clock.calls().limits(), [TimeoutError("slow")], seconds=10.0)
    assert caught.value.attempts[0].elapsed_seconds == 10.0


def test_no_limit() -> None:
    """Without a timeout nothing is promised to the service."""
    clock = Clock()
    clock.drive(clock.calls(timeout=None).limits(), [json_reply({})])
    assert clock.requests[0].timeout_seconds is None
    assert "X-Request-Deadline-Ms" not in clock.requests[0].headers


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_retryable(status: int) -> None:
    """These statuses are tried again."""
    clock = Clock()
    clock.drive(clock.calls().limits(), [problem(status, "x"), json_reply({})])
    assert len(clock.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 501])
def test_not_retryable(status: int) -> None:
    """These are final: they would be the same again."""
    clock = Clock()
    with pytest.raises(Exception, match=str(status)):
        clock.drive(clock.calls().limits(), [problem(status, "x")])
    assert len(clock.requests) == 1


def test_storm_is_bounded() -> None:
    """In an outage a client retries ten times, then once in ten calls."""
    clock = Clock()
    calls = clock.calls(max_retries=5, first_wait_seconds=0.0)
    for _ in range(200):
        with pytest.raises(UnavailableError):
            clock.drive(calls.limits(), [problem(503, "overloaded")] * 6)
    assert 200 + 10 < len(clock.requests) <= 200 + 10 + 20


def test_poll_has_a_timeout_of_its_own() -> None:
    """A machine that swallows packets must not eat the whole wait in one attempt."""
    clock = Clock()
    steps = clock.calls().wait_until_ready(60.0)
    clock.drive(steps, [TimeoutError("no answer"), json_reply({})], seconds=5.0)
    assert [request.timeout_seconds for request in clock.requests] == [5.0, 5.0]
