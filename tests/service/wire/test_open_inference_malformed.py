"""The catalogue of bad `/v2` bodies: each answers by status, slug and the pointer of its first fault."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.service.conftest import check_problem

from .open_inference_bodies import JSON_BYTES, Entry, body_of, in_binary, in_json, sized

pytestmark = pytest.mark.anyio

Expected = tuple[int, str, str]
Case = tuple[str, bytes, dict[str, str], Expected]

LOGITS = in_json("logits", [[1, 2], [3, 4]])
LABELS = in_json("labels", [0, 1], "int64")
GOOD = [LOGITS, LABELS]
RAW, RAW_DATA = in_binary("logits", [[1, 2], [3, 4]])
MALFORMED = (400, "malformed-tensor")
LONG = "9" * 5000
WRITTEN = json.dumps({"inputs": GOOD}).encode()


def text(name: str, body: bytes, *expected: Any) -> Case:
    """A body of JSON alone."""
    return name, body, {}, expected


def document(name: str, members: dict[str, Any], *expected: Any) -> Case:
    """A JSON document that is bad as a whole."""
    return text(name, json.dumps(members).encode(), *expected)


def entry(name: str, expected: tuple[Any, ...] = (*MALFORMED, "/logits"), **changes: object) -> Case:
    """Logits described in a bad way; what is ... is left out."""
    changed = {member: value for member, value in (LOGITS | changes).items() if value is not ...}
    return document(name, {"inputs": [changed, LABELS]}, *expected)


def data(name: str, slug: str, pointer: str, value: object, base: Entry = LOGITS) -> Case:
    """JSON data that are bad."""
    inputs = [each for each in GOOD if each["name"] != base["name"]] + [base | {"data": value}]
    return document(name, {"inputs": inputs}, 422, slug, pointer)


def binary(name: str, entries: list[Entry], content: bytes, *expected: Any) -> Case:
    """Tensors behind the JSON part that are bad."""
    return name, *body_of({"inputs": entries}, content), expected


def cut(name: str, length: str, *expected: Any) -> Case:
    """A JSON part whose length is said in a bad way."""
    body, _ = body_of({"inputs": [RAW, LABELS]}, RAW_DATA)
    return name, body, {JSON_BYTES: length}, expected


def option(name: str, slug: str, pointer: str, **parameters: object) -> Case:
    """A parameter that is bad."""
    return document(name, {"inputs": GOOD, "parameters": parameters}, 422, slug, pointer)


def outputs(name: str, wanted: object, *expected: Any) -> Case:
    """Outputs named in a bad way."""
    return document(name, {"inputs": GOOD, "outputs": wanted}, *expected)


BYTES: list[Case] = [
    text("empty", b"", 400, "empty-body", ""),
    text("blanks", b" \n", 400, "empty-body", ""),
    text("cut short", b'{"inputs": [', 400, "malformed-json", ""),
    text("two documents", b"{}{}", 400, "malformed-json", ""),
    text("a byte order mark", b"\xef\xbb\xbf{}", 400, "malformed-json", ""),
    text("no UTF-8", b'{"id": "\xff"}', 400, "malformed-json", ""),
    text("half a surrogate pair", b'{"inputs": [%b], "id": "\\ud800"}' % json.dumps(LOGITS).encode(), 400,
         "malformed-json", ""),
    text("NaN as data", json.dumps({"inputs": [LOGITS | {"data": [float("nan")] * 4}]}).encode(), 400,
         "malformed-json", ""),
    text("Infinity as data", json.dumps({"inputs": [LOGITS | {"data": [-float("inf")] * 4}]}).encode(), 400,
         "malformed-json", ""),
    text("NaN as a parameter of the client", b'{"inputs": [], "parameters": {"timeout": NaN}}', 400,
         "malformed-json", ""),
    text("nested 1000 deep", b'{"inputs": ' + b"[" * 1000 + b"]" * 1000 + b"}", 400, "nesting-too-deep", ""),
    text("objects 900 deep", b'{"inputs": [' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"]}", 400, "nesting-too-deep", ""),
    text("data 9 deep", b'{"inputs": [{"name": "logits", "datatype": "FP32", "shape": [1, 1], "data": '
         + b"[" * 9 + b"1" + b"]" * 9 + b"}]}", 400, "nesting-too-deep", ""),
    text("inputs twice", b'{"inputs": [], "inputs": []}', 400, "duplicate-field", "/inputs"),
    text("a name twice within an input", b'{"inputs": [{"name": "logits", "name": "labels"}]}', 400, "duplicate-field",
         "/inputs/0/name"),
    text("a parameter twice", b'{"inputs": [], "parameters": {"dtype": "float32", "dtype": "float64"}}', 400,
         "duplicate-field", "/parameters/dtype"),
    text("a parameter of an output twice", b'{"inputs": [%b, %b], "outputs": [{"name": "loss", "parameters": '
         b'{"binary_data": true, "binary_data": false}}]}' % tuple(json.dumps(each).encode() for each in GOOD), 400,
         "duplicate-field", "/outputs/0/parameters/binary_data"),
    text("a nul in a name", b'{"inputs": [{"name": "logits", "a\\u0000": 1}]}', *MALFORMED, "/logits"),
    text("a nul in a parameter", b'{"inputs": [%b, %b], "parameters": {"dtype\\u0000": 1}}' % tuple(
        json.dumps(each).encode() for each in GOOD), 422, "unknown-field", "/dtype"),
    text("a nul in a name twice", b'{"inputs": [{"a\\u0000": 1, "a\\u0000": 2}]}', 400, "duplicate-field",
         "/inputs/0/a"),
    text("an array", b"[]", 422, "wrong-type", ""),
    text("null", b"null", 422, "wrong-type", ""),
    text("a string", b'"inputs"', 422, "wrong-type", ""),
    cut("no length", "", 400, "malformed-http", ""),
    cut("a negative length", "-1", 400, "malformed-http", ""),
    cut("a length with a sign", "+10", 400, "malformed-http", ""),
    cut("a length in words", "ten", 400, "malformed-http", ""),
    cut("a length with a fraction", "10.0", 400, "malformed-http", ""),
    cut("a length beyond the body", "5000", 400, "malformed-http", ""),
    cut("a length beyond the body and the limit of JSON", "99999999", 400, "malformed-http", ""),
    cut("a length of 5000 digits", LONG, 400, "malformed-http", ""),
    cut("a length of nothing", "0", 400, "empty-body", ""),
    cut("a length within the JSON", "20", 400, "malformed-json", ""),
    cut("a length that takes data along", str(len(json.dumps({"inputs": [RAW, LABELS]})) + 4), 400, "malformed-json",
        ""),
]  # fmt: skip

INPUTS: list[Case] = [
    document("no members", {}, 422, "missing-field", "/logits"),
    document("no inputs", {"inputs": []}, 422, "missing-field", "/logits"),
    document("no labels", {"inputs": [LOGITS]}, 422, "missing-field", "/labels"),
    document("another member", {"inputs": GOOD, "input": []}, 422, "unknown-field", "/input"),
    document("inputs are an object", {"inputs": {"logits": [[1]]}}, 422, "wrong-type", ""),
    document("inputs are null", {"inputs": None}, 422, "wrong-type", ""),
    document("the id is a number", {"inputs": GOOD, "id": 7}, 422, "wrong-type", ""),
    document("the id is null", {"inputs": GOOD, "id": None}, 422, "wrong-type", ""),
    document("another model", {"inputs": GOOD, "model_name": "loss"}, 422, "conflicting-fields", "/model_name"),
    document("another version", {"inputs": GOOD, "model_name": "gradient", "model_version": "2"}, 422,
             "conflicting-fields", "/model_version"),
    *(document(f"a model named {value}", {"inputs": GOOD, "model_name": value}, 422, "wrong-type", "/model_name")
      for value in (None, 1, ["gradient"], {"a": 1})),
    document("a version that is a number", {"inputs": GOOD, "model_version": 1}, 422, "wrong-type", "/model_version"),
    text("a model named twice", WRITTEN[:-1] + b', "model_name": "loss", "model_name": "gradient"}', 400,
         "duplicate-field", "/model_name"),
    document("parameters are an array", {"inputs": GOOD, "parameters": []}, 422, "wrong-type", ""),
    document("33 inputs", {"inputs": [in_json(f"x{number}", [1]) for number in range(33)]}, 422, "out-of-range", ""),
    document("an input twice", {"inputs": [*GOOD, LOGITS]}, 400, "duplicate-field", "/logits"),
    document("labels and targets", {"inputs": [*GOOD, in_json("targets", [[1, 0], [0, 1]])]}, 422, "conflicting-fields",
             "/targets"),
    document("a misspelt input", {"inputs": [*GOOD, in_json("logit", [[1]])]}, 422, "unknown-field", "/logit"),
    document("a name to be escaped", {"inputs": [*GOOD, in_json("a/b~", [1])]}, 422, "unknown-field", "/a~1b~0"),
    document("an option as an input", {"inputs": [*GOOD, in_json("temperature", [2])]}, 422, "wrong-type",
             "/temperature"),
    document("an input is null", {"inputs": [None]}, 422, "wrong-type", ""),
    document("a name is null", {"inputs": [LOGITS | {"name": None}]}, 422, "wrong-type", ""),
    document("an input is an array", {"inputs": [[1]]}, *MALFORMED, ""),
    document("an input without a name", {"inputs": [{"datatype": "FP32"}]}, *MALFORMED, ""),
    document("a name that is a number", {"inputs": [LOGITS | {"name": 1}]}, *MALFORMED, ""),
    entry("no datatype", datatype=...),
    entry("no shape", shape=...),
    entry("no data", data=...),
    *(entry(f"datatype {value}", datatype=value) for value in (1, ["FP32"])),
    *(entry(f"{member} is {null}", (422, "wrong-type", "/logits"), **{member: null}) for member, null in (
        ("datatype", None), ("shape", None), ("shape", [2, None]), ("parameters", None))),
    entry("a size that is null", (422, "wrong-type", "/logits"), data=..., parameters={"binary_data_size": None}),
    *(entry(f"shape {str(value)[:40]}", shape=value) for value in (
        4, "2,2", {"0": 2}, [2, 2.0], [2, True], [2, "2"], [2, -2], [-1, 2], [[2, 2]], [2, 2**63],
        [1] * 1025)),
    entry("another member of an input", size=4),
    entry("data and a size", parameters={"binary_data_size": 16}),
    entry("an unknown parameter of an input", (422, "unknown-field", "/logits"), parameters={"binary": True}),
    *(entry(f"a content type of an input that is {value}", (422, "wrong-type", "/logits"),
            parameters={"content_type": value}) for value in (None, ["np"], {"a": 1})),
    entry("shared memory", (501, "not-implemented", "/logits"), data=..., parameters={"shared_memory_region": "r"}),
    entry("strings", (422, "unsupported-dtype", "/logits"), datatype="BYTES", data=["1"] * 4),
    entry("a datatype in small letters", (422, "unsupported-dtype", "/logits"), datatype="fp32"),
    entry("bfloat16 as JSON", (422, "unsupported-dtype", "/logits"), datatype="BF16"),
    entry("logits of integers", (422, "wrong-type", "/logits"), datatype="INT64"),
    entry("logits of one dimension", (422, "wrong-rank", "/logits"), shape=[4]),
    entry("logits of three dimensions", (422, "wrong-rank", "/logits"), shape=[2, 2, 1]),
    entry("rows of no classes", (422, "empty-classes", "/logits"), shape=[2, 0], data=[]),
    entry("a batch of nothing", (422, "empty-batch", "/logits"), shape=[0, 0], data=[]),
]  # fmt: skip

OF_WEIGHTS = in_json("class_weights", [1, 1])
OF_MASKS = in_json("element_mask", [[True, True], [True, True]], "bool")

DATA: list[Case] = [
    data("null as data", "wrong-type", "/logits", None),
    data("a number as data", "wrong-type", "/logits", 1),
    data("an object as data", "wrong-type", "/logits", {"0": 1}),
    data("null among flat data", "wrong-type", "/logits/1/0", [1, 2, None, 4]),
    data("null among rows", "wrong-type", "/logits/1/1", [[1, 2], [3, None]]),
    data("a string among flat data", "wrong-type", "/logits/0/1", [1, "2", 3, 4]),
    data("a boolean among rows", "wrong-type", "/logits/0/0", [[True, 2], [3, 4]]),
    data("an object that names twice", "wrong-type", "/logits/0/0", [{"a": 1}, 2, 3, 4]),
    data("an element too few", "length-mismatch", "/logits", [1, 2, 3]),
    data("an element too many", "length-mismatch", "/logits", [1, 2, 3, 4, 5]),
    data("no data", "length-mismatch", "/logits", []),
    data("rows of another shape", "length-mismatch", "/logits", [[1, 2, 3, 4]]),
    data("three rows", "length-mismatch", "/logits", [[1, 2], [3, 4], [5, 6]]),
    data("ragged rows", "ragged", "/logits/1", [[1, 2], [3]]),
    data("ragged rows of the right number", "ragged", "/logits/1", [[1], [2, 3, 4]]),
    data("an array among flat data", "wrong-rank", "/logits", [1, [2], 3, 4]),
    data("rows of arrays", "wrong-rank", "/logits", [[[1], 2], [3, 4]]),
    data("beyond float32", "number-out-of-range", "/logits/1/0", [1, 2, 3.5e38, 4]),
    data("beyond float16", "number-out-of-range", "/logits/0/1", [1, 65520, 3, 4], LOGITS | {"datatype": "FP16"}),
    data("labels in rows", "wrong-rank", "/labels", [[0], [1]], LABELS),
    data("a label with a fraction", "wrong-type", "/labels/1", [0, 1.0], LABELS),
    data("a label of 2**63", "label-out-of-range", "/labels/1", [0, 2**63], LABELS),
    data("a label of -2**63 - 1", "label-out-of-range", "/labels/0", [-(2**63) - 1, 0], LABELS),
    data("a label of 30 digits", "label-out-of-range", "/labels/1", [0, 10**30], LABELS),
    data("a label that is no class", "label-out-of-range", "/labels/1", [0, 2], LABELS),
    data("a label beyond eight bits", "label-out-of-range", "/labels/1", [0, 128], LABELS | {"datatype": "INT8"}),
    data("a label below zero", "label-out-of-range", "/labels/0", [-1, 0], LABELS | {"datatype": "UINT64"}),
    data("a negative weight", "out-of-range", "/class_weights/1", [1, -1], OF_WEIGHTS),
    data("numbers for booleans", "wrong-type", "/element_mask/1/1", [True, True, True, 1], OF_MASKS),
    text("beyond float64", WRITTEN.replace(b"[[1.0, 2.0], [3.0, 4.0]]", b"[1, 2, 3, 1e400]"), 422,
         "number-out-of-range", "/logits/1/1"),
    text("beyond float64 in rows", WRITTEN.replace(b"4.0", LONG.encode()), 422, "number-out-of-range", "/logits/1/1"),
    text("a shape beyond float64", WRITTEN.replace(b'"shape": [2, 2]', b'"shape": [2, 1e400]'),
         422, "number-out-of-range", ""),
]  # fmt: skip

BINARY: list[Case] = [
    binary("a byte short", [RAW, LABELS], RAW_DATA[:-1], *MALFORMED, "/logits"),
    binary("a trailing byte", [RAW, LABELS], RAW_DATA + b"\0", *MALFORMED, ""),
    binary("no tensor behind", [RAW, LABELS], b"", *MALFORMED, "/logits"),
    binary("bytes behind JSON data", GOOD, bytes(1), *MALFORMED, ""),
    *(binary(f"a size of {size}", [sized("logits", "FP32", [2, 2], size), LABELS], RAW_DATA, *MALFORMED, "/logits")
      for size in (15, 17, 0, -16, 16.0, "16", True, [16], 2**63, 2**64)),
    *(binary(f"a shape of {shape}", [sized("logits", "FP32", shape, 16), LABELS], RAW_DATA, *MALFORMED, "/logits")
      for shape in ([2, 3], [4, 4], [2**32, 2**32], [2**62, 4], [2, 2**62])),
    binary("bytes for no rows so wide", [sized("logits", "FP32", [0, 2**62], 0), LABELS], b"", *MALFORMED, "/logits"),
    binary("another datatype", [sized("logits", "FP64", [2, 2], 16), LABELS], RAW_DATA, *MALFORMED, "/logits"),
    binary("sizes that overlap", [sized("logits", "FP32", [2, 2], 16), sized("targets", "FP32", [2, 2], 16)],
           RAW_DATA + bytes(8), *MALFORMED, "/targets"),
    binary("the same input twice", [RAW, RAW], RAW_DATA * 2, 400, "duplicate-field", "/logits"),
    binary("strings", [sized("logits", "BYTES", [2, 2], 16), LABELS], RAW_DATA, 422, "unsupported-dtype", "/logits"),
    binary("a Boolean of 2", [*GOOD, sized("class_mask", "BOOL", [2], 2)], b"\x01\x02", *MALFORMED, "/class_mask"),
    binary("labels of floats", [LOGITS, sized("labels", "FP32", [2], 8)], bytes(8), 422, "wrong-type", "/labels"),
    binary("NaN", [RAW, LABELS], in_binary("logits", [[1, 2], [float("nan"), 4]])[1], 422, "non-finite", "/logits/1/0"),
    binary("Infinity", [RAW, LABELS], in_binary("logits", [[1, float("inf")], [3, 4]])[1], 422, "non-finite",
           "/logits/0/1"),
    binary("a label of 2**63", [LOGITS, in_binary("labels", [0, 2**63], "uint64")[0]],
           in_binary("labels", [0, 2**63], "uint64")[1], 422, "label-out-of-range", "/labels/1"),
    binary("a label masked by minus infinity", [RAW, LABELS], in_binary("logits", [[-float("inf"), 2], [3, 4]])[1], 422,
           "infinite-loss", "/labels/0"),
]  # fmt: skip

OPTIONS: list[Case] = [
    option("a misspelt parameter", "unknown-field", "/temprature", temprature=1),
    option("a parameter is null", "wrong-type", "/temperature", temperature=None),
    option("a parameter is a string", "wrong-type", "/temperature", temperature="1"),
    option("a parameter is nested", "wrong-type", "/temperature", temperature={"value": 1}),
    option("a parameter out of range", "out-of-range", "/temperature", temperature=0),
    option("a parameter of 400 digits", "number-out-of-range", "/temperature", temperature=10**400),
    option("a word that is no choice", "unknown-value", "/reduction", reduction="avg"),
    option("parameters in conflict", "conflicting-fields", "/denominator", reduction="sum", denominator="batch"),
    option("an array among the parameters", "wrong-type", "/class_weights", class_weights=[1, 1]),
    option("outputs as a parameter", "wrong-type", "/include", include=["loss"]),
    option("binary_data_output is a number", "wrong-type", "/binary_data_output", binary_data_output=1),
    option("a nested parameter of the client", "wrong-type", "/timeout", timeout=[[1]]),
    *(option(f"a parameter of the client is {value}", "wrong-type", "/timeout", timeout=value)
      for value in (None, [], [1], {}, {"value": 1})),
    *(text(f"a parameter of the client of {number[:9]!r}", WRITTEN[:-1] + b', "parameters": {"priority": %b}}' % number,
           422, "number-out-of-range", "/priority") for number in (b"1e400", b"-1e400", LONG.encode())),
    document("an input that is a parameter too", {"inputs": GOOD, "parameters": {"labels": [0, 1]}}, 400,
             "duplicate-field", "/labels"),
    outputs("outputs are an object", {"loss": {}}, 422, "wrong-type", "/include"),
    outputs("an output is a string", ["loss"], 422, "wrong-type", "/include/0"),
    outputs("an output without a name", [{"name": "loss"}, {}], 422, "wrong-type", "/include/1"),
    outputs("an output that there is not", [{"name": "loss"}, {"name": "accuracy"}], 422, "unknown-value",
            "/include/1"),
    outputs("another member of an output", [{"name": "loss", "shape": [1]}], 422, "wrong-type", "/include/0"),
    outputs("binary_data is a number", [{"name": "loss", "parameters": {"binary_data": 1}}], 422, "wrong-type",
            "/include/0"),
    outputs("an unknown parameter of an output", [{"name": "loss", "parameters": {"binary": True}}], 422,
            "unknown-field", "/include/0"),
    outputs("a content type of an output that is null",
            [{"name": "loss", "parameters": {"content_type": None}}], 422, "wrong-type", "/include/0"),
    outputs("a classification", [{"name": "loss", "parameters": {"classification": 1}}], 501, "not-implemented",
            "/include/0"),
    outputs("33 outputs", [{"name": str(number)} for number in range(33)], 422, "out-of-range", "/include"),
]  # fmt: skip

CATALOGUE = [pytest.param(*case[1:], id=case[0]) for case in (*BYTES, *INPUTS, *DATA, *BINARY, *OPTIONS)]


@pytest.mark.parametrize(("body", "headers", "expected"), CATALOGUE)
@pytest.mark.usefixtures("reader")
async def test_bad_bodies_are_refused(
    http: httpx.AsyncClient, body: bytes, headers: dict[str, str], expected: Expected
) -> None:
    """A bad body is answered by a complete problem that names its first fault, whichever parser reads it."""
    check_problem(await http.post("/v2/models/gradient/infer", content=body, headers=headers), *expected)


@pytest.mark.parametrize("body", [body_of({"inputs": GOOD}), body_of({"inputs": [RAW, LABELS]}, RAW_DATA)])
async def test_what_the_catalogue_spoils_is_good(http: httpx.AsyncClient, body: tuple[bytes, dict[str, str]]) -> None:
    """The requests that the catalogue changes are answered as they stand."""
    reply = await http.post("/v2/models/gradient/infer", content=body[0], headers=body[1])
    assert reply.status_code == 200


async def test_an_output_may_be_named_twice(http: httpx.AsyncClient) -> None:
    """An output named again is answered once, as in the list of a native request; what its last naming says counts."""
    wanted = [{"name": "loss", "parameters": {"binary_data": is_binary}} for is_binary in (False, True)]
    content = json.dumps({"inputs": GOOD, "outputs": [*wanted, {"name": "summary"}]}).encode()
    reply = await http.post("/v2/models/gradient/infer", content=content)
    document = json.loads(reply.content[: int(reply.headers[JSON_BYTES])])
    assert [output["name"] for output in document["outputs"]] == ["loss"]
    assert document["outputs"][0]["parameters"] == {"binary_data_size": 4}


async def test_the_length_is_said_once(http: httpx.AsyncClient) -> None:
    """Two headers that say where the JSON part ends are none, even where they agree."""
    body, headers = body_of({"inputs": GOOD})
    reply = await http.post("/v2/models/gradient/infer", content=body, headers=[*headers.items()] * 2)
    check_problem(reply, 400, "malformed-http")


@pytest.mark.usefixtures("reader")
async def test_several_faults_are_told_in_the_order_of_the_document(http: httpx.AsyncClient) -> None:
    """Faults of inputs, outputs and parameters stand as their members do."""
    members: dict[str, Any] = {
        "outputs": [{"name": "accuracy"}],
        "parameters": {"temperature": "0"},
        "inputs": [LABELS | {"data": [0.5, None]}, LOGITS | {"data": [1, 2, "3"]}],
    }
    reply = await http.post("/v2/models/loss/infer", content=json.dumps(members).encode())
    problem = check_problem(reply, 422, "unknown-value", "/include/0")
    pointers = [error["pointer"] for error in problem["errors"]]
    assert pointers == ["/include/0", "/temperature", "/labels/0", "/labels/1", "/logits/1/0"]
