"""Two faults at once: the layer that is checked earlier answers, in every dialect."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gradient_service.app import create_app
from gradient_service.settings import Settings

from .bad_fields import Fields
from .conftest import check_problem, client_of
from .dialects import DIALECTS

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
BINARY = {"Content-Type": "application/x-safetensors"}
KEY = {"Authorization": "Bearer k"}
INFER = "/v2/models/loss/infer"
PART = "Inference-Header-Content-Length"
LONG = b"x" * 2000
LIMITS: dict[str, Any] = {
    "api_keys": SecretStr("k"),
    "max_json_body_bytes": 1000,
    "max_binary_body_bytes": 1500,
    "max_jacobian_elements": 20,
}

# What is wrong in two ways; the earlier layer comes first in the name.
MESSAGES: dict[str, tuple[str, str, dict[str, str], bytes, int, str]] = {
    "host, path": ("POST", "/nope", {"Host": "a b"}, b"", 400, "malformed-http"),
    "host, key": ("POST", "/softmax", {"Host": "a b"}, b"{}", 400, "malformed-http"),
    "header bytes, path": ("POST", "/nope", {"X": "x" * 40_000}, b"", 431, "headers-too-large"),
    "expectation, type": ("POST", "/softmax", KEY | {"Expect": "tea"}, b"{}", 417, "expectation-failed"),
    "path, key": ("POST", "/nope", {}, b"{}", 404, "not-found"),
    "path, method": ("DELETE", "/softmax/", {}, b"", 404, "not-found"),
    "method, key": ("DELETE", "/softmax", {}, b"", 405, "method-not-allowed"),
    "method, length": ("PUT", INFER, KEY, LONG, 405, "method-not-allowed"),
    "key, length": ("POST", "/softmax", JSON, LONG, 401, "unauthenticated"),
    "key, type": ("POST", "/loss", {"Content-Type": "a/b"}, b"{}", 401, "unauthenticated"),
    "key, bytes": ("POST", INFER, {}, b"{", 401, "unauthenticated"),
    "model, bytes": ("POST", "/v2/models/nope/infer", KEY, b"{", 404, "not-found"),
    "version, part": ("POST", "/v2/models/loss/versions/2/infer", KEY | {PART: "x"}, b"{}", 404, "not-found"),
    "length, type": ("POST", "/softmax", KEY | {"Content-Type": "a/b"}, LONG, 413, "body-too-large"),
    "length, accepted type": ("POST", "/softmax", KEY | JSON | {"Accept": "a/b"}, LONG[:1200], 413, "body-too-large"),
    "length, bytes": ("POST", "/softmax", KEY | BINARY, LONG, 413, "body-too-large"),
    "length, coding": ("POST", INFER, KEY | {"Content-Encoding": "br"}, LONG[:1200], 413, "body-too-large"),
    "length, coding that no call has": ("POST", "/loss", KEY | JSON | {"Content-Encoding": "gzip"}, LONG[:1200], 413,
                                        "body-too-large"),
    "part, coding": ("POST", INFER, KEY | {PART: "-1", "Content-Encoding": "br"}, b"{}", 400, "malformed-http"),
    "type, accepted type": ("POST", "/loss", KEY | {"Content-Type": "a/b", "Accept": "a/b"}, b"{}", 415,
                            "unsupported-media-type"),
    "type, bytes": ("POST", "/gradient", KEY | {"Content-Type": "text/plain"}, b"{", 415, "unsupported-media-type"),
    "charset, bytes": ("POST", "/loss", KEY | {"Content-Type": "application/json; charset=utf-16"}, b"{", 415,
                       "unsupported-media-type"),
    "coding, bytes": ("POST", "/loss", KEY | JSON | {"Content-Encoding": "gzip"}, b"{", 415,
                      "unsupported-content-encoding"),
    "coding of /v2, bytes": ("POST", INFER, KEY | {"Content-Encoding": "zstd"}, b"{", 415,
                             "unsupported-content-encoding"),
    "accepted type, bytes": ("POST", "/loss", KEY | JSON | {"Accept": "text/html"}, b"{", 406, "not-acceptable"),
    "accepted coding, bytes": ("POST", "/loss", KEY | JSON | {"Accept-Encoding": "identity;q=0"}, b"{", 406,
                               "not-acceptable"),
    "bytes, fields": ("POST", "/loss", KEY | JSON, b'{"nope": 1, "logits": [[1]], }', 400, "malformed-json"),
    "repeated field, fields": ("POST", "/loss", KEY | JSON, b'{"nope": 1, "logits": 1, "logits": 2}', 400,
                               "duplicate-field"),
    "depth, fields": ("POST", "/loss", KEY | JSON, b'{"nope": ' + b"[" * 9 + b"]" * 9 + b"}", 400, "nesting-too-deep"),
    "tensor bytes, fields": ("POST", "/loss", KEY | BINARY, b"\x02\0\0\0\0\0\0\0{}x", 400, "malformed-tensor"),
}  # fmt: skip

ROWS: Fields = {"logits": [[1, 2, 3], [4, 5, 6]], "labels": [0, 1]}
WRONG = {"temperature": "1"}
FIELDS: dict[str, tuple[Fields, str, str]] = {
    "unknown, type": ({"nope": 1} | WRONG, "unknown-field", "/nope"),
    "unknown, word": ({"nope": 1, "reduction": "x"}, "unknown-field", "/nope"),
    "unknown, shape": ({"nope": 1, "labels": [0]}, "unknown-field", "/nope"),
    "unknown, value": ({"nope": 1, "labels": [0, -1]}, "unknown-field", "/nope"),
    "both kinds of targets, type": ({"targets": [[1, 0, 0]] * 2} | WRONG, "conflicting-fields", "/targets"),
    "type, shape": ({"labels": [0]} | WRONG, "wrong-type", "/temperature"),
    "type, limit": ({"include": ["jacobian"]} | WRONG, "wrong-type", "/temperature"),
    "type, value": ({"labels": [0, -1]} | WRONG, "wrong-type", "/temperature"),
    "type, option out of range": ({"label_smoothing": 2} | WRONG, "wrong-type", "/temperature"),
    "rank, shape": ({"labels": [[0, 1]], "class_weights": [1]}, "wrong-rank", "/labels"),
    "rank, option out of range": ({"temperature": 0, "labels": [[0, 1]]}, "wrong-rank", "/labels"),
    "word, shape": ({"labels": [0], "reduction": "x"}, "unknown-value", "/reduction"),
    "word, option out of range": ({"temperature": 0, "reduction": "x"}, "unknown-value", "/reduction"),
    "shape, limit": ({"labels": [0], "include": ["jacobian"]}, "length-mismatch", "/labels"),
    "shape, value": ({"class_weights": [-1, 1, 1], "labels": [0]}, "length-mismatch", "/labels"),
    "shape, option out of range": ({"temperature": 0, "labels": [0]}, "length-mismatch", "/labels"),
    "shape, smoothing out of range": ({"label_smoothing": -1, "labels": [0]}, "length-mismatch", "/labels"),
    "shape, denominator out of range": ({"denominator_value": 0, "labels": [0]}, "length-mismatch", "/labels"),
    "limit, value": ({"logits": [[1, 2, 3]] * 3, "labels": [0, 1, -1], "include": ["jacobian"]}, "output-too-large",
                     "/include/0"),
    "limit, option out of range": ({"logits": [[1, 2, 3]] * 3, "labels": [0, 1, 2], "temperature": 0,
                                    "include": ["jacobian"]}, "output-too-large", "/include/0"),
    "value, infinite loss": ({"class_mask": [False, True, True], "sample_weights": [1, -1]}, "out-of-range",
                             "/sample_weights/1"),
}  # fmt: skip


FAR, FARTHER = 654321, 123456
"""What stands for a label that int64 does not hold, and for a number that float64 does not."""
FAR_VALUES: dict[str, tuple[Fields, str, str]] = {
    "conflict, value": ({"upstream": [1, FARTHER]}, "conflicting-fields", "/upstream"),
    "rank, value": ({"labels": [FAR, 0], "class_weights": [[1, 1, 1]]}, "wrong-rank", "/class_weights"),
    "shape, label": ({"labels": [0, 1, FAR]}, "length-mismatch", "/labels"),
    "shape, logit": ({"logits": [[1, 2, FARTHER], [4, 5, 6]], "labels": [0]}, "length-mismatch", "/labels"),
    "shape, weight": ({"class_weights": [1, FARTHER]}, "length-mismatch", "/class_weights"),
    "shape, more than are told": ({"class_weights": [FARTHER] * 30}, "length-mismatch", "/class_weights"),
    "shape, option": ({"label_smoothing": FARTHER, "labels": [0]}, "length-mismatch", "/labels"),
    "shape, ignored label": ({"ignore_label": FAR, "labels": [0]}, "length-mismatch", "/labels"),
    "shape, many rows": ({"logits": [[1, 2, 3]] * 30_000, "labels": [FAR]}, "length-mismatch", "/labels"),
    "limit, value": ({"logits": [[1, 2, 3]] * 3, "labels": [0, 1, 2], "class_weights": [1, 1, FARTHER],
                      "include": ["jacobian"]}, "output-too-large", "/include/0"),
    "label": ({"labels": [0, FAR]}, "label-out-of-range", "/labels/1"),
    "logit": ({"logits": [[1, 2, FARTHER], [4, 5, 6]]}, "number-out-of-range", "/logits/0/2"),
    "option": ({"label_smoothing": FARTHER}, "number-out-of-range", "/label_smoothing"),
}  # fmt: skip


@pytest.fixture
async def strict() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with a key and small limits."""
    async with client_of(create_app(Settings.model_construct(**LIMITS))) as client:
        yield client


