"""safetensors bodies held against the format's own library, and what they cost in memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16
from numpy.typing import NDArray
from safetensors.numpy import load, save

from gradient_client import HttpReply, Meta
from gradient_client._arrays import to_array
from gradient_client._outputs import ContractError
from gradient_client._protocol import GRADIENT, SOFTMAX, build_request
from gradient_client._replies import parse_reply
from gradient_client._safetensors import decode_tensors, encode_tensors
from gradient_client._wire import BinaryWire

from .conftest import softmax_reply
from .formats import BINARY, in_binary

LOGITS = np.array([[1.0, 2.0], [3.0, 0.5]])
APPLIED = {"applied": {"dtype": "float64"}}
DTYPES = (
    "bool",
    "float16",
    "float32",
    "float64",
    *(f"{kind}{size}" for kind in ("int", "uint") for size in (8, 16, 32, 64)),
)
LARGE_BYTES = 32 * 1024 * 1024


def body_of(inputs: dict[str, Any]) -> bytes:
    """The body of a gradient request."""
    return build_request(GRADIENT, inputs, BinaryWire())[0].body


def header_of(body: bytes) -> dict[str, Any]:
    """The header of a file."""
    content: dict[str, Any] = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    return content


def test_tensors_are_named_after_their_fields() -> None:
    """Arrays are tensors, and everything else is one JSON object in the header."""
    body = body_of({"logits": LOGITS, "labels": [0, 1], "temperature": 2.0, "mask": [True, True], "include": ["loss"]})
    assert {name: array.tolist() for name, array in load(body).items()} == {
        "logits": LOGITS.tolist(),
        "labels": [0, 1],
        "class_mask": [True, True],
    }
    options = header_of(body)["__metadata__"]
    assert json.loads(options["options"]) == {"temperature": 2.0, "include": ["loss"]}


def test_every_array_option_is_a_tensor() -> None:
    """No array of a request travels as text."""
    arrays = {"targets": [[1, 0], [0, 1]], "sample_weights": [1, 2], "class_weights": [1, 2], "upstream": [1, 2],
              "class_mask": [True, True], "element_mask": [[True, True], [True, False]]}  # fmt: skip
    assert set(load(body_of({"logits": LOGITS, **arrays}))) == {"logits", *arrays}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_keep_their_dtype(dtype: str) -> None:
    """Logits travel as they are, and no option says what their dtype says already."""
    body = body_of({"logits": LOGITS.astype(dtype), "labels": [0, 1]})
    assert load(body)["logits"].dtype == dtype
    assert json.loads(header_of(body)["__metadata__"]["options"]) == {}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F", "reversed", "big-endian", "empty", "scalar"])
def test_the_library_reads_what_is_written(dtype: str, order: str) -> None:
    """The safetensors library loads arrays of each dtype and layout as they were."""
    array: NDArray[Any] = np.arange(12).reshape(3, 4).astype(dtype)
    array = {
        "C": array,
        "F": np.asfortranarray(array),
        "reversed": array[::-1, ::-2],
        "big-endian": array.astype(array.dtype.newbyteorder(">")),
        "empty": array[:0],
        "scalar": array[1, 1, ...],
    }[order]
    loaded = load(encode_tensors({"a": array, "b": array}, {}))
    for name in ("a", "b"):
        assert (loaded[name].dtype.name, loaded[name].shape) == (dtype, array.shape)
        assert loaded[name].tolist() == array.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_library_writes_is_read(dtype: str) -> None:
    """Files of the safetensors library come back array by array, with their metadata."""
    array = np.arange(12).reshape(3, 4).astype(dtype)
    tensors, metadata = decode_tensors(save({"a": array, "b": array[:0], "c": array[0, 0, ...]}, {"result": "{}"}))
    assert metadata == {"result": "{}"}
    assert [tensors[name].tolist() for name in "abc"] == [array.tolist(), [], array[0, 0].tolist()]
    assert {tensor.dtype.name for tensor in tensors.values()} == {dtype}


@pytest.mark.parametrize("length", range(64))
def test_data_begins_on_a_boundary(length: int) -> None:
    """Whatever the length of the header, the data begins at a multiple of 64 bytes."""
    body = encode_tensors({"a": np.ones(3)}, {"padding": "x" * length})
    begin = 8 + int.from_bytes(body[:8], "little")
    assert (begin % 64, len(body) - begin) == (0, 24)


def test_bits_survive() -> None:
    """−0, subnormals and the largest numbers cross unchanged, in both directions."""
    for dtype in (np.float16, np.float32, np.float64):
        limits = np.finfo(dtype)
        array = np.array([-0.0, limits.smallest_subnormal, limits.max, -limits.tiny, 1 / 3], dtype)
        tensors, _ = decode_tensors(encode_tensors({"a": array}, {}))
        assert tensors["a"].tobytes() == array.tobytes()


def test_bfloat16_travels_as_itself() -> None:
    """Its 16 bits cross unchanged in both directions, of any layout, whichever fields they are in."""
    array = np.array([[1.5, -0.0, 3e38, np.nan], [1e-40, np.inf, 1 / 3, 7.0]], bfloat16)
    for given in (array, np.asfortranarray(array), array[::-1, ::-1], array[:0], array[0, 0, ...]):
        body = encode_tensors({"a": to_array("gradient", given), "b": np.ones(3)}, {})
        assert header_of(body)["a"]["dtype"] == "BF16"
        again = decode_tensors(body)[0]["a"]
        np.testing.assert_array_equal(again, given.astype(np.float32), strict=True)
        assert encode_tensors({"a": again, "b": np.ones(3)}, {}) == body


def test_a_list_of_bfloat16_rows_is_bfloat16() -> None:
    """Rows that are arrays keep their dtype, as they do of any other one."""
    rows = [np.array([1.0, 2.0], bfloat16), np.array([3.0, 4.0], bfloat16)]
    assert header_of(body_of({"logits": rows, "labels": [0, 1]}))["logits"]["dtype"] == "BF16"


def test_no_answer_is_of_bfloat16() -> None:
    """Answers are float32 or float64, and what is marked is not taken for the float32 that holds it."""
    logits = LOGITS.astype(np.float32)
    _, expected = build_request(SOFTMAX, {"logits": logits, "include": ["probabilities"]}, BinaryWire())
    marked = to_array("logits", logits.astype(bfloat16))
    body = encode_tensors({"probabilities": marked}, {"result": json.dumps({"applied": {"dtype": "float32"}})})
    with pytest.raises(ContractError, match="dtype"):
        parse_reply(HttpReply(200, {"Content-Type": BINARY}, body), expected, Meta("id", ()))


def peak_of(work: Callable[[], object]) -> int:
    """Bytes allocated at the most while a function works."""
    tracemalloc.start()
    try:
        kept = work()
        return tracemalloc.get_traced_memory()[1] if kept is not None else 0
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_large_array_is_copied_once_to_be_sent(order: Any) -> None:
    """Encoding needs the body and next to nothing besides, whatever the order of the array."""
    array = np.zeros((1024, LARGE_BYTES // 1024 // 8), order=order)
    assert peak_of(lambda: encode_tensors({"logits": array}, {})) < 1.02 * LARGE_BYTES


def test_a_large_reply_is_copied_once() -> None:
    """Reading a reply needs its arrays and a truth value for each number, not the body again."""
    logits = np.zeros((1024, LARGE_BYTES // 1024 // 8))
    body = save({"probabilities": logits}, {"result": json.dumps(APPLIED)})
    _, expected = build_request(SOFTMAX, {"logits": logits, "include": ["probabilities"]}, BinaryWire())
    reply = HttpReply(200, {"Content-Type": BINARY}, body)
    assert peak_of(lambda: parse_reply(reply, expected, Meta("id", ()))) < 1.2 * LARGE_BYTES


def test_arrays_of_a_reply_are_the_caller_s() -> None:
    """They are writable, C-contiguous, aligned, and no view of the body."""
    _, expected = build_request(SOFTMAX, {"logits": LOGITS}, BinaryWire())
    result = parse_reply(in_binary(softmax_reply()), expected, Meta("id", ()))
    for array in (result.probabilities, result.predicted_labels):
        assert all(array.flags[flag] for flag in ("C_CONTIGUOUS", "WRITEABLE", "ALIGNED", "OWNDATA"))
