"""Whatever a body holds, the steps of reading or refusing it grow with its length, and are at most three a byte."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import pytest

from gradient_service.core.errors import InvalidInputError
from gradient_service.schemas.fields import Body
from gradient_service.schemas.requests import LossRequest, SoftmaxRequest
from gradient_service.wire import json_body, open_inference
from gradient_service.wire.errors import MalformedBodyError

SMALL, LARGE = 50_000, 200_000
STEPS_PER_BYTE = 3
UNITS = {
    "strings": (b'{"logits": [[', b'"ab",', b'"a"]]}'),
    "rows of strings": (b'{"logits": [', b'["ab"],', b"[1]]}"),
    "one string": (b'{"logits": "', b"\\u00e9", b'"}'),
    "a wrong escape at the end": (b'{"logits": [[', b"1,", b'1]], "precision": "\\x"}'),
    "half a surrogate pair at the end": (b'{"precision": "', b"\\ud83d\\ude00", b'\\ud800"}'),
    "a control character at the end": (b'{"logits": [[', b"1,", b'1]], "precision": "\x01"}'),
    "objects": (b'{"logits": [', b"{},", b"{}]}"),
    "objects in a row": (b'{"logits": [[', b'{"a": 1},', b"{}]]}"),
    "nested objects": (b'{"logits": [', b'{"a":{"b":{"c":1}}},', b"{}]}"),
    "objects as an option": (b'{"temperature": [', b'{"a":1},', b"{}]}"),
    "rows": (b'{"logits": [', b"[],", b"[1]]}"),
    "rows in a row": (b'{"logits": [[', b"[],", b"[]]]}"),
    "nested rows": (b'{"logits": [', b"[[[[[[1]]]]]],", b"[1]]}"),
    "brackets": (b"", b"[", b""),
    "blanks": (b"", b" ", b""),
    "blanks behind": (b'{"logits": [[1]]}', b" ", b"x"),
    "long integers": (b'{"logits": [[', b"9" * 30 + b",", b"1]]}"),
    "one long integer": (b'{"logits": [[', b"9", b"]]}"),
    "numbers out of range": (b'{"logits": [[', b"1e400,", b"1]]}"),
    "a number out of range at the end": (b'{"logits": [[', b"1,", b"1e400]]}"),
    "true among numbers": (b'{"logits": [[', b"1,true,", b"1]]}"),
    "true at the end": (b'{"logits": [[', b"1,", b"true]]}"),
    "a short row at the end": (b'{"logits": [', b"[1,2],", b"[1]]}"),
    "a fraction among labels": (b'{"logits": [[1]], "labels": [', b"1,", b"1.0]}"),
    "outputs": (b'{"logits": [[1]], "include": [', b'"loss",', b'"loss"]}'),
    "truncated": (b'{"logits": [[', b"1,", b"1]]"),
    "a duplicate at the end": (b'{"logits": [[', b"1,", b'1]], "logits": 1}'),
    "duplicates": (b"{", b'"a":1,', b'"a":1}'),
    "quotes": (b'{"logits": [', b'"', b"]}"),
    "commas": (b'{"logits": [', b",", b"]}"),
}
INFER = b'{"inputs": [{"name": "logits", "shape": [1, 5], "datatype": "FP64", "data": ['
INFERENCE_UNITS = {
    "inputs": (b'{"inputs": [', b'{"name":"a","shape":[1],"datatype":"FP32","data":[1]},', b"1]}"),
    "empty inputs": (b'{"inputs": [', b"{},", b"{}]}"),
    "outputs": (INFER + b'1]}], "outputs": [', b'{"name": "loss"},', b"1]}"),
    "a long shape": (b'{"inputs": [{"name": "logits", "shape": [', b"1,", b'1], "datatype": "FP64", "data": [1]}]}'),
    "objects as a client's parameter": (b'{"inputs":[],"parameters":{"timeout":[', b'{"a":[{}]},', b"1]}}"),
    "strings as data": (INFER, b'"a",', b"1]}]}"),
    "objects as data": (INFER, b"{},", b"1]}]}"),
    "long integers as data": (INFER, b"9" * 30 + b",", b"1]}]}"),
}


def filled(parts: tuple[bytes, bytes, bytes], size: int) -> bytes:
    """A body of about a size: a head, one thing again and again, and a tail."""
    head, unit, tail = parts
    return head + unit * (size // len(unit)) + tail


def names(size: int) -> bytes:
    """A body of so many unknown fields."""
    return b"{" + b",".join(b'"k%d":1' % number for number in range(size // 10)) + b"}"


def decode(body: bytes) -> None:
    """Read a body of `/loss` or `/softmax`."""
    model: type[Body] = LossRequest if b'"labels"' in body else SoftmaxRequest
    json_body.decode(body, model, max_nesting=8)


def infer(body: bytes) -> None:
    """Read an Open Inference body."""
    open_inference.decode(body, None, SoftmaxRequest, max_nesting=8)


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count the calls that are made until the end of the block."""
    calls = [0]

    def count(_: FrameType, event: str, __: object) -> None:
        calls[0] += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def steps(read: Callable[[bytes], None], body: bytes) -> int:
    """How many calls it takes to read or refuse a body."""
    with counted() as calls, suppress(InvalidInputError, MalformedBodyError):
        read(body)
    return calls[0]


def check_steps(read: Callable[[bytes], None], small: bytes, large: bytes) -> None:
    """Four times the bytes take about four times the steps, and each byte few."""
    few, many = steps(read, small), steps(read, large)
    assert many < 6 * max(few, 1000)
    assert many < STEPS_PER_BYTE * len(large)


@pytest.mark.parametrize("parts", UNITS.values(), ids=list(UNITS))
def test_steps_grow_with_a_body(reader: str, parts: tuple[bytes, bytes, bytes]) -> None:
    """No body of one thing again and again takes many steps a byte."""
    assert reader
    check_steps(decode, filled(parts, SMALL), filled(parts, LARGE))


@pytest.mark.parametrize("parts", INFERENCE_UNITS.values(), ids=list(INFERENCE_UNITS))
def test_steps_grow_with_an_inference_body(reader: str, parts: tuple[bytes, bytes, bytes]) -> None:
    """Nor does one of the Open Inference Protocol."""
    assert reader
    check_steps(infer, filled(parts, SMALL), filled(parts, LARGE))


@pytest.mark.parametrize("read", [decode, infer])
def test_steps_grow_with_the_names(reader: str, read: Callable[[bytes], None]) -> None:
    """Nor do unknown fields, however many."""
    assert reader
    check_steps(read, names(SMALL), names(LARGE))
