"""Every method, on the synchronous client and on the asynchronous one under asyncio and trio."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gradient_client import (
    DeadlineExceededError,
    InputError,
    RejectedInputError,
    ResponseError,
    Retry,
    TransportError,
    UnavailableError,
)

from .conftest import Ask, Script, gradient_reply, json_reply, problem, softmax_reply

LOGITS = [[1.0, 2.0], [3.0, 0.5]]
QUICK = {"retry": Retry(first_wait_seconds=0.0)}


def test_softmax_returns_typed_arrays(ask: Ask) -> None:
    """Probabilities arrive in the dtype asked for and labels as int64, writable and C-contiguous."""
    result = ask(Script([softmax_reply(applied={"dtype": "float32"})]), "softmax", LOGITS, dtype="float32")
    assert result.probabilities.dtype == np.float32
    assert result.predicted_labels.dtype == np.int64
    assert all(result.probabilities.flags[flag] for flag in ("C_CONTIGUOUS", "WRITEABLE"))


def test_gradient_returns_loss_gradient_and_summary(ask: Ask) -> None:
    """The default outputs of gradient are read, the summary's tails as tuples."""
    result = ask(Script([gradient_reply()]), "gradient", LOGITS, [0, 1])
    assert result.loss == 0.75
    assert result.gradient.tolist() == [[0.5, -0.5], [-0.25, 0.25]]
    assert result.summary.loss_tail == (1e-17,)


def test_labels_travel_positionally_and_options_by_name(ask: Ask) -> None:
    """What is None is not sent, everything else is sent under its field's name."""
    script = Script([gradient_reply()])
    ask(script, "loss", LOGITS, [0, 1], label_smoothing=0.1, temperature=None, reduction="mean")
    expected = {"logits": LOGITS, "labels": [0, 1], "label_smoothing": 0.1, "reduction": "mean"}
    assert script.sent == expected


def test_limits_are_a_tolerant_mapping(ask: Ask) -> None:
    """A limit this version does not know is in the mapping beside the known attributes."""
    strange = {"max_novelty": 7, "max_reply_bytes": 10**400, "max_nesting": "8"}
    limits = ask(Script([json_reply({"max_elements": 64, **strange})]), "limits")
    assert {*limits} == {"max_elements", "max_novelty"}
    assert (limits.max_elements, limits["max_novelty"], dict(limits)["max_elements"]) == (64, 7, 64)
    assert pickle.loads(pickle.dumps(limits)) == limits  # noqa: S301 - our own object


def test_ready_is_true_on_200(ask: Ask) -> None:
    """A service that answers its readiness probe is ready."""
    assert ask(Script([json_reply({})]), "ready") is True


@pytest.mark.parametrize("outcome", [problem(503, "shutting-down"), ConnectionRefusedError("refused")])
def test_ready_is_false_otherwise(ask: Ask, outcome: OSError) -> None:
    """A draining service and one that is not there are both just not ready, at the first attempt."""
    script = Script([outcome])
    assert ask(script, "ready") is False
    assert len(script.requests) == 1


def test_wait_until_ready_polls(ask: Ask) -> None:
    """Polling goes on through refused connections until the service is there."""
    script = Script([ConnectionRefusedError("refused"), problem(503, "starting"), json_reply({})])
    ask(script, "wait_until_ready", timeout=5)
    assert len(script.requests) == 3


def test_wait_until_ready_gives_up(ask: Ask) -> None:
    """When the time is up the error names the last answer."""
    with pytest.raises(DeadlineExceededError, match="last answer: 503"):
        ask(Script([problem(503, "starting")]), "wait_until_ready", timeout=0.05)


def test_problem_becomes_error(ask: Ask) -> None:
    """A 422 is a ValueError that knows slug, pointer and row, and is not retried."""
    script = Script([problem(422, "label-out-of-range", "/labels/3")])
    with pytest.raises(RejectedInputError, match="label-out-of-range at /labels/3") as caught:
        ask(script, "loss", LOGITS, [0, 5], options=QUICK)
    assert (caught.value.slug, caught.value.row, len(caught.value.attempts)) == ("label-out-of-range", 3, 1)
    assert isinstance(caught.value, ValueError)


def test_retries_until_success(ask: Ask) -> None:
    """A dropped connection and a 503 are tried again, and the result lists all attempts."""
    script = Script([ConnectionResetError("reset"), problem(503, "overloaded"), gradient_reply()])
    result = ask(script, "gradient", LOGITS, [0, 1], options=QUICK)
    assert [attempt.status for attempt in result.meta.attempts] == [None, 503, 200]
    assert len({request.headers["X-Request-ID"] for request in script.requests}) == 1


def test_retries_end(ask: Ask) -> None:
    """After the last retry the last error is raised with every attempt on it."""
    with pytest.raises(UnavailableError) as caught:
        ask(Script([problem(502, "bad-gateway")]), "limits", options=QUICK)
    assert [attempt.number for attempt in caught.value.attempts] == [1, 2, 3]


def test_transport_failure(ask: Ask) -> None:
    """A service out of reach is a ConnectionError."""
    with pytest.raises(TransportError) as caught:
        ask(Script([ConnectionRefusedError("refused")]), "limits", options={"retry": Retry(max_retries=0)})
    assert isinstance(caught.value, ConnectionError)


def test_timeout_is_a_deadline_error(ask: Ask) -> None:
    """A transport that ran out of time is a TimeoutError."""
    with pytest.raises(DeadlineExceededError) as caught:
        ask(Script([TimeoutError("slow")]), "limits", options={"retry": Retry(max_retries=0)})
    assert isinstance(caught.value, TimeoutError)


def test_broken_reply(ask: Ask) -> None:
    """A reply of the wrong shape never reaches the caller."""
    with pytest.raises(ResponseError, match=r"shape \(1, 2\)"):
        ask(Script([softmax_reply(probabilities=[[0.5, 0.5]])]), "softmax", LOGITS)


def test_bad_input_is_not_sent(ask: Ask) -> None:
    """Input that cannot travel is refused before anything is sent."""
    script = Script([softmax_reply()])
    with pytest.raises(InputError, match=r"logits\[0, 1\] is not a finite number"):
        ask(script, "softmax", [[0.0, float("nan")]])
    assert script.requests == []


def test_unknown_option_suggests_the_known_one(ask: Ask) -> None:
    """A misspelt option is a TypeError like any unknown keyword, with the nearest name."""
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        ask(Script([softmax_reply()]), "softmax", LOGITS, temprature=2.0)


def test_headers(ask: Ask) -> None:
    """Each request says its format, its key and the time that is left."""
    script = Script([json_reply({})])
    ask(script, "limits", options={"api_key": "secret", "timeout": 2.0})
    headers = script.requests[0].headers
    assert headers["Authorization"] == "Bearer secret"
    assert 1900 <= int(headers["X-Request-Deadline-Ms"]) <= 2000
    assert headers["Accept"] == "application/json"


def test_events(ask: Ask) -> None:
    """The hook hears of the start, each attempt, each retry and the end."""
    kinds: list[str] = []
    script = Script([problem(503, "overloaded"), json_reply({})])
    ask(script, "limits", options=QUICK | {"on_event": lambda event: kinds.append(event.kind)})
    assert kinds == ["started", "attempt", "retry", "attempt", "done"]


def test_a_hook_that_fails_hides_nothing(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    """The call ends as it would without the hook, whose failure is logged."""

    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(RejectedInputError):
        ask(Script([problem(422, "out-of-range")]), "limits", options=QUICK | {"on_event": fail})
    assert "on_event failed: limits done" in caplog.text
