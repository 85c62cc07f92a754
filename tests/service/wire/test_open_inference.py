"""Open Inference bytes to a request and back: views of the bytes, datatypes, and no Python object for a number."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from gradient_service.core.errors import InvalidInputError
from gradient_service.schemas.replies import SoftmaxApplied, SoftmaxReply
from gradient_service.schemas.requests import GradientRequest, SoftmaxRequest
from gradient_service.wire import open_inference
from gradient_service.wire.json_values import simdjson
from gradient_service.wire.open_inference_reply import ReplyForm, encode
from gradient_service.wire.open_inference_types import ELEMENT_TYPES

from .open_inference_bodies import DATATYPES, JSON_BYTES, binary_request, in_json, json_request

LOGITS = np.array([[1, -0.0], [3, 4]])
APPLIED = SoftmaxApplied.model_construct(temperature=1.0)


def decode(body: bytes, json_bytes: str | None = None, model: type[Any] = SoftmaxRequest) -> Any:
    """The request that a body holds, and the form of its reply."""
    length = None if json_bytes is None else int(json_bytes)
    return open_inference.decode(body, length, model, max_nesting=8)


def read(data: object, shape: list[int], datatype: str = "FP32") -> np.ndarray[Any, Any]:
    """The logits that JSON data make."""
    entry = {"name": "logits", "datatype": datatype, "shape": shape, "data": data}
    logits: np.ndarray[Any, Any] = decode(json.dumps({"inputs": [entry]}).encode()).decoded.request.logits
    return logits


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]], ids=["flat", "nested"])
def test_data_are_flat_or_nested(data: object) -> None:
    """Both forms of data make the same array."""
    assert read(data, [2, 3]).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_json_numbers_have_their_datatype(datatype: str) -> None:
    """JSON numbers are rounded to the datatype that is declared, zeros keep their sign."""
    array = read([0.1, -0.0, 1, 5e-324], [2, 2], datatype)
    assert array.dtype == ELEMENT_TYPES[datatype].stored
    assert array.tolist() == np.array([[0.1, -0.0], [1, 5e-324]], array.dtype).tolist()
    assert np.signbit(array[0, 1])


@pytest.mark.usefixtures("reader")
def test_long_integers_are_numbers() -> None:
    """Integers of more than 64 bits are logits like any other."""
    assert read([10**30, -(2**64), 2**63, 1], [2, 2], "FP64").tolist() == [[1e30, -(2.0**64)], [2.0**63, 1]]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(("data", "shape"), [([], [0, 3]), ([[], []], [2, 0]), ([], [2, 0])])
def test_empty_data_have_a_shape(data: object, shape: list[int]) -> None:
    """No elements make an array of any shape without some."""
    assert list(read(data, shape).shape) == shape


@pytest.mark.usefixtures("reader")
def test_brackets_in_texts_are_no_arrays() -> None:
    """An id with brackets changes nothing; an array hidden among numbers is still found."""
    entry = in_json("logits", LOGITS, "float64", is_flat=True)
    inference = decode(json.dumps({"id": "[[", "inputs": [entry]}).encode())
    assert inference.form.id == "[["
    with pytest.raises(InvalidInputError) as caught:
        decode(json.dumps({"id": "[[", "inputs": [entry | {"data": [1, [2], 3, 4]}]}).encode())
    assert caught.value.faults[0].code == "wrong-rank"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_binary_tensors_are_views(dtype: str) -> None:
    """An array of a binary tensor lies in the bytes of the body."""
    body, headers = binary_request({"logits": LOGITS.astype(dtype)})
    buffer = bytearray(body)
    inference = open_inference.decode(buffer, int(headers[JSON_BYTES]), SoftmaxRequest, max_nesting=8)
    logits = inference.decoded.request.logits
    buffer[-1] ^= 0x80
    assert logits[1, 1] == -4


def test_both_forms_make_the_same_request() -> None:
    """Every datatype but bfloat16 is read alike from JSON and from bytes."""
    for dtype in DATATYPES:
        name = {"b": "class_mask", "f": "class_weights"}.get(np.dtype(dtype).kind, "labels")
        given = {"logits": LOGITS, "labels": np.array([0, 1])} | {name: np.array([1, 0], dtype)}
        body, headers = binary_request(given)
        binary = decode(body, headers[JSON_BYTES], GradientRequest).decoded
        written = decode(json_request(given)[0], None, GradientRequest).decoded
        assert binary.field_order == written.field_order
        assert np.array_equal(getattr(binary.request, name), getattr(written.request, name))


@pytest.mark.skipif(simdjson is None, reason="orjson makes a Python object of each number")
@pytest.mark.parametrize("is_flat", [True, False])
def test_no_number_becomes_an_object(is_flat: bool) -> None:
    """Reading half a million numbers takes their buffers, not an object and a place in a list for each."""
    rows = np.random.default_rng(5).random((500, 1000))
    body = json.dumps({"inputs": [in_json("logits", rows, "float64", is_flat=is_flat)]}).encode()
    tracemalloc.start()
    try:
        decode(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * rows.size


def test_a_reply_lies_where_it_was_computed() -> None:
    """A binary output is sent from its own memory, after a JSON part of the length told."""
    probabilities = np.ones((2, 3), np.float32)
    reply = SoftmaxReply.model_construct(None, probabilities=probabilities, applied=APPLIED)
    encoded = encode(reply, "softmax", ReplyForm(is_binary=True))
    assert encoded.json_bytes == len(encoded.parts[0])
    assert np.shares_memory(np.frombuffer(encoded.parts[1], np.uint8), probabilities)


@pytest.mark.parametrize(("outputs", "is_binary", "expected"), [
    ({}, False, 25), ({}, True, 8), ({"entropy": True}, False, 8), ({"entropy": None}, False, 25),
    ({"entropy": None}, True, 8), ({"entropy": False}, True, 25), ({"entropy": True, "one_hot": None}, False, 25),
    ({"entropy": True, "one_hot": None}, True, 8), ({"entropy": True, "one_hot": False}, True, 25),
])  # fmt: skip
def test_what_a_number_takes(outputs: dict[str, bool | None], is_binary: bool, expected: int) -> None:
    """A number of a reply is counted as JSON unless every output is binary, whichever member says so first."""
    named = [{"name": n} | ({} if b is None else {"parameters": {"binary_data": b}}) for n, b in outputs.items()]
    members = {"outputs": named, "inputs": [in_json("logits", LOGITS)], "parameters": {"binary_data_output": is_binary}}
    assert decode(json.dumps(members).encode()).form.bytes_per_number == expected
