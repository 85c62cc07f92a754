"""Arrays in pieces hold the numbers and have the faults that they have as a whole."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradient_service.core.errors import InvalidInputError
from gradient_service.schemas.requests import LossRequest, SoftmaxRequest
from gradient_service.wire import json_body, json_values, open_inference
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_pieces import PIECE_BYTES

from .conftest import decode
from .piece_sizes import WHOLE, pieces_of

SHARED = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the reader is the same for every example
)
SIZES = st.sampled_from([1, 4, 12, 40])

NUMBERS = st.integers(-9, 9) | st.sampled_from([0.5, 1e22, 10**20, -(2**63), 2**64, 1e-300])
ROWS = st.integers(0, 4).flatmap(lambda length: st.lists(st.lists(NUMBERS, min_size=length, max_size=length)))
ODD = st.recursive(
    st.sampled_from([1, 2, 0.5, 10**30, True, None, "a", "[,]", "\\"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)
ARRAYS = ROWS | st.lists(ODD) | st.lists(st.lists(ODD)) | ODD
VECTORS = st.lists(st.integers(0, 3)) | st.lists(ODD)


def outcome(body: bytes, size: int, model: type[Any] = LossRequest) -> Any:
    """What a body becomes that is read in pieces of a size: its fields, or what is wrong with it."""
    try:
        with pieces_of(size):
            request = decode(body, model)
    except InvalidInputError as error:
        return [(fault.code, fault.field, fault.index) for fault in error.faults]
    except MalformedBodyError as error:
        return error.code, error.pointer
    return {name: (value.dtype, value.tolist()) for name, value in request if isinstance(value, np.ndarray)}


@SHARED
@given(ARRAYS, VECTORS, VECTORS, SIZES)
@example([[1, {"a": 1, "b": 2}], [3]], [0], [], 1)
@example([[1, [2, 3], 4]], [0], [], 1)
@example([{"a": [1, 2]}, [1, 2], [3]], [0], [], 1)
def test_pieces_make_no_difference(reader: str, logits: Any, labels: Any, weights: Any, size: int) -> None:
    """Whatever stands in place of an array, cut or not it is the same array, or has the same faults."""
    fields = {"logits": logits, "labels": labels, "sample_weights": weights, "include": ["loss", "losses"]}
    body = json.dumps(fields).encode()
    assert (reader, outcome(body, size)) == (reader, outcome(body, WHOLE))


@SHARED
@given(ROWS, st.data(), SIZES)
def test_pieces_of_broken_texts_make_no_difference(reader: str, logits: Any, data: st.DataObject, size: int) -> None:
    """A text that breaks off somewhere, or holds a wrong character, is refused alike."""
    body = json.dumps({"logits": logits, "temperature": 2}).encode()
    place = data.draw(st.integers(0, len(body)))
    body = body[:place] + data.draw(st.sampled_from([b"", b",", b"]", b"[", b"}", b'"', b"x", b"NaN", b"1e999"]))
    body += data.draw(st.sampled_from([b"", body[place:], body[place + 1 :]]))
    assert (reader, outcome(body, size, SoftmaxRequest)) == (reader, outcome(body, WHOLE, SoftmaxRequest))


def inference(data: Any, shape: list[int], datatype: str) -> bytes:
    """An Open Inference body with one tensor of JSON data beside logits of another size."""
    labels = {"name": "labels", "shape": shape, "datatype": datatype, "data": data}
    logits = {"name": "logits", "shape": shape[:1] * 2, "datatype": "FP32", "data": data}
    return json.dumps({"id": "a,b", "inputs": [labels, logits], "outputs": [{"name": "loss"}]}).encode()


def inferred(body: bytes, size: int) -> Any:
    """What an Open Inference body becomes that is read in pieces of a size."""
    try:
        with pieces_of(size):
            request = open_inference.decode(body, None, LossRequest, max_nesting=8).decoded.request
    except InvalidInputError as error:
        return [(fault.code, fault.field, fault.index) for fault in error.faults]
    except MalformedBodyError as error:
        return error.code, error.pointer
    return [request.labels.tolist() if request.labels is not None else None, request.logits.tolist()]


@SHARED
@given(VECTORS | ROWS | ARRAYS, st.integers(0, 4), st.sampled_from(["INT64", "FP64"]), SIZES)
def test_pieces_of_tensors_make_no_difference(reader: str, data: Any, length: int, datatype: str, size: int) -> None:
    """So it is with the data of Open Inference tensors, flat or in rows."""
    body = inference(data, [length], datatype)
    assert (reader, inferred(body, size)) == (reader, inferred(body, WHOLE))


@SHARED
@given(ARRAYS, SIZES)
def test_slow_pieces_make_no_difference(reader: str, logits: Any, size: int) -> None:
    """Nor does it when the parser has been slow, and others read the pieces that follow."""
    body = json.dumps({"logits": logits, "labels": [0], "temperature": 1e-300}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "SLOW_SECONDS", -1.0)
        found = outcome(body, size)
    assert (reader, found) == (reader, outcome(body, WHOLE))


def test_wide_blanks_make_no_option_wrong(reader: str) -> None:
    """A list of options that blanks stretch over many pieces is the list that it is."""
    blanks = b" " * 3 * PIECE_BYTES
    body = b'{"logits": [[1]], "include": ["entropy",' + blanks + b'"one_hot"]}'
    assert (reader, decode(body, SoftmaxRequest).include) == (reader, ["entropy", "one_hot"])


@pytest.mark.parametrize("unit", [b"1,", b"[1],", b"[],", b"0.12345678901234567,"])
def test_the_parser_reads_pieces(reader: str, monkeypatch: pytest.MonkeyPatch, unit: bytes) -> None:
    """The parser, which holds the interpreter until it is done, is never given much more than a piece."""
    lengths = []
    parse = json_values.parse

    def noted(body: bytes) -> Any:
        lengths.append(len(body))
        return parse(body)

    monkeypatch.setattr(json_values, "parse", noted)
    monkeypatch.setattr(json_values, "SLOW_SECONDS", 3600.0)
    rows = (unit * (20 * PIECE_BYTES // len(unit))).removesuffix(b",")
    body = b'{"logits": [' + (rows if unit.startswith(b"[") else b"[" + rows + b"]") + b"]}"
    decode(body, SoftmaxRequest)
    assert (reader, len(lengths) >= 20, max(lengths) < 2 * PIECE_BYTES) == (reader, True, True)


@dataclass
class Patient:
    """A caller who can be asked so many times."""

    left: int

    def check(self) -> None:
        """Be asked."""
        self.left -= 1
        if self.left < 0:
            raise TimeoutError


@pytest.mark.parametrize("tail", [b"1]]}", b"x]]}", b'"a"]]}', b"1e999]]}"])
def test_reading_ends_at_a_checkpoint(reader: str, tail: bytes) -> None:
    """Whether a body is accepted or refused, its caller is asked after many times, and ends the reading."""
    body = b'{"logits": [[' + b"1," * 10 * PIECE_BYTES + tail
    caller = Patient(1000)
    with suppress(InvalidInputError, MalformedBodyError):
        json_body.decode(body, SoftmaxRequest, max_nesting=8, checkpoint=caller.check)
    asked = 1000 - caller.left
    for number in (1, asked // 2, asked - 1):
        with pytest.raises(TimeoutError):
            json_body.decode(body, SoftmaxRequest, max_nesting=8, checkpoint=Patient(number).check)
    assert (reader, asked >= 20) == (reader, True)
