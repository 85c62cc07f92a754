"""The service for users' tests: scripted answers, problems and losses, zeros for the rest."""

from __future__ import annotations

from typing import Any

import anyio
import numpy as np
import pytest

from gradient_client import (
    AsyncGradientClient,
    DeadlineExceededError,
    GradientClient,
    RejectedInputError,
    Retry,
    Summary,
    TransportError,
    UnavailableError,
)
from gradient_client._wire import WireName
from gradient_client.testing import FakeService, assert_gradient

from .conftest import URL

LOGITS, LABELS = [[1.0, 2.0], [3.0, 0.5]], [0, 1]
AT_ONCE = Retry(first_wait_seconds=0)


def client_of(fake: FakeService, **options: Any) -> GradientClient:
    """A client of a fake service."""
    return GradientClient(URL, transport=fake, **options)


def test_without_a_script_outputs_are_zeros(wire: WireName) -> None:
    """Every output has its shape and dtype, and nothing in it."""
    with client_of(FakeService(), wire=wire) as client:
        result = client.gradient(np.array(LOGITS, np.float32), LABELS, include=["loss", "jacobian", "predicted_labels"])
        assert result.jacobian.tobytes() == np.zeros((2, 2, 2), np.float32).tobytes()
        assert result.loss == 0.0
        assert result.predicted_labels.tolist() == [0, 0]
        assert client.loss(LOGITS, LABELS).summary.example_count == 0


def test_answers_come_in_the_order_of_the_script(wire: WireName) -> None:
    """What was scripted is what the results hold; a row is spread over the batch."""
    fake = FakeService()
    fake.answer(loss=0.5, summary=Summary(1.0, 2.0, 2, 0, 1, (), ()))
    fake.answer(log_probabilities=[-np.inf, 0.0])
    with client_of(fake, wire=wire) as client:
        first = client.loss(LOGITS, LABELS)
        second = client.softmax(LOGITS, mask=[False, True], include=["log_probabilities"])
    assert (first.loss, first.summary.loss_sum) == (0.5, 1.0)
    assert second.log_probabilities.tolist() == [[-np.inf, 0.0]] * 2


@pytest.mark.parametrize("loss", [np.float32(0.1), np.float64(0.1), np.array(0.1), 0.1])
def test_a_loss_has_the_dtype_of_the_answer(wire: WireName, loss: Any) -> None:
    """A number of any kind is rounded as the service would."""
    fake = FakeService()
    fake.answer(loss=loss)
    with client_of(fake, wire=wire) as client:
        assert client.loss(np.array(LOGITS, np.float32), LABELS).loss == float(np.float32(0.1))


def test_what_was_asked_is_kept(wire: WireName) -> None:
    """The test sees the fields as the service would."""
    fake = FakeService()
    with client_of(fake, wire=wire) as client:
        result = client.loss(LOGITS, LABELS, label_smoothing=0.1)
        client.limits()
    assert [request.operation for request in fake.requests] == ["loss", "limits"]
    assert fake.requests[0].fields["labels"].tolist() == LABELS
    assert result.applied["label_smoothing"] == fake.requests[0].fields["label_smoothing"] == 0.1


def test_problems_are_raised() -> None:
    """A scripted problem has the class, the slug and the row of a real one."""
    fake = FakeService()
    fake.refuse("label-out-of-range", pointer="/labels/1")
    with client_of(fake) as client, pytest.raises(RejectedInputError) as caught:
        client.loss(LOGITS, LABELS)
    assert (caught.value.slug, caught.value.row) == ("label-out-of-range", 1)


def test_faults_are_tried_again() -> None:
    """An overload and a lost connection cost an attempt each."""
    fake = FakeService()
    fake.refuse("overloaded", status=503, retry_after=0)
    fake.drop()
    with client_of(fake, retry=AT_ONCE) as client:
        assert [attempt.status for attempt in client.loss(LOGITS, LABELS).meta.attempts] == [503, None, 200]


@pytest.mark.parametrize(("failure", "kind"), [(None, TransportError), (TimeoutError(), DeadlineExceededError)])
def test_lost_connections_are_raised(failure: OSError | None, kind: type[Exception]) -> None:
    """Without retries the error is that of a lost connection, or of time run out."""
    fake = FakeService()
    fake.drop(failure)
    with client_of(fake, retry=Retry(max_retries=0)) as client, pytest.raises(kind):
        client.loss(LOGITS, LABELS)


def test_the_asynchronous_client_takes_it() -> None:
    """Its transport is the method that is awaited."""
    fake = FakeService()
    fake.refuse("overloaded", status=503)

    async def ask() -> None:
        async with AsyncGradientClient(URL, transport=fake.awaited, retry=Retry(max_retries=0)) as client:
            assert await client.ready() is False
            await client.wait_until_ready(timeout=1)
            fake.refuse("overloaded", status=503)
            with pytest.raises(UnavailableError):
                await client.loss(LOGITS, LABELS)

    anyio.run(ask)


def test_a_check_is_a_match_unless_scripted() -> None:
    """Claims pass, and fail by the verdict of the script."""
    fake = FakeService()
    with client_of(fake) as client:
        assert_gradient(client, LOGITS, LABELS, gradient=LOGITS)
        fake.answer(verdict="mismatch")
        with pytest.raises(AssertionError):
            assert_gradient(client, LOGITS, LABELS, gradient=LOGITS)


def test_a_script_that_does_not_fit_says_so() -> None:
    """An output that the call does not ask for is a mistake of the test."""
    fake = FakeService()
    fake.answer(gradient=LOGITS)
    with client_of(fake) as client, pytest.raises(AssertionError, match="does not ask for gradient"):
        client.loss(LOGITS, LABELS)