@pytest.mark.parametrize("name", MESSAGES)
async def test_the_earlier_layer_of_a_message_answers(strict: httpx.AsyncClient, name: str) -> None:
    """Message, path and method, key, length, type and coding, bytes: the first that is wrong is told, and no more."""
    method, path, headers, body, status, slug = MESSAGES[name]
    reply = await strict.request(method, path, content=body, headers=headers)
    problem = check_problem(reply, status, slug, reply.json()["errors"][0]["pointer"])
    assert len(problem["errors"]) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", FIELDS)
async def test_the_earlier_layer_of_fields_answers(strict: httpx.AsyncClient, name: str, dialect: str) -> None:
    """Fields, types and ranks, shapes, limits, values: the first that is wrong is told, wherever it stands."""
    changes, slug, pointer = FIELDS[name]
    url, body, headers = DIALECTS[dialect]("gradient", ROWS | changes)
    check_problem(await strict.post(url, content=body, headers=headers | KEY), 422, slug, pointer)


@pytest.mark.parametrize("dialect", ["json", "inference JSON"])
@pytest.mark.parametrize("name", FAR_VALUES)
async def test_what_no_type_holds_is_told_as_a_value(name: str, dialect: str) -> None:
    """Behind conflicts, ranks, shapes and limits, though it is found as the JSON is read, before these."""
    changes, slug, pointer = FAR_VALUES[name]
    url, body, headers = DIALECTS[dialect]("gradient", ROWS | changes)
    app = create_app(Settings.model_construct(max_jacobian_elements=20))
    async with client_of(app) as client:
        content = re.sub(rb"%d(\.0)?" % FARTHER, b"1e400", body.replace(b"%d" % FAR, b"%d" % (2**64 - 1)))
        reply = await client.post(url, content=content, headers=headers)
    check_problem(reply, 422, slug, pointer)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_is_spoiled_twice_is_good(strict: httpx.AsyncClient, dialect: str) -> None:
    """The request that the table changes is answered as it stands, with the Jacobian at its limit."""
    url, body, headers = DIALECTS[dialect]("gradient", ROWS | {"include": ["jacobian"]})
    assert (await strict.post(url, content=body, headers=headers | KEY)).status_code == 200


async def test_rows_of_wrong_types_come_before_ragged_ones(http: httpx.AsyncClient) -> None:
    """An element of a wrong type in the last row is told before rows of other lengths, which are then not."""
    body = json.dumps({"logits": [[1, 2], [3], [4, "5"]]}).encode()
    problem = check_problem(await http.post("/softmax", content=body, headers=JSON), 422, "wrong-type", "/logits/2/1")
    assert len(problem["errors"]) == 1


async def test_a_length_beyond_both_limits_is_told_both(strict: httpx.AsyncClient) -> None:
    """What type a body has is looked at behind its length: the larger limit alone would mislead a sender of JSON."""
    problem = (await strict.post("/softmax", content=LONG, headers=KEY | JSON)).json()
    assert problem["errors"][0]["detail"] == "The limit is 1000 bytes of JSON, and 1500 of tensors."
