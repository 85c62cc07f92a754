"""Several faults at once, and hostile names: document order, at most 20 errors, small answers, nothing echoed."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

from .conftest import MAX_ERRORS, check_problem, post

pytestmark = pytest.mark.anyio

ROW: dict[str, Any] = {"logits": [[1, 2]]}
HOSTILE = {
    "long": "x" * 100_000,
    "long and multi-byte": "☃" * 100_000,
    "outside the basic plane": "😀" * 100_000,
    "slashes and tildes": "/~" * 50_000,
    "control characters": "\x00\x1b[31m\r\nX-Injected: 1\x7f\x80\u2028\u2029",
    "only control characters": "\x00\x01\x02\x1f",
    "right-to-left override": "\u202etemperature",
    "quotes and backslashes": '"\\' * 1000,
    "markup": "<script>alert(1)</script>",
    "format strings": "%s%n{0}{logits}" * 10,
    "combining marks": "e" + "\u0301" * 10_000,
    "not a character": "\ufffe\uffff",
}


def errors_of(reply: httpx.Response) -> list[tuple[str, str]]:
    """Slug and pointer of each error."""
    return [(error["code"], error["pointer"]) for error in reply.json()["errors"]]


async def test_faults_come_in_document_order(http: httpx.AsyncClient) -> None:
    """Faults of types and of words are told in the order of the document, the first one as the type."""
    body = {"dtype": "x", "logits": [[1, True], [2]], "include": ["a", "b"], "temperature": -1, "precision": None}
    reply = await post(http, "/softmax", body)
    check_problem(reply, 422, "unknown-value", "/dtype")
    assert errors_of(reply) == [
        ("unknown-value", "/dtype"),
        ("wrong-type", "/logits/0/1"),
        ("unknown-value", "/include/0"),
        ("unknown-value", "/include/1"),
        ("wrong-type", "/precision"),
    ]


async def test_the_same_faults_in_another_order(http: httpx.AsyncClient) -> None:
    """The document's last field first: its fault is the type now."""
    body = {"precision": None, "temperature": -1, "logits": [[1, True]], "dtype": "x"}
    reply = await post(http, "/softmax", body)
    check_problem(reply, 422, "wrong-type", "/precision")
    assert [pointer for _, pointer in errors_of(reply)] == ["/precision", "/logits/0/1", "/dtype"]


async def test_length_mismatches_come_in_document_order(http: httpx.AsyncClient) -> None:
    """Every array that does not fit is told, in the order of the document."""
    body = {"sample_weights": [1], "labels": [0], "class_weights": [1], "logits": [[1, 2], [3, 4]], "class_mask": []}
    reply = await post(http, "/gradient", body)
    pointers = ["/sample_weights", "/labels", "/class_weights", "/class_mask"]
    assert errors_of(reply) == [("length-mismatch", pointer) for pointer in pointers]


async def test_values_out_of_range_come_in_document_order(http: httpx.AsyncClient) -> None:
    """Every array with a bad value is told, in the order of the document."""
    body = {"sample_weights": [1, -1], "class_weights": [-1, 1], "labels": [0, 2], "logits": [[1, 2], [3, 4]]}
    expected = [
        ("out-of-range", "/sample_weights/1"),
        ("out-of-range", "/class_weights/0"),
        ("label-out-of-range", "/labels/1"),
    ]
    assert errors_of(await post(http, "/loss", body)) == expected


async def test_conflicts_come_in_document_order(http: httpx.AsyncClient) -> None:
    """Every option that conflicts is told, in the order of the document."""
    body = {"include": ["loss"], "denominator": "batch", "targets_sum": "any", "labels": [0], "reduction": "none"}
    expected = [("conflicting-fields", pointer) for pointer in ("/include/0", "/denominator", "/targets_sum")]
    assert errors_of(await post(http, "/loss", body | ROW)) == expected


async def test_unknown_fields_come_in_document_order(http: httpx.AsyncClient) -> None:
    """Unknown fields are told in the order of the document, before the missing one."""
    expected = [("unknown-field", "/z"), ("unknown-field", "/a"), ("missing-field", "/logits")]
    assert errors_of(await post(http, "/softmax", {"z": 1, "a": 2})) == expected


