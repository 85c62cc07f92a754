"""Bodies as a whole: options, big bodies, and replies whose text is the shortest that round-trips."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_service.core.errors import InvalidInputError
from gradient_service.core.options import Denominator, Objective, Precision, Reduction, TargetsSum
from gradient_service.schemas.fields import Dtype
from gradient_service.schemas.replies import SoftmaxApplied, SoftmaxReply
from gradient_service.schemas.requests import GradientRequest, LossOutput, LossRequest, SoftmaxRequest
from gradient_service.wire import json_body
from gradient_service.wire.errors import MalformedBodyError

from .conftest import decode

QUADRATIC = 12.0
"""Four times the bytes take 4 times as long in linear time and 16 times in quadratic."""
APPLIED = SoftmaxApplied(temperature=1.0, precision=Precision.ACCURATE, dtype=Dtype.FLOAT64)
SPECIAL = [
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    0.1,
    1 / 3,
    1e22,
    1e16,
    123456.0,
]


def encoded(**outputs: Any) -> dict[str, Any]:
    """A reply's text read back by the standard library, numbers as they were written."""
    body = b"".join(json_body.encode(SoftmaxReply.model_construct(applied=APPLIED, **outputs)))
    document: dict[str, Any] = json.loads(body, parse_float=str, parse_int=str)
    return document


def digits(text: str) -> str:
    """The significant digits of a number's text."""
    return text.lower().partition("e")[0].replace("-", "").replace(".", "").strip("0")


def test_every_option_is_read(reader: str) -> None:
    """Each scalar option arrives as what it says."""
    body = {
        "logits": [[1, 2]], "labels": [0], "temperature": 2, "precision": "fast", "dtype": "float32",
        "objective": "softmax_binary_cross_entropy", "reduction": "sum", "denominator": "batch",
        "denominator_value": 3, "targets_sum": "any", "ignore_label": -100, "label_smoothing": 0.25,
        "include": ["losses", "summary"],
    }  # fmt: skip
    request = decode(json.dumps(body).encode(), LossRequest)
    scalars = request.model_dump(include=set(body) - {"logits", "labels"})
    assert reader in {"simdjson", "orjson"}
    assert scalars == {
        "temperature": 2.0, "precision": Precision.FAST, "dtype": Dtype.FLOAT32,
        "objective": Objective.SOFTMAX_BINARY_CROSS_ENTROPY, "reduction": Reduction.SUM,
        "denominator": Denominator.BATCH, "denominator_value": 3.0, "targets_sum": TargetsSum.ANY,
        "ignore_label": -100, "label_smoothing": 0.25, "include": [LossOutput.LOSSES, LossOutput.SUMMARY],
    }  # fmt: skip


def test_the_order_of_fields_is_kept(reader: str) -> None:
    """The decoder hands on in which order the document named the fields."""
    body = b'{"upstream": [1], "reduction": "none", "labels": [0], "logits": [[1]]}'
    order = json_body.decode(body, GradientRequest, max_nesting=8).field_order
    assert (reader, list(order)) == (reader, ["upstream", "reduction", "labels", "logits"])


def test_blanks_and_escapes_change_nothing(reader: str) -> None:
    """A document written otherwise is the same document."""
    body = b'\r\n{ "l\\u006fgits" :\t[ [ 1 , 2.0 ] ,\n[ 3e0 , 4E0 ] ] , "precision" : "\\u0066ast" }\n '
    request = decode(body, SoftmaxRequest)
    assert (reader, request.precision) == (reader, Precision.FAST)
    assert request.logits.tolist() == [[1, 2], [3, 4]]


def test_big_bodies_are_read(reader: str) -> None:
    """A body of several megabytes is read as the same numbers."""
    wanted = np.random.default_rng(1).normal(size=(500, 400))
    body = json.dumps({"logits": wanted.tolist()}).encode()
    found = decode(body, SoftmaxRequest).logits
    assert (reader, len(body) > 3_000_000, found.tobytes()) == (reader, True, wanted.tobytes())


def test_big_bodies_with_one_long_integer_are_read(reader: str) -> None:
    """One integer beyond 64 bits costs another reading, not another result."""
    rows = np.random.default_rng(2).normal(size=(300, 300)).tolist()
    rows[299][299] = 10**20
    found = decode(json.dumps({"logits": rows}).encode(), SoftmaxRequest).logits
    assert (reader, found.tolist()) == (reader, rows)


