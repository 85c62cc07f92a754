"""An inference whose JSON part is read in a process of its own, or hastily, is what it is when read here at leisure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from gradient_service.core.errors import InvalidInputError
from gradient_service.schemas.requests import LossRequest
from gradient_service.schemas.validation import OutOfRangeError
from gradient_service.wire import open_inference
from gradient_service.wire.apart import APART_BYTES, decode_text
from gradient_service.wire.checkpoint import without_pause
from gradient_service.wire.errors import MalformedBodyError, TakesLongError
from gradient_service.wire.open_inference import Read, read_here
from gradient_service.wire.tensor_codec import Buffer

from .open_inference_bodies import JSON_BYTES, binary_request, body_of, in_binary, in_json, json_request, sized

ARRAYS = {"logits": np.array([[1, 2], [3, 4.5]], np.float32), "labels": np.array([0, 1])}
LOGITS, DATA = in_binary("logits", ARRAYS["logits"])
LABELS = in_json("labels", [0, 1], "int64")
TWO = sized("class_mask", "BOOL", [2], 2)

Sent = tuple[bytes, dict[str, str]]

RIGHT: dict[str, Sent] = {
    "JSON": json_request(ARRAYS),
    "binary": binary_request(ARRAYS, id="a", parameters={"temperature": 2, "binary_data_output": True}),
    "both": body_of({"inputs": [LABELS, LOGITS], "outputs": [{"name": "losses"}]}, DATA),
}
WRONG: dict[str, Sent] = {
    "an id of another type": json_request(ARRAYS, id=5),
    "no input": (b'{"inputs": [{}]}', {}),
    "no JSON": (b"[", {}),
    "no labels": json_request({"logits": ARRAYS["logits"]}),
    "data of another type": (json_request(ARRAYS)[0].replace(b"4.5", b"null"), {}),
    "an array among data": (json_request(ARRAYS)[0].replace(b"4.5", b"[4.5]"), {}),
    "a parameter of another type": binary_request(
        ARRAYS, parameters={"temperature": [1] * 1000, "reduction": {"a": 1}}
    ),
    "a parameter beyond float64": binary_request(ARRAYS, parameters={"temperature": [1, [10**400]]}),
    "a word that is no choice": binary_request(ARRAYS, parameters={"reduction": "avg"}),
    "an output that there is not": binary_request(ARRAYS, outputs=[{"name": "accuracy"}]),
    "a byte short": (binary_request(ARRAYS)[0][:-1], binary_request(ARRAYS)[1]),
    "a boolean of 2": body_of({"inputs": [LOGITS, LABELS, TWO], "id": 5}, DATA + b"\0\2"),
    "half a surrogate pair behind that": body_of({"inputs": [LOGITS, LABELS, TWO], "id": "\ud800"}, DATA + b"\0\2"),
}


def apart(decode: Callable[..., Any], text: Buffer) -> Any:
    """Have a JSON part read as a long one."""
    return decode_text(decode, text, APART_BYTES + 1, without_pause)


def hastily(decode: Callable[..., Any], text: Buffer) -> Any:
    """Have a JSON part read hastily."""
    return decode(text, hastily=True)


def said_by(request: BaseModel) -> tuple[Any, ...]:
    """The fields of a request, its arrays as bytes."""
    arrays = {name: (a.dtype, a.tobytes()) for name, a in request.__dict__.items() if isinstance(a, np.ndarray)}
    options = {name: value for name, value in request.__dict__.items() if name not in arrays}
    return arrays, options, request.model_fields_set


def read_by(read: Read, sent: Sent) -> Any:
    """The fields of a request and the form of its reply."""
    length = sent[1].get(JSON_BYTES)
    json_bytes = None if length is None else int(length)
    inference = open_inference.decode(sent[0], json_bytes, LossRequest, max_nesting=8, read=read)
    return *said_by(inference.decoded.request), inference.decoded.field_order, inference.form


def fault_of(read: Read, sent: Sent) -> Any:
    """What is wrong with a request."""
    with pytest.raises((InvalidInputError, MalformedBodyError)) as caught:
        read_by(read, sent)
    error = caught.value
    if isinstance(error, OutOfRangeError):
        return error.faults, error.fields, said_by(error.request)
    return error.__reduce__()


@pytest.mark.parametrize("sent", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("read", [apart, hastily])
def test_the_way_makes_no_difference(read: Read, sent: Sent) -> None:
    """The same fields come back, tensors behind the JSON part among them."""
    assert read_by(read, sent) == read_by(read_here, sent)


@pytest.mark.parametrize("sent", WRONG.values(), ids=WRONG)
def test_a_process_finds_the_same_faults(sent: Sent) -> None:
    """What is wrong is told in the same words and the same order."""
    assert fault_of(apart, sent) == fault_of(read_here, sent)


@pytest.mark.parametrize("sent", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_not_read_hastily(sent: Sent) -> None:
    """To tell what is wrong takes long."""
    with pytest.raises(TakesLongError):
        read_by(hastily, sent)


def test_tensors_stay_where_they_are() -> None:
    """A process gets the JSON part alone, and an array is a view of the body; it came back as a copy of a copy."""
    body, headers = binary_request(ARRAYS)
    json_bytes, sent = int(headers[JSON_BYTES]), []

    def noted(decode: Callable[..., Any], text: Buffer) -> Any:
        sent.append(bytes(text))
        return apart(decode, text)

    decode = partial(open_inference.decode, model=LossRequest, max_nesting=8, read=noted)
    logits = decode(body, json_bytes).decoded.request.logits
    assert sent == [body[:json_bytes]]
    assert np.shares_memory(logits, np.frombuffer(body, np.uint8))
