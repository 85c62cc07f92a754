"""Every call as a generator that says what should happen next and is told how it went.

A shell drives it: it performs each `Send` and `Sleep` and answers with the reply, or with the `OSError`
that took its place. So retries, deadlines and polling exist once, know no HTTP library and no event
loop, and are tested with neither sockets nor waiting.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from ._call import Call, CallStart, Surroundings
from ._chunk_plan import Chunking, check_rows, rows_within, take_chunking
from ._fields import Value
from ._outputs import ContractError
from ._progress import counting_rows
from ._protocol import Message, Operation, ResultT, build_message, expectation_of, read_fields
from ._replies import parse_limits, parse_reply
from ._retry import RETRYABLE_STATUSES, RetryBudget, next_wait_seconds
from ._settings import check_timeout
from ._spans import spanning
from ._steps import Outcome, Send, Sleep, Steps
from ._transport import HttpReply
from ._wire import WIRES
from .errors import DeadlineExceededError, GradientClientError, ResponseError, ServiceError, TransportError
from .results import Limits

T = TypeVar("T")


_FIRST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 1.0
# A machine that is still booting swallows packets; the next poll may reach it, this one never will.
_POLL_TIMEOUT_SECONDS = 5.0


class Calls:
    """The calls of one client, as generators of effects.

    Args:
        surroundings: settings, hook and clock.
        jitter: draws from [0, 1).
    """

    def __init__(self, surroundings: Surroundings, *, jitter: Callable[[], float] = random.random) -> None:
        self._surroundings = surroundings
        self._jitter = jitter
        self._budget = RetryBudget()
        self._wire = WIRES[surroundings.settings.wire]

    def compute(
        self, operation: Operation[ResultT], inputs: Mapping[str, object], options: Mapping[str, object]
    ) -> Steps[ResultT]:
        """The result of an operation."""
        start = CallStart(self._surroundings.clock())  # before encoding: the time limit covers all of the call
        given = {**inputs, **options}
        chunking = take_chunking(given) if operation.arrays else None
        fields = read_fields(operation, given)
        if chunking is None:
            return (yield from self._ask(operation, fields, start))
        with spanning(operation.name, start.request_id, start.context) as context:
            below = replace(start, context=context)
            return (yield from self._ask_in_chunks(operation, fields, chunking, below))

    def _ask(self, operation: Operation[ResultT], fields: Mapping[str, Value], start: CallStart) -> Steps[ResultT]:
        expected = expectation_of(operation, fields, self._wire)
        call = self._begin(operation.name, build_message(fields, expected, self._wire), start)
        return (yield from self._answer(call, lambda reply: parse_reply(reply, expected, call.meta(reply))))

    def _ask_in_chunks(
        self, operation: Operation[ResultT], fields: Mapping[str, Value], chunking: Chunking, start: CallStart
    ) -> Steps[ResultT]:
        """The same in several requests, which share one id and one time limit."""
        from ._chunks import Chunks  # noqa: PLC0415 - most calls do not need it

        num_rows = check_rows(fields)
        expected = expectation_of(operation, fields, self._wire)
        rows = chunking.rows
        if rows is None:
            rows = rows_within((yield from self.limits(start)), fields, self._wire, expected)
        with counting_rows(chunking.progress, num_rows) as count:
            chunks = Chunks(fields, expected, lambda part: self._ask(operation, part, start), count)
            return (yield from chunks.run(rows))

    def limits(self, start: CallStart | None = None) -> Steps[Limits]:
        """The service's limits."""
        call = self._begin("limits", Message("GET", "/limits"), start)
        return (yield from self._answer(call, parse_limits))

    def ready(self) -> Steps[bool]:
        """Whether the service would take work now: one attempt, and anything but a yes is a no."""
        call = self._begin("ready", Message("GET", "/readyz"))
        return _is_yes((yield Send(call.build_request())))

    def wait_until_ready(self, timeout: float) -> Steps[None]:
        """Poll until ready, with growing pauses."""
        check_timeout(timeout)
        message = Message("GET", "/readyz")
        call = Call("wait_until_ready", message, self._surroundings, timeout=timeout)
        pause = _FIRST_POLL_SECONDS
        while call.remaining > 0:
            started_after = call.elapsed
            outcome = yield Send(call.build_request(at_most=_POLL_TIMEOUT_SECONDS))
            call.record(outcome, started_after=started_after)
            if _is_yes(outcome):
                return
            yield Sleep(min(pause, max(0.0, call.remaining)))
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)
        address = self._surroundings.settings.base_url
        raise DeadlineExceededError(
            f"{address} was not ready within {timeout:g} s; last answer: {call.last_outcome}",
            request_id=call.request_id,
            attempts=tuple(call.attempts),
        )

    def _begin(self, operation: str, message: Message, start: CallStart | None = None) -> Call:
        timeout = self._surroundings.settings.timeout
        return Call(operation, message, self._surroundings, start=start, timeout=timeout)

    def _answer(self, call: Call, parse: Callable[[HttpReply], T]) -> Steps[T]:
        """The parsed reply of a call, with the events around it."""
        call.begin()
        outcome, is_error = "cancelled", True
        try:
            reply = yield from self._exchange(call)
            call.check_size(reply)
            result = parse(reply)
            outcome, is_error = str(reply.status), False
        except ContractError as broken:
            outcome = "ResponseError"
            message = f"{call.operation}: {broken} (request {call.request_id})"
            attempts = tuple(call.attempts)
            raise ResponseError(message, request_id=call.request_id, attempts=attempts) from None
        except GradientClientError as error:
            outcome = type(error).__name__
            raise
        finally:
            call.end(outcome, is_error=is_error)
        return result

    def _exchange(self, call: Call) -> Steps[HttpReply]:
        """Send, and send again as the policy allows, until there is a reply that is no problem."""
        self._budget.record_call()
        while True:
            started_after = call.elapsed
            if call.remaining <= 0:
                raise call.build_error(TimeoutError("no time left to send"))
            outcome = yield Send(call.build_request())
            call.record(outcome, started_after=started_after)
            if isinstance(outcome, HttpReply) and not outcome.is_error:
                return outcome
            error = call.build_error(outcome)
            wait = self._wait_before_retry(call, error)
            if wait is None:
                raise error
            call.wait(wait)
            yield Sleep(wait)

    def _wait_before_retry(self, call: Call, error: ServiceError | TransportError) -> float | None:
        if isinstance(error, ServiceError) and error.status not in RETRYABLE_STATUSES:
            return None
        wait = next_wait_seconds(
            self._surroundings.settings.retry,
            retries_made=len(call.attempts) - 1,
            remaining=call.remaining,
            retry_after=error.retry_after if isinstance(error, ServiceError) else None,
            jitter=self._jitter(),
        )
        # The bucket comes last: only a retry that will happen may spend a token.
        return wait if wait is not None and self._budget.take() else None


def _is_yes(outcome: Outcome) -> bool:
    return isinstance(outcome, HttpReply) and outcome.status == 200  # noqa: PLR2004 - the one status of success
