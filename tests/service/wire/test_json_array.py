"""JSON arrays to NumPy arrays: the values of the standard library to the last bit, and each fault in its place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.schemas.requests import LossRequest, SoftmaxRequest

from .conftest import decode

SHARED = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the reader is the same for every example
)

TEXTS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.integers(0, 10**60).map(lambda digits: f"0.{digits:060d}"),
    st.tuples(st.integers(-(10**30), 10**30), st.integers(0, 10**30), st.integers(-330, 250)).map(
        lambda parts: f"{parts[0]}.{parts[1]}e{parts[2]}"
    ),
)
SPECIAL = [
    "-0.0", "-0.0e0", "0", "5e-324", "-5e-324", "2.2250738585072009e-308", "2.2250738585072011e-308", "1e308",
    "1.7976931348623157e308", "1.7976931348623158e308", "-1.7976931348623157E+308", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "12345678901234567890123", "9007199254740993", "9007199254740993.0", "1e-400", "1E5",
    "0.1", "0.30000000000000004", "179769313486231570814527423731704356798070", "1e+22", "1e23", "8.5e22",
    "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000123456789012345678901234567890",
    "2.47032822920623272e-324", "2.4703282292062327208e-324", "7.2057594037927933e16", "1" + "0" * 308,
]  # fmt: skip


def faults_of(body: object, model: type[Any] = SoftmaxRequest) -> tuple[Fault, ...]:
    """The faults of a document."""
    with pytest.raises(InvalidInputError) as caught:
        decode(json.dumps(body).encode(), model)
    return caught.value.faults


def bits(values: Any) -> list[str]:
    """Floats so that their signs and last bits count."""
    return [float(value).hex() for value in values]


@SHARED
@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), min_size=1, max_size=5))
@example([SPECIAL])
@example([[text] for text in SPECIAL])
def test_numbers_are_read_to_the_last_bit(reader: str, rows: list[list[str]]) -> None:
    """Any decimal text becomes the float64 that the standard library makes of it."""
    body = "[" + ", ".join("[" + ",".join(row) + "]" for row in rows) + "]"
    logits = decode(f'{{"logits": {body}}}'.encode(), SoftmaxRequest).logits
    assert (reader, logits.dtype.name) == (reader, "float64")
    assert logits.shape == (len(rows), len(rows[0]))
    assert bits(logits.ravel()) == bits(float(text) for row in rows for text in row)


@pytest.mark.parametrize("text", ["-0.0", "-0.0e5", "-1e-400"])
def test_the_sign_of_zero_is_kept(reader: str, text: str) -> None:
    """−0.0 stays −0.0."""
    (value,) = decode(f'{{"logits": [[{text}]]}}'.encode(), SoftmaxRequest).logits[0]
    assert (reader, float(value).hex()) == (reader, "-0x0.0p+0")


def test_minus_zero_is_an_integer(reader: str) -> None:
    """-0 is the label 0."""
    request = decode(b'{"logits": [[-0]], "labels": [-0]}', LossRequest)
    assert request.labels is not None
    assert (reader, request.labels.tolist(), abs(request.logits[0, 0])) == (reader, [0], 0)


@SHARED
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_are_read_exactly(reader: str, labels: list[int]) -> None:
    """Labels of 64 bits are read without a detour over floats."""
    body = json.dumps({"logits": [[0]] * len(labels), "labels": labels}).encode()
    found = decode(body, LossRequest).labels
    assert found is not None
    assert (reader, found.dtype.name, found.tolist()) == (reader, "int64", labels)


@SHARED
@given(st.lists(st.lists(st.booleans(), min_size=2, max_size=2), min_size=1))
def test_booleans_are_read(reader: str, mask: list[list[bool]]) -> None:
    """Masks become Boolean arrays."""
    body = json.dumps({"logits": [[0, 0]] * len(mask), "element_mask": mask, "class_mask": mask[0]}).encode()
    request = decode(body, SoftmaxRequest)
    assert request.element_mask is not None
    assert request.class_mask is not None
    assert (reader, request.element_mask.dtype.name) == (reader, "bool")
    assert (request.element_mask.tolist(), request.class_mask.tolist()) == (mask, mask[0])


@SHARED
@given(st.integers(1, 400), st.integers(1, 40), st.integers(0, 2**32))
def test_random_rows_come_back(reader: str, num_rows: int, num_columns: int, seed: int) -> None:
    """Rows written by the standard library are the rows that were written, whatever their number and length."""
    wanted = np.random.default_rng(seed).normal(size=(num_rows, num_columns))
    logits = decode(json.dumps({"logits": wanted.tolist()}).encode(), SoftmaxRequest).logits
    assert (reader, logits.tobytes()) == (reader, wanted.tobytes())


HIDDEN: list[tuple[str, object, str, tuple[int, ...]]] = [
    ("in place of an element", [[1, [2]], [3, 4]], "wrong-rank", ()),
    ("in place of the last element", [[1, 2], [3, [4]]], "wrong-rank", ()),
    ("empty beside elements", [[1, 2, []], [3, 4, 5]], "wrong-rank", ()),
    ("empty in each row", [[1, []], [2, []]], "wrong-rank", ()),
    ("with as many numbers in all", [[[1, 2]], [3, 4]], "wrong-rank", ()),
    ("three deep", [[[1, 2], [3, 4]]], "wrong-rank", ()),
    ("two for one", [[[1], [2]]], "wrong-rank", ()),
    ("numbers that swap rows", [[[1, 2], []], [[], [3, 4]]], "wrong-rank", ()),
    ("a row that is none", [[1, 2], 3], "wrong-rank", ()),
    ("lengths that add up", [[1, 2], [3]], "ragged", (1,)),
    ("lengths that average", [[1], [2, 3], [4, 5, 6]], "ragged", (1,)),
    ("an empty row first", [[], [1]], "ragged", (1,)),
    ("an object among elements", [[1, {"a": [1]}]], "wrong-type", (0, 1)),
]


@pytest.mark.parametrize(("logits", "code", "index"), [case[1:] for case in HIDDEN], ids=[case[0] for case in HIDDEN])
def test_hidden_arrays_are_found(reader: str, logits: object, code: str, index: tuple[int, ...]) -> None:
    """An array where a number belongs is found, even where the count of numbers is right."""
    first = faults_of({"logits": logits})[0]
    assert (reader, first.code, first.field, first.index) == (reader, code, "logits", index)


@pytest.mark.parametrize("labels", [[[0], [1]], [[0, 1]], [0, [1]], [[], 0], [[[0]], 1]])
def test_hidden_arrays_in_vectors_are_found(reader: str, labels: object) -> None:
    """So it is in arrays of one rank."""
    first = faults_of({"logits": [[1, 2], [3, 4]], "labels": labels}, LossRequest)[0]
    assert (reader, first.code, first.index) == (reader, "wrong-rank", ())


def test_brackets_in_strings_hide_nothing(reader: str) -> None:
    """A bracket in a word neither hides an array nor makes one of nothing."""
    first = faults_of({"logits": [[1, [2]]], "include": ["[["], "precision": "]"})[0]
    assert (reader, first.code) == (reader, "wrong-rank")
    words = faults_of({"logits": [[1, 2]], "include": ["[["]})
    assert [(fault.code, fault.field) for fault in words] == [("unknown-value", "include")]


def test_both_readers_keep_the_order_of_fields(reader: str) -> None:
    """Faults stand in the order of the document."""
    faults = faults_of({"temperature": "a", "include": 1, "logits": [["x"]], "dtype": "half"})
    assert (reader, [fault.field for fault in faults]) == (reader, ["temperature", "include", "logits", "dtype"])


@pytest.mark.full
@pytest.mark.parametrize("length", [2**24 - 1, 2**24 + 1])
def test_rows_may_be_longer_than_the_parser_tells(length: int) -> None:
    """A row of more than 16 million numbers is read; two such rows of different lengths are ragged still."""
    row = "[" + "1," * (length - 1) + "2]"
    logits = decode(f'{{"logits": [{row}]}}'.encode(), SoftmaxRequest).logits
    assert logits.shape == (1, length)
    assert (logits[0, -2], logits[0, -1]) == (1, 2)
    with pytest.raises(InvalidInputError) as caught:
        decode(f'{{"logits": [{row}, {row[:-1]}, 3]]}}'.encode(), SoftmaxRequest)
    assert caught.value.faults[0].code == "ragged"
