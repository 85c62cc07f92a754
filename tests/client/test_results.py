"""What a reply becomes, and which replies break the contract."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest

from gradient_client import HttpReply, Meta
from gradient_client._outputs import ContractError
from gradient_client._protocol import GRADIENT, LOSS, SOFTMAX, build_request
from gradient_client._replies import parse_reply, parse_server_timing
from gradient_client._wire import WIRES, WireName

from .conftest import SUMMARY, gradient_reply, json_reply, softmax_reply
from .formats import in_binary

LOGITS = [[1.0, 2.0], [3.0, 0.5]]


def through_pickle(value: Any) -> Any:
    """What arrives in another process."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own object


def parse(reply: HttpReply, operation: Any = SOFTMAX, *, wire: WireName = "json", **inputs: object) -> Any:
    """A JSON reply, written in the format of a request, read as the answer to it."""
    _, expected = build_request(operation, {"logits": LOGITS, **inputs}, WIRES[wire])
    return parse_reply(in_binary(reply) if wire == "binary" else reply, expected, Meta("id", ()))


def test_null_is_minus_infinity(wire: WireName) -> None:
    """The log-probability of a masked class, null in JSON, is −inf again."""
    reply = softmax_reply(log_probabilities=[[None, 0.0], [-1.0, -2.0]])
    result = parse(reply, wire=wire, include=["log_probabilities"])
    assert result.log_probabilities.tolist() == [[-np.inf, 0.0], [-1.0, -2.0]]


def test_one_hot_is_bytes(wire: WireName) -> None:
    """One-hot rows are uint8."""
    assert parse(softmax_reply(one_hot=[[0, 1], [1, 0]]), wire=wire, include=["one_hot"]).one_hot.dtype == np.uint8


def test_output_not_asked_for(wire: WireName) -> None:
    """It raises AttributeError that names the cure, and hasattr is False."""
    result = parse(softmax_reply(), wire=wire)
    assert not hasattr(result, "entropy")
    with pytest.raises(AttributeError, match=r"include=\[...\]"):
        _ = result.entropy


def test_misspelt_output(wire: WireName) -> None:
    """A name no reply has is an ordinary AttributeError."""
    with pytest.raises(AttributeError, match="no attribute 'probs'"):
        _ = parse(softmax_reply(), wire=wire).probs


def test_losses_take_the_place_of_loss(wire: WireName) -> None:
    """With reduction none the default outputs hold the losses of the rows."""
    reply = json_reply({"losses": [1, 2.5], "summary": SUMMARY, "applied": {"dtype": "float64"}})
    result = parse(reply, LOSS, wire=wire, labels=[0, 1], reduction="none")
    assert result.losses.dtype == np.float64
    assert not hasattr(result, "loss")


def test_results_are_read_only(wire: WireName) -> None:
    """Neither outputs nor applied options can be replaced."""
    result = parse(softmax_reply(), wire=wire)
    with pytest.raises(AttributeError, match="read-only"):
        result.probabilities = None
    with pytest.raises(TypeError):
        result.applied["dtype"] = "float32"


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, through_pickle])
def test_results_survive_copying(clone: Any, wire: WireName) -> None:
    """A result travels to another process whole."""
    twin = clone(parse(gradient_reply(), GRADIENT, wire=wire, labels=[0, 1]))
    assert (twin.loss, twin.applied["reduction"], twin.meta.request_id) == (0.75, "mean", "id")
    assert twin.gradient.shape == (2, 2)


def test_unknown_members_are_left_aside(wire: WireName) -> None:
    """A later service may say more without breaking this client."""
    assert not hasattr(parse(softmax_reply(novelty=[1, 2]), wire=wire), "novelty")


BROKEN = {
    "missing output": softmax_reply(predicted_labels=None),
    "missing applied": softmax_reply(applied=None),
    "another dtype than asked for": softmax_reply(applied={"dtype": "float32"}),
    "unknown dtype": softmax_reply(applied={"dtype": "float16"}),
    "wrong shape": softmax_reply(predicted_labels=[1]),
    "ragged": softmax_reply(probabilities=[[1.0], [0.5, 0.5]]),
    "null probability": softmax_reply(probabilities=[[None, 1.0], [0.5, 0.5]]),
    "text": softmax_reply(probabilities=[["a", "b"], ["c", "d"]]),
    "fractional labels": softmax_reply(predicted_labels=[0.5, 1]),
    "probability beyond float64": HttpReply(
        200, {"content-type": "application/json"}, softmax_reply().body.replace(b"0.25", b"1e400")
    ),
    "label below 0": softmax_reply(predicted_labels=[0, -1]),
    "label above the classes": softmax_reply(predicted_labels=[0, 2]),
    "label beyond int64": softmax_reply(predicted_labels=[0, 2**63]),
    "one-hot of two": softmax_reply(one_hot=[[0, 1], [2, 0]]),
    "member named twice": HttpReply(200, {"content-type": "application/json"}, b'{"applied": 1, "applied": 2}'),
    "no object": json_reply([1, 2]),
    "NaN token": HttpReply(200, {"content-type": "application/json"}, b'{"probabilities": [[NaN]]}'),
    "cut short": HttpReply(200, {"content-type": "application/json"}, b'{"probabilities": [['),
    "deep": HttpReply(200, {"content-type": "application/json"}, b"[" * 100_000),
    "not text": HttpReply(200, {"content-type": "application/json"}, b"\xff\xfe\x00"),
    "html": HttpReply(200, {"content-type": "text/html"}, b"<html>"),
    "no type": HttpReply(200, {}, b"{}"),
    "redirect": HttpReply(307, {"location": "/elsewhere"}, b""),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN.keys())
