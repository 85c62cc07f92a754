"""Fuzzed requests at the boundary of the application: none fails, none is answered wrongly, refusals are problems."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .calls.asgi import Reply, ask
from .calls.campaign import application, message_of, run
from .calls.messages import JSON_BYTES, Message
from .calls.verdicts import WrongReplyError, judge

Ask = Callable[[Message], Reply]

FRESH_SEED = int.from_bytes(os.urandom(4), "big")
REQUESTS = 3000
PATHS = ("/softmax", "/gradient", "/v2/models/loss/infer")
TYPES = ("application/json", "application/x-safetensors", "application/octet-stream", "text/plain")
LENGTHS = st.none() | st.integers(0, 40).map(str)


def plain_message() -> Message:
    """A question in JSON that is answered."""
    body = json.dumps({"logits": [[1, 2, 3]], "include": ["probabilities", "entropy"]}).encode()
    return Message("POST", "/softmax", (("content-type", "application/json"),), body, is_plain=True)


@pytest.fixture(scope="module")
def reply_to() -> Iterator[Ask]:
    """The reply of the application to a message."""
    app = application()
    with start_blocking_portal() as portal:
        yield lambda message: portal.call(ask, app, message)


@pytest.mark.parametrize("seed", [20261126, FRESH_SEED], ids=["fixed", "fresh"])
def test_drawn_requests_are_judged(seed: int) -> None:
    """Thousands of drawn requests, many of them spoiled, break nothing: the same as in every run, and new ones."""
    outcome = run(seed, range(REQUESTS // 2))
    assert not outcome.findings, f"seed {seed}\n" + "\n".join(outcome.findings)
    assert outcome.statuses[200] > REQUESTS / 6
    assert {400, 415, 422} <= outcome.statuses.keys()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_bytes_are_judged(reply_to: Ask, data: st.DataObject) -> None:
    """Any bytes as the body of any dialect are answered or refused by the contract."""
    path, length = data.draw(st.sampled_from(PATHS)), data.draw(LENGTHS)
    headers = [("content-type", data.draw(st.sampled_from(TYPES)))] + ([(JSON_BYTES, length)] if length else [])
    message = Message("POST", path, tuple(headers), data.draw(st.binary(max_size=200)))
    judge(message, reply_to(message))


def test_a_request_is_drawn_again_from_its_number() -> None:
    """Seed and number make the request, so that a finding can be seen again."""
    assert [message_of(7, number) for number in range(50)] == [message_of(7, number) for number in range(50)]


@pytest.mark.parametrize(("old", "new"), [
    (b"0.09003057317038", b"0.09003057317138"),
    (b"0.09003057317038046", b"null"),
    (b'"entropy"', b'"entropies"'),
    (b'"temperature":1.0', b'"temperature":2.0'),
])  # fmt: skip
def test_a_wrong_answer_is_found(reply_to: Ask, old: bytes, new: bytes) -> None:
    """A digit, a null, another output and another option in force: each is told from the right answer."""
    message = plain_message()
    reply = reply_to(message)
    judge(message, reply)
    assert old in reply.body
    with pytest.raises(WrongReplyError):
        judge(message, replace(reply, body=reply.body.replace(old, new)))


@pytest.mark.parametrize(("old", "new"), [
    (b'"verdict":"match"', b'"verdict":"mismatch"'),
    (b'"rtol":0.5', b'"rtol":0.25'),
    (b'"diagnoses":[]', b'"diagnoses":[{"code":"sign_flipped","explanation":"x","residual":0}]'),
    (b'"worst_rows"', b'"rows"'),
])  # fmt: skip
def test_a_wrong_report_is_found(reply_to: Ask, old: bytes, new: bytes) -> None:
    """Another verdict, another tolerance, a right claim accused, a member lost: each is told from the right report."""
    body = json.dumps({"logits": [[0, 0]], "labels": [0], "claimed": {"loss": 0.7}, "rtol": 0.5}).encode()
    message = replace(plain_message(), path="/check", body=body)
    reply = reply_to(message)
    judge(message, reply)
    assert old in reply.body
    with pytest.raises((WrongReplyError, KeyError)):
        judge(message, replace(reply, body=reply.body.replace(old, new)))


def test_a_mismatch_is_due_to_what_is_visibly_wrong(reply_to: Ask) -> None:
    """A claim that is off is judged a mismatch: a match is told from it."""
    body = json.dumps({"logits": [[0, 0]], "labels": [0], "claimed": {"losses": [0.7]}}).encode()
    message = replace(plain_message(), path="/check", body=body)
    reply = reply_to(message)
    judge(message, reply)
    wrong = {**json.loads(reply.body), "verdict": "match", "diagnoses": []}
    with pytest.raises(WrongReplyError, match="the verdict is match"):
        judge(message, replace(reply, body=json.dumps(wrong).encode()))


def test_zeros_are_a_match_where_only_the_reference_is_off_them(reply_to: Ask) -> None:
    """A gradient of exactly 0, which the reference, rounding c first, misses by less than any float64."""
    question = {"objective": "softmax_binary_cross_entropy", "label_smoothing": 1, "reduction": "none"}
    targets = [[2 / 21, 4 / 21, 3 / 21, 4 / 21, 4 / 21, 0, 4 / 21], [1 / 11, 0, 4 / 11, 0, 1 / 11, 4 / 11, 1 / 11]]
    question |= {"logits": [[0] * 7] * 2, "targets": targets, "claimed": {"gradient": [[0] * 7] * 2}}
    message = replace(plain_message(), path="/check", body=json.dumps(question).encode())
    reply = reply_to(message)
    assert json.loads(reply.body)["verdict"] == "match"
    judge(message, reply)


@pytest.mark.parametrize("change", [
    {"status": 500},
    {"failure": ValueError("x")},
    {"body": b"{}"},
    {"body": b" " * 20_000},
    {"headers": {"content-type": "application/json", "x-request-id": "a"}},
])  # fmt: skip
def test_a_wrong_refusal_is_found(reply_to: Ask, change: dict[str, Any]) -> None:
    """A status, an exception, and a body or a header that is no problem's: each is told from a right refusal."""
    message = replace(plain_message(), body=b"{", is_plain=False)
    reply = reply_to(message)
    judge(message, reply)
    with pytest.raises((WrongReplyError, ValueError)):
        judge(message, replace(reply, **change))


def test_an_answer_to_what_breaks_a_rule_is_found(reply_to: Ask) -> None:
    """A 200 is held against the request as it was sent: NaN in it has no answer."""
    message = plain_message()
    reply = reply_to(message)
    with pytest.raises(WrongReplyError, match="in spite of a rule"):
        judge(replace(message, body=b'{"logits": [[NaN]]}'), reply)