async def test_unknown_fields_come_before_wrong_types(http: httpx.AsyncClient) -> None:
    """Whether fields are known is settled before their types are looked at."""
    reply = await post(http, "/softmax", {"logits": "x", "nope": 1})
    assert errors_of(reply) == [("unknown-field", "/nope")]


async def test_types_come_before_shapes(http: httpx.AsyncClient) -> None:
    """A wrong type hides a mismatch of lengths."""
    reply = await post(http, "/loss", {"labels": [0], "logits": [[1], [2]], "temperature": "1"})
    assert errors_of(reply) == [("wrong-type", "/temperature")]


async def test_shapes_come_before_values(http: httpx.AsyncClient) -> None:
    """A mismatch of lengths hides a negative weight."""
    reply = await post(http, "/loss", {"class_weights": [-1, 1], "labels": [0], "logits": [[1, 2], [3, 4]]})
    assert errors_of(reply) == [("length-mismatch", "/labels")]


@pytest.mark.parametrize("body", [
    {"logits": [["x"] * 500] * 100},
    {"logits": ["x"] * 50_000},
    {"logits": [[1, 2], *[[1]] * 50_000]},
    {"logits": [[1]], "include": ["x"] * 30},
    {"logits": [[1]], **{f"unknown_{position}": 1 for position in range(10_000)}},
])  # fmt: skip
async def test_no_more_than_twenty_errors(http: httpx.AsyncClient, body: object) -> None:
    """Of thousands of faults the first twenty are told."""
    reply = await post(http, "/softmax", body)
    assert len(reply.json()["errors"]) == MAX_ERRORS


async def test_a_list_of_thousands_of_outputs_is_not_looked_through(http: httpx.AsyncClient) -> None:
    """A list longer than any use of it is refused for its length alone."""
    reply = await post(http, "/softmax", {"logits": [[1]], "include": ["x"] * 10_000})
    assert errors_of(reply) == [("out-of-range", "/include")]


async def test_no_more_than_twenty_values(http: httpx.AsyncClient) -> None:
    """Of thousands of labels out of range the first twenty are told, in order."""
    body = {"logits": [[1, 2]] * 5000, "labels": [7] * 5000}
    assert [pointer for _, pointer in errors_of(await post(http, "/loss", body))] == [f"/labels/{n}" for n in range(20)]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("is_ascii", [True, False])
async def test_hostile_unknown_name(http: httpx.AsyncClient, name: str, *, is_ascii: bool) -> None:
    """A hostile field name is told by its first 64 printable characters, in an answer of at most 16 KiB."""
    shown = "".join(character for character in name if character.isprintable())[:64]
    body = json.dumps(ROW | {name: 1}, ensure_ascii=is_ascii).encode()
    pointer = "/" + shown.replace("~", "~0").replace("/", "~1")
    check_problem(await post(http, "/softmax", body), 422, "unknown-field", pointer)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
async def test_many_hostile_names(http: httpx.AsyncClient, name: str) -> None:
    """Thirty hostile names fit into 16 KiB as well."""
    body = ROW | {name[:3000] + str(position): 1 for position in range(30)}
    problem = check_problem_size(await post(http, "/softmax", body))
    assert len(problem["errors"]) == MAX_ERRORS


def check_problem_size(reply: httpx.Response) -> dict[str, Any]:
    """The problem, which must be a complete one, whatever its first pointer is."""
    pointer = reply.json()["errors"][0]["pointer"]
    return check_problem(reply, 422, "unknown-field", pointer)


@pytest.mark.parametrize("name", ["/" * 300, "~" * 300, "x" * 100_000, "a\x00b"])
async def test_hostile_duplicate_name(http: httpx.AsyncClient, name: str) -> None:
    """The pointer to a hostile name given twice is short, printable, and escapes no half of a character."""
    encoded = json.dumps(name).encode()
    reply = await post(http, "/softmax", b"{" + encoded + b": 1, " + encoded + b": 2}")
    pointer = reply.json()["errors"][0]["pointer"]
    check_problem(reply, 400, "duplicate-field", pointer)
    assert pointer.replace("~0", "").replace("~1", "").count("~") == 0
    assert len(pointer.replace("~0", "~").replace("~1", "/")) <= 1 + 64
    assert pointer.isprintable()