def test_broken_softmax_reply(reply: HttpReply) -> None:
    """A reply that is not what the contract says is refused."""
    with pytest.raises(ContractError):
        parse(reply)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "0.5"},
        {"loss": True},
        {"loss": 10**400},
        {"loss": float("inf")},
        {"summary": [1]},
        {"summary": {name: value for name, value in SUMMARY.items() if name != "loss_tail"}},
        {"summary": SUMMARY | {"example_count": 1.5}},
        {"summary": SUMMARY | {"weight_tail": 0.0}},
    ],
)
def test_broken_gradient_reply(changes: dict[str, object], wire: WireName) -> None:
    """Loss and summary are checked member by member."""
    with pytest.raises(ContractError):
        parse(gradient_reply(**changes), GRADIENT, wire=wire, labels=[0, 1])


def test_a_number_beyond_the_dtype() -> None:
    """A JSON number that no float32 holds is refused where float32 was asked for."""
    reply = softmax_reply(probabilities=[[1e300, 0.0], [0.5, 0.5]], applied={"dtype": "float32"})
    with pytest.raises(ContractError, match="no number"):
        parse(reply, dtype="float32")


@pytest.mark.parametrize(("logits", "asked", "expected"), [
    ("float16", None, "float32"), ("float32", None, "float32"), ("float64", None, "float64"), ("int8", None, "float64"),
    ("float32", "float64", "float64"), ("float64", "float32", "float32"),
])  # fmt: skip
def test_the_dtype_is_the_one_implied(wire: WireName, logits: str, asked: str | None, expected: str) -> None:
    """What was asked for, or else the logits, say which dtype the reply must have."""
    inputs = {"logits": np.array(LOGITS).astype(logits), "dtype": asked}
    for dtype in ("float32", "float64"):
        reply = softmax_reply(applied={"dtype": dtype})
        if dtype == expected:
            assert parse(reply, wire=wire, **inputs).probabilities.dtype == dtype
        else:
            with pytest.raises(ContractError, match="dtype"):
                parse(reply, wire=wire, **inputs)


@pytest.mark.parametrize("coding", ["identity", " Identity"])
def test_a_reply_may_say_that_it_is_not_coded(coding: str) -> None:
    """Some proxies name the coding that is none."""
    reply = json_reply({"losses": [1.0, 2.0], "applied": {"dtype": "float64"}}, Content_Encoding=coding)
    assert parse(reply, LOSS, wire="json", include=["losses"]).losses.tolist() == [1.0, 2.0]


def test_type_parameters_are_allowed() -> None:
    """A charset after the media type changes nothing."""
    body = json.dumps({"losses": [1.0, 2.0], "applied": {"dtype": "float64"}}).encode()
    reply = HttpReply(200, {"CONTENT-TYPE": "Application/JSON; charset=utf-8"}, body)
    assert parse(reply, LOSS, include=["losses"]).losses.tolist() == [1.0, 2.0]


def test_server_timing() -> None:
    """Stages are read in milliseconds, and what is no duration is skipped."""
    timing = parse_server_timing('read;dur=0.25, compute;desc="x";dur=3, odd;dur=x, bare')
    assert dict(timing) == {"read": 0.25, "compute": 3.0}


def test_repr_shows_shapes(wire: WireName) -> None:
    """A result of a million rows prints as one line."""
    assert "probabilities=float64[2, 2]" in repr(parse(softmax_reply(), wire=wire))


def test_a_loss_of_float32_is_one(wire: WireName) -> None:
    """The shortest text of a float32 is read as the float32 that it means."""
    reply = gradient_reply(loss=10.954121, applied={"dtype": "float32"})
    assert parse(reply, GRADIENT, wire=wire, labels=[0, 1], dtype="float32").loss == float(np.float32(10.954121))