@pytest.mark.parametrize("tail", [b"", b"]", b"]]", b"]]}x", b"]],}", b']], "logits": [[1]]}', b",]]}", b"NaN]]}"])
def test_big_broken_bodies_are_refused_in_linear_time(reader: str, tail: bytes) -> None:
    """Four times as many numbers before the wrong last bytes take about four times as long to refuse."""
    bodies = [b'{"logits": [[' + b"0.12345678901234567," * count + b"1" + tail for count in (12_500, 50_000)]
    for body in bodies:
        with pytest.raises(MalformedBodyError):
            decode(body, SoftmaxRequest)
    assert (reader, growth(*bodies) < QUADRATIC) == (reader, True)


@pytest.mark.parametrize("element", [b"1 ", b"-", b"1e", b"[", b'"a",', b"{}", b"true,", b"1e5,", b"9" * 30 + b","])
def test_no_element_makes_reading_slow(reader: str, element: bytes) -> None:
    """Four times as much of any one thing takes about four times as long to read or refuse."""
    bodies = [b'{"logits": [[' + element * (size // len(element)) + b"1]]}" for size in (100_000, 400_000)]
    assert (reader, growth(*bodies) < QUADRATIC) == (reader, True)


def growth(small: bytes, large: bytes) -> float:
    """How many times the processor time the large body takes, each at its quickest; 5 ms at the least."""
    seconds = [min(processor_seconds(body) for _ in range(2)) for body in (small, large)]
    return max(seconds[1], 0.005) / max(seconds[0], 0.005)


def processor_seconds(body: bytes) -> float:
    """The processor time that a body takes to be read or refused."""
    started = time.process_time()
    with suppress(MalformedBodyError, InvalidInputError):
        decode(body, SoftmaxRequest)
    return time.process_time() - started


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float64_is_written_shortest(value: float) -> None:
    """A float64 is written in the fewest digits that read back as the same bits."""
    (text,) = encoded(entropy=np.array([value]))["entropy"]
    assert float(text).hex() == value.hex()
    assert digits(text) == digits(repr(value))


@settings(max_examples=300, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_is_written_shortest(value: float) -> None:
    """A float32 is written in the fewest digits that read back as the same float32."""
    single = np.float32(value)
    (text,) = encoded(entropy=np.array([single]))["entropy"]
    assert np.float32(text).tobytes() == single.tobytes()
    assert digits(text) == digits(np.format_float_scientific(single, unique=True))


def test_special_values_round_trip() -> None:
    """Zeros of both signs, subnormals and extremes come back to the bit."""
    texts = encoded(probabilities=np.array([SPECIAL]))["probabilities"][0]
    assert [float(text).hex() for text in texts] == [value.hex() for value in SPECIAL]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_minus_infinity_is_null(dtype: type[np.floating[Any]]) -> None:
    """The log-probability of a masked class is written as null."""
    assert encoded(log_probabilities=np.array([[-np.inf, 0.5]], dtype))["log_probabilities"] == [[None, "0.5"]]


def test_integers_are_written_as_integers() -> None:
    """Decisions have no decimal point."""
    reply = encoded(predicted_labels=np.array([2, 2**53 + 1]), one_hot=np.array([[0, 1]], np.uint8))
    assert (reply["predicted_labels"], reply["one_hot"]) == (["2", "9007199254740993"], [["0", "1"]])


def test_only_what_was_asked_for_is_written() -> None:
    """Outputs that were not computed do not appear, not even as null."""
    assert set(encoded(entropy=np.array([0.0]))) == {"entropy", "applied"}


@pytest.mark.parametrize("logit", ["1", "1" + "0" * 20])
def test_long_labels_are_read_beside_longer_numbers(reader: str, logit: str) -> None:
    """An integer of 19 digits is the same label and the same option, whatever else the document holds."""
    label = 10**18
    body = f'{{"logits": [[{logit}, 1]], "labels": [{label}], "ignore_label": {label}}}'
    request = decode(body.encode(), LossRequest)
    assert request.labels is not None
    assert (reader, request.labels.tolist(), request.ignore_label) == (reader, [label], label)
