"""safetensors replies that break the contract: none of them gets out as an answer."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from gradient_client import HttpReply, Meta, ResponseError
from gradient_client._outputs import ContractError
from gradient_client._protocol import SOFTMAX, build_request
from gradient_client._replies import parse_reply
from gradient_client._wire import BinaryWire

from .conftest import Ask, Script
from .formats import BINARY

LOGITS = np.array([[1.0, 2.0], [3.0, 0.5]])
APPLIED = {"applied": {"dtype": "float64"}}


def parse(body: bytes, **inputs: object) -> Any:
    """A body read as the answer to a softmax request of two rows and two classes."""
    _, expected = build_request(SOFTMAX, {"logits": LOGITS, **inputs}, BinaryWire())
    return parse_reply(HttpReply(200, {"Content-Type": BINARY}, body), expected, Meta("id", ()))


def file(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A header, bytes as they are or else as JSON, and data behind it; its length may be said wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


PROBABILITIES = np.array([[0.25, 0.75], [1.0, 0.0]])
LABELS = np.array([1, 0])
HEADER: dict[str, Any] = {
    "__metadata__": {"result": json.dumps(APPLIED)},
    "probabilities": {"dtype": "F64", "shape": [2, 2], "data_offsets": [0, 32]},
    "predicted_labels": {"dtype": "I64", "shape": [2], "data_offsets": [32, 48]},
}
DATA = PROBABILITIES.tobytes() + LABELS.tobytes()


def changed(path: str, value: object) -> bytes:
    """The file with another value at a place of its header."""
    header = copy.deepcopy(HEADER)
    *above, name = path.split(".")
    part = header
    for step in above:
        part = part[step]
    part[name] = value
    return file(header, DATA)


def with_arrays(result: object = APPLIED, **arrays: NDArray[Any]) -> bytes:
    """A well-formed file with some arrays in place of the right ones."""
    tensors = {"probabilities": PROBABILITIES, "predicted_labels": LABELS} | arrays
    return save(tensors, {"result": result if isinstance(result, str) else json.dumps(result)})


TEXT = json.dumps(HEADER).encode()
MALFORMED = {
    "nothing": b"",
    "seven bytes": file(HEADER, DATA)[:7],
    "no header": (0).to_bytes(8, "little"),
    "header cut short": file(HEADER, DATA)[:100],
    "header longer than the body": file(HEADER, DATA, length=10_000),
    "header longer than any": file(HEADER, DATA, length=2**64 - 1),
    "header above its limit": file(TEXT + b" " * 65536, DATA),
    "header of JSON's list": file([HEADER], DATA),
    "header behind a blank": file(b" " + TEXT, DATA),
    "header not JSON": file(TEXT[:-1], DATA),
    "header in UTF-16": file(TEXT.decode().encode("utf-16"), DATA),
    "header of bad UTF-8": file(TEXT.replace(b"F64", b"\xff64"), DATA),
    "header with a constant": file(TEXT.replace(b"32]", b"NaN]", 1), DATA),
    "header nested deeply": file(b'{"a":' + b"[" * 60_000, DATA),
    "header with digits without end": file(TEXT.replace(b"48", b"4" * 5000), DATA),
    "name given twice": file(b'{"a": 1, ' + TEXT[1:-1] + b', "a": 1}', DATA),
    "one byte short": file(HEADER, DATA[:-1]),
    "one byte more": file(HEADER, DATA + b"\0"),
    "overlap": changed("predicted_labels.data_offsets", [24, 40]),
    "gap": file(json.loads(TEXT.replace(b"[32, 48]", b"[40, 56]")), DATA + bytes(8)),
    "same place": file(HEADER | {"predicted_labels": HEADER["probabilities"]}, DATA[:32]),
    "end before begin": changed("predicted_labels.data_offsets", [48, 32]),
    "negative offsets": changed("probabilities.data_offsets", [-32, 0]),
    "offsets that are floats": changed("probabilities.data_offsets", [0.0, 32.0]),
    "offsets that are booleans": changed("probabilities.data_offsets", [False, 32]),
    "three offsets": changed("probabilities.data_offsets", [0, 16, 32]),
    "offsets in an object": changed("probabilities.data_offsets", {"0": 0}),
    "shape of too few": changed("probabilities.shape", [2, 1]),
    "shape that overflows": changed("probabilities.shape", [2**62, 2**62]),
    "shape that is negative": changed("probabilities.shape", [-2, -2]),
    "empty shape beyond NumPy": file({"a": {"dtype": "F64", "shape": [0, 2**63], "data_offsets": [0, 0]}}),
    "unknown dtype": changed("probabilities.dtype", "F8_E4M3"),
    "dtype of fewer bytes": changed("probabilities.dtype", "BF16"),
    "dtype that is no text": changed("probabilities.dtype", ["F64"]),
    "member missing": changed("probabilities", {"dtype": "F64", "shape": [2, 2]}),
    "member unknown": changed("probabilities.device", "cpu"),
    "entry that is no object": changed("probabilities", [0, 32]),
    "metadata that is no object": changed("__metadata__", "result"),
    "metadata that is no text": changed("__metadata__", {"result": APPLIED}),
}  # fmt: skip


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_reply_is_refused(body: bytes) -> None:
    """Bytes that are no safetensors file are no answer, and the error says that the body is malformed."""
    with pytest.raises(ContractError, match="the body is malformed"):
        parse(body)


MINUS_INFINITY = np.array([[-np.inf, 0.0], [-1.0, -2.0]])
WRONG = {
    "dtype of another precision": with_arrays(probabilities=PROBABILITIES.astype(np.float32)),
    "integers for floats": with_arrays(probabilities=np.eye(2, dtype=np.int64)),
    "floats for labels": with_arrays(predicted_labels=LABELS.astype(np.float64)),
    "narrow labels": with_arrays(predicted_labels=LABELS.astype(np.int32)),
    "booleans for labels": with_arrays(predicted_labels=LABELS.astype(np.bool)),
    "rows missing": with_arrays(probabilities=PROBABILITIES[:1]),
    "columns too many": with_arrays(probabilities=np.ones((2, 3))),
    "flat": with_arrays(probabilities=PROBABILITIES.reshape(-1)),
    "NaN": with_arrays(probabilities=np.array([[np.nan, 1.0], [0.5, 0.5]])),
    "infinity": with_arrays(probabilities=np.array([[np.inf, 1.0], [0.5, 0.5]])),
    "minus infinity": with_arrays(probabilities=MINUS_INFINITY),
    "logarithm that is NaN": with_arrays(log_probabilities=np.array([[np.nan, 1.0], [0.5, 0.5]])),
    "logarithm that is infinity": with_arrays(log_probabilities=-MINUS_INFINITY),
    "label below 0": with_arrays(predicted_labels=np.array([0, -1])),
    "label above the classes": with_arrays(predicted_labels=np.array([0, 2])),
    "one-hot of two": with_arrays(one_hot=np.full((2, 2), 2, np.uint8)),
    "output missing": save({"probabilities": PROBABILITIES}, {"result": json.dumps(APPLIED)}),
    "no result": save({"probabilities": PROBABILITIES, "predicted_labels": LABELS}),
    "result not JSON": with_arrays("{"),
    "result with a constant": with_arrays('{"applied": NaN}'),
    "result that is no object": with_arrays([1]),
    "result with an array": with_arrays(APPLIED | {"entropy": [0.5, 0.5]}),
    "output given twice": with_arrays(APPLIED | {"probabilities": 1}),
    "applied of another dtype": with_arrays({"applied": {"dtype": "float32"}}),
}  # fmt: skip


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
def test_a_reply_to_another_question_is_refused(body: bytes) -> None:
    """A file is held against the request: names, dtypes, shapes, and values that no answer holds."""
    with pytest.raises(ContractError):
        parse(body)


def test_the_right_reply_is_taken() -> None:
    """The file that the wrong ones above are made of is an answer."""
    for body in (file(HEADER, DATA), with_arrays()):
        result = parse(body)
        assert (result.probabilities.tolist(), result.predicted_labels.tolist()) == (PROBABILITIES.tolist(), [1, 0])


def test_minus_infinity_is_a_logarithm() -> None:
    """The log-probability of a masked class arrives as it is."""
    result = parse(with_arrays(log_probabilities=MINUS_INFINITY), include=["log_probabilities"])
    assert result.log_probabilities.tolist() == MINUS_INFINITY.tolist()


def test_an_output_of_a_later_service_is_left_aside() -> None:
    """An array under a name that this version does not know is passed over."""
    assert not hasattr(parse(with_arrays(novelty=np.ones(7, np.float16))), "novelty")


@pytest.mark.parametrize("wire", ["binary"], indirect=True)
def test_a_malformed_reply_is_a_response_error(ask: Ask) -> None:
    """Callers see a ResponseError with the call's facts, and nothing is asked again in another format."""
    script = Script([HttpReply(200, {"Content-Type": BINARY}, file(HEADER, DATA)[:-1])])
    with pytest.raises(ResponseError, match="malformed"):
        ask(script, "softmax", LOGITS)
    assert len(script.requests) == 1