@pytest.mark.parametrize("body", [
    {"logits": [["s3cret-value"]]},
    {"logits": "s3cret-value"},
    {"logits": [[1]], "precision": "s3cret-value"},
    {"logits": [[1]], "include": ["s3cret-value"]},
    {"logits": [[1]], "temperature": "s3cret-value"},
    b'{"logits": [["s3cret-value" 1]]}',
    b'{"logits": s3cret-value}',
])  # fmt: skip
async def test_values_are_not_echoed(http: httpx.AsyncClient, body: object) -> None:
    """What a caller sent as a value is not in the answer."""
    reply = await post(http, "/softmax", body)
    assert reply.status_code == (400 if isinstance(body, bytes) else 422)
    assert "s3cret" not in reply.text


async def test_numbers_are_not_echoed(http: httpx.AsyncClient) -> None:
    """A label out of range is not told back."""
    reply = await post(http, "/loss", {"logits": [[1, 2]], "labels": [31_415_926]})
    assert "31415926" not in reply.text


@pytest.mark.parametrize(("name", "suggestion"), [
    ("temprature", "temperature"), ("logit", "logits"), ("dtypes", "dtype"), ("Include", "include"),
])  # fmt: skip
async def test_the_nearest_name_is_suggested(http: httpx.AsyncClient, name: str, suggestion: str) -> None:
    """An unknown field is told with the known name that is nearest."""
    reply = await post(http, "/softmax", ROW | {name: 1})
    assert suggestion in reply.json()["detail"]


async def test_long_integers_are_refused(http: httpx.AsyncClient) -> None:
    """Integers of 5 000 digits, more than Python reads as one, are numbers out of range."""
    body = b'{"logits": [[' + b",".join([b"9" * 5000] * 100) + b"]]}"
    reply = await post(http, "/softmax", body)
    check_problem(reply, 422, "number-out-of-range", "/logits/0/0")


async def test_many_faults_of_one_field_leave_room_for_others(http: httpx.AsyncClient) -> None:
    """What is first in the document is told first, however many rows of a later field are undefined."""
    body = {"labels": [5] * 300, "logits": [[0]] * 300, "element_mask": [[False]] * 300}
    check_problem(await post(http, "/loss", body), 422, "label-out-of-range", "/labels/0")


async def test_an_output_asked_for_twice_counts_where_it_stands(http: httpx.AsyncClient) -> None:
    """The pointer is into the document, and the reply is no longer for it."""
    body: dict[str, Any] = {"logits": [[0] * 600] * 600, "labels": [0] * 600, "include": ["loss", "loss", "jacobian"]}
    check_problem(await post(http, "/gradient", body), 422, "output-too-large", "/include/2")


async def test_a_label_of_an_infinite_loss_is_told_once(http: httpx.AsyncClient) -> None:
    """Where it is on a masked class and alone on it as well."""
    body = {"logits": [[0, 0]], "labels": [1], "class_mask": [True, False]}
    reply = await post(http, "/loss", body | {"objective": "softmax_binary_cross_entropy"})
    assert errors_of(reply) == [("infinite-loss", "/labels/0")]


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        (np.array([[np.nan, 1e300]]), [("non-finite", "/logits/0/0"), ("number-out-of-range", "/logits/0/1")]),
        (np.array([[-1e300, -np.inf]]), [("number-out-of-range", "/logits/0/0")]),
    ],
)
async def test_beside_a_number_beyond_the_dtype_all_is_told_as_it_was_sent(
    http: httpx.AsyncClient, logits: Any, expected: list[tuple[str, str]]
) -> None:
    """What the number became is not held against others, and hides none."""
    fields = {"Content-Type": "application/x-safetensors"}
    reply = await http.post(
        "/softmax", content=save({"logits": logits}, {"options": '{"dtype":"float32"}'}), headers=fields
    )
    assert errors_of(reply) == expected
