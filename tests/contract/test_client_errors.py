"""Refusals of the real service as the real client's errors, and the service's state as the client tells it."""

from __future__ import annotations

import dataclasses
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from gradient_client import GradientClient, HttpReply, HttpRequest, Retry
from gradient_client._wire import WireName
from gradient_client.errors import (
    DeadlineExceededError,
    RejectedInputError,
    ServiceError,
    TooLargeError,
    TransportError,
    UnsupportedWireError,
)
from gradient_service.schemas.replies import LimitsReply
from gradient_service.settings import Settings

from .conftest import NO_RETRY, Ask, serving


def free_address() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def call_through(url: str, wire: WireName, spoil: Callable[[HttpRequest], dict[str, Any]]) -> None:
    """Make a call whose request is changed on its way."""

    def send(request: HttpRequest) -> HttpReply:
        changed = dataclasses.replace(request, **spoil(request))
        reply = httpx.request(changed.method, changed.url, headers=dict(changed.headers), content=changed.body)
        return HttpReply(reply.status_code, dict(reply.headers), reply.content)

    with GradientClient(url, transport=send, retry=NO_RETRY, wire=wire) as client:
        client.softmax([[1, 2]])


@pytest.mark.parametrize(("options", "slug", "pointer", "row"), [
    ({"labels": [0, 2]}, "label-out-of-range", "/labels/1", 1),
    ({"labels": [0]}, "length-mismatch", "/labels", None),
    ({}, "missing-field", "/labels", None),
    ({"labels": [0, 1], "targets": [[1, 0], [0, 1]]}, "conflicting-fields", "/targets", None),
    ({"labels": [0, 1], "label_smoothing": 2}, "out-of-range", "/label_smoothing", None),
    ({"labels": [0, 1], "reduction": "median"}, "unknown-value", "/reduction", None),
    ({"labels": [0, 1], "class_mask": [True, False]}, "infinite-loss", "/labels/1", 1),
    ({"targets": [[1, 0], [0.5, 0.4]]}, "invalid-distribution", "/targets/1", 1),
])  # fmt: skip
def test_a_refusal_names_its_place(ask: Ask, options: dict[str, object], slug: str, pointer: str, row: object) -> None:
    """422 is a RejectedInputError, and so a ValueError, with slug, pointer and row of the service's problem."""
    with pytest.raises(RejectedInputError) as caught:
        ask("gradient", [[1, 2], [3, 4]], **options)
    error = caught.value
    assert (error.status, error.slug, error.pointer, error.row) == (422, slug, pointer, row)
    assert isinstance(error, ValueError)
    assert error.detail
    assert error.request_id


def test_too_large_a_body_is_its_own_error(ask: Ask) -> None:
    """413 is a TooLargeError."""
    with (
        serving(Settings.model_construct(max_json_body_bytes=100, max_binary_body_bytes=100)) as small,
        pytest.raises(TooLargeError) as caught,
    ):
        ask("softmax", [[1.5] * 100], at=small)
    assert (caught.value.status, caught.value.slug) == (413, "body-too-large")


def test_too_much_work_is_refused(ask: Ask) -> None:
    """Limits of work are 422 output-too-large."""
    with serving(Settings.model_construct(max_elements=3)) as small, pytest.raises(RejectedInputError) as caught:
        ask("softmax", [[1, 2], [3, 4]], at=small)
    assert caught.value.slug == "output-too-large"


def test_a_body_cut_short_is_refused(url: str, wire: WireName) -> None:
    """400 is a RejectedInputError as well: a proxy may have spoiled the body."""
    with pytest.raises(RejectedInputError) as caught:
        call_through(url, wire, lambda request: {"body": request.body[:-3]})
    slug = "malformed-json" if wire == "json" else "malformed-tensor"
    assert (caught.value.status, caught.value.slug) == (400, slug)


@pytest.mark.parametrize(
    ("header", "value", "status"), [("Content-Type", "text/plain", 415), ("Accept", "text/html", 406)]
)
def test_a_wire_that_is_not_spoken_is_its_own_error(
    url: str, wire: WireName, header: str, value: str, status: int
) -> None:
    """406 and 415 are an UnsupportedWireError; the client does not try the other format."""
    with pytest.raises(UnsupportedWireError) as caught:
        call_through(url, wire, lambda request: {"headers": {**request.headers, header: value}})
    assert (caught.value.status, len(caught.value.attempts)) == (status, 1)


def test_a_path_that_is_none_is_a_service_error(ask: Ask, url: str) -> None:
    """404 is a plain ServiceError: the address is wrong, not the input."""
    with pytest.raises(ServiceError) as caught:
        ask("softmax", [[1]], at=f"{url}/api")
    assert (type(caught.value), caught.value.slug) == (ServiceError, "not-found")


def test_nothing_that_listens_is_a_transport_error(ask: Ask) -> None:
    """A refused connection is a TransportError."""
    with pytest.raises(TransportError):
        ask("softmax", [[1]], at=free_address())


def test_limits_are_the_services(ask: Ask) -> None:
    """limits() tells the numbers of the running service, by name and by attribute."""
    with serving(Settings.model_construct(max_elements=1234)) as small:
        limits = ask("limits", at=small)
    assert limits.max_elements == limits["max_elements"] == 1234
    assert set(limits) == set(LimitsReply.model_fields)


def test_ready_is_true_of_a_running_service(ask: Ask) -> None:
    """A service that has started is ready."""
    assert ask("ready") is True


def test_ready_is_false_where_nothing_listens(ask: Ask) -> None:
    """ready() answers instead of raising."""
    assert ask("ready", at=free_address()) is False


def test_waiting_for_a_running_service_returns_at_once(ask: Ask) -> None:
    """wait_until_ready() returns if there is nothing to wait for."""
    ask("wait_until_ready", timeout=10)


def test_waiting_for_nothing_ends_in_time(ask: Ask) -> None:
    """wait_until_ready() gives up after its time."""
    with pytest.raises(DeadlineExceededError):
        ask("wait_until_ready", at=free_address(), timeout=0.3)


def test_waiting_for_a_service_that_starts() -> None:
    """wait_until_ready() outlasts a refused connection and returns once the service has started."""
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    with ExitStack() as stack:
        client = stack.enter_context(GradientClient(f"http://127.0.0.1:{port}", retry=NO_RETRY))
        assert client.ready() is False
        threading.Timer(0.2, lambda: stack.enter_context(serving(port=port))).start()
        client.wait_until_ready(timeout=20)
        assert client.ready() is True


def test_refused_input_is_not_sent_again(url: str) -> None:
    """A refusal is final: one attempt, whatever the retry policy."""
    with GradientClient(url, retry=Retry(max_retries=5)) as client, pytest.raises(RejectedInputError) as caught:
        client.loss([[1, 2]], [7])
    assert [attempt.status for attempt in caught.value.attempts] == [422]
