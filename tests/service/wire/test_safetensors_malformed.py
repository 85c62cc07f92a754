"""The catalogue of bad safetensors bodies: each answers by status, slug and the pointer of its first fault."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.service.conftest import check_problem

from .safetensors_files import Stored, file_of, raw_file, stored

pytestmark = pytest.mark.anyio

HEADERS = {"Content-Type": "application/x-safetensors"}
LOGITS = stored([[1, 2], [3, 4]])
LABELS = stored([0, 1], "int64")
GOOD: dict[str, Stored] = {"logits": LOGITS, "labels": LABELS}
ENTRY: dict[str, Any] = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
DATA = bytes(8)
WRITTEN = json.dumps(ENTRY).encode()
LONG = b"9" * 5000
MALFORMED = (400, "malformed-tensor")

Case = tuple[str, bytes, tuple[int, str, str]]


def headed(name: str, header: object, pointer: str = "", data: bytes = DATA) -> Case:
    """A header that is malformed."""
    return name, raw_file(header, data), (*MALFORMED, pointer)


def entry(name: str, pointer: str = "/logits", **changes: object) -> Case:
    """A tensor whose entry in the header is malformed."""
    return headed(name, {"logits": {**ENTRY, **changes}}, pointer)


def lacking(key: str) -> Case:
    """An entry without one of its keys."""
    return headed(f"no {key}", {"logits": {name: value for name, value in ENTRY.items() if name != key}}, "/logits")


def fields_of_nothing(name: str, shape: tuple[int, ...]) -> Case:
    """Logits without a byte whose shape no array can have."""
    return name, file_of(GOOD | {"logits": ("F32", shape, b"")}), (*MALFORMED, "/logits")


def two(
    name: str, first: list[int], second: list[int], pointer: str, num_bytes: int = 16, *, dtype: str = "F32"
) -> Case:
    """Two tensors that do not lie back to back."""
    entry = ENTRY | {"dtype": dtype}
    header = {"logits": entry | {"data_offsets": first}, "targets": entry | {"data_offsets": second}}
    return headed(name, header, pointer, bytes(num_bytes))


def options(name: str, text: object, status: int, slug: str, pointer: str = "") -> Case:
    """Options that are bad."""
    return name, file_of(GOOD, text), (status, slug, pointer)


def fields(name: str, slug: str, pointer: str, **tensors: Stored) -> Case:
    """Tensors that break the contract."""
    return name, file_of(GOOD | tensors), (422, slug, pointer)


NO_METADATA: list[object] = [
    None, 1, [], "x", True, {"options": {}}, {"options": None}, {"format": 1}, {"options": ["{}"]},
]  # fmt: skip
NO_ENTRY: list[object] = [None, 1, [], "F32", True, {}]
NO_DTYPE: list[object] = [None, 1, ["F32"], {"F32": 1}]
NO_SHAPE: list[object] = [
    None, 2, "12", {"0": 1}, [1, 2.0], [1, True], [1, "2"], [1, None], [1, -2], [-1, -2], [1, 2e0],
]  # fmt: skip
NO_OFFSETS: list[object] = [
    None, 8, [], [8], [0, 8, 8], [0, 8.0], [False, 8], [-8, 0], ["0", "8"], [8, 0], {"begin": 0},
]  # fmt: skip

BYTES: list[Case] = [
    ("nothing", b"", (400, "empty-body", "")),
    ("seven bytes", bytes(7), (*MALFORMED, "")),
    headed("no header", b"", data=b""),
    ("a header longer than the body", raw_file(b"{}", length=3), (*MALFORMED, "")),
    ("a header of 2**64 - 1 bytes", raw_file(b"{}", length=2**64 - 1), (*MALFORMED, "")),
    ("a header of 2**63 bytes", raw_file(b"{}", length=2**63), (*MALFORMED, "")),
    headed("a header above 64 KiB", json.dumps({"logits": ENTRY}).encode().ljust(64 * 1024 + 1)),
    ("a header cut short", raw_file({"logits": ENTRY}, DATA, length=20), (*MALFORMED, "")),
    ("a header that takes data along", raw_file({"logits": ENTRY}, DATA, length=70), (*MALFORMED, "")),
    headed("no UTF-8", b'{"\xff": 1}'),
    headed("UTF-16", json.dumps({"logits": ENTRY}).encode("utf-16-le")),
    headed("a byte order mark", b"\xef\xbb\xbf" + json.dumps({"logits": ENTRY}).encode()),
    headed("half a surrogate pair", b'{"\\ud800": {"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}'),
    headed("a leading blank", b" " + json.dumps({"logits": ENTRY}).encode()),
    headed("a trailing comma", json.dumps({"logits": ENTRY}).encode() + b","),
    headed("two documents", json.dumps({"logits": ENTRY}).encode() * 2),
    headed("a header filled up with zeros", json.dumps({"logits": ENTRY}).encode() + b"\0" * 4),
    *(headed(f"the header is {text}", text.encode()) for text in ("[]", "null", "1", '"x"', "true", "{", "}", "NaN")),
    headed("nested 1000 deep", b'{"logits": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
    headed("a tensor named twice", b'{"logits": %b, "logits": %b}' % (WRITTEN, WRITTEN), "/logits"),
    headed("metadata named twice", b'{"__metadata__": {}, "__metadata__": {}, "logits": %b}' % WRITTEN,
           "/__metadata__"),
    headed("a key named twice", b'{"logits": {"dtype":"F32","dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}',
           "/logits/dtype"),
    headed("options named twice", b'{"__metadata__": {"options": "{}", "options": "{}"}}',
           "/__metadata__/options", b""),
    *(headed(f"metadata is {value}", {"__metadata__": value, "logits": ENTRY}) for value in NO_METADATA),
]  # fmt: skip

ENTRIES: list[Case] = [
    *(headed(f"an entry is {value}", {"logits": value}, "/logits") for value in NO_ENTRY),
    lacking("dtype"),
    lacking("shape"),
    lacking("data_offsets"),
    entry("another key", extra="x"),
    *(entry(f"dtype is {value}", dtype=value) for value in NO_DTYPE),
    *(entry(f"shape is {value}", shape=value) for value in NO_SHAPE),
    *(entry(f"offsets are {value}", data_offsets=value) for value in NO_OFFSETS),
    entry("shape is nested", shape=[[1, 2]]),
    entry("one element short", shape=[1, 1]),
    entry("one element over", shape=[1, 3]),
    entry("bytes between elements", data_offsets=[0, 7]),
    entry("another size", dtype="F64"),
    entry("a shape product of 2**80", shape=[2**40, 2**40]),
    entry("a shape product of 2**64", shape=[2**32, 2**32]),
    entry("a shape product of 2**64 + 2", shape=[2, 2**63 + 1]),
    entry("2**62 float32, 2**64 bytes", shape=[1, 2**62]),
    entry("a product of 8000 digits", shape=[10**4000, 10**4000]),
    entry("a shape product of 5600 digits", shape=[2**62] * 300),
    entry("beyond the body", "", data_offsets=[0, 2**60], shape=[2**58]),
    entry("beyond 64 bits", data_offsets=[0, 2**64], shape=[2**62]),
    headed("a number of 5000 digits", b'{"logits":{"dtype":"F32","shape":[1,%b],"data_offsets":[0,8]}}' % LONG),
    headed("an offset of 5000 digits", b'{"logits":{"dtype":"F32","shape":[1,2],"data_offsets":[0,%b]}}' % LONG),
    *(fields_of_nothing(f"no rows of {size} classes", (0, size)) for size in (2**61, 2**63, 2**64, 10**30)),
    *(fields_of_nothing(f"{size} rows of no classes", (size, 0)) for size in (2**61, 2**63)),
    two("offsets of 4300 digits", [0, 10**4300 - 1], [10**4300 - 2, 10**4300 - 1], "/logits", dtype="X"),
    two("an overlap", [0, 8], [4, 12], "/targets", 12),
    two("the same bytes twice", [0, 8], [0, 8], "/targets", 8),
    two("a gap", [0, 8], [9, 17], "/targets", 17),
    two("a gap before the first", [1, 9], [9, 17], "/logits", 17),
    two("an overlap in another order", [4, 12], [0, 8], "/logits", 12),
    headed("a byte short", {"logits": ENTRY}, "", bytes(7)),
    headed("a trailing byte", {"logits": ENTRY}, "", bytes(9)),
    headed("data and no tensor", {}, "", bytes(1)),
]  # fmt: skip

OPTIONS: list[Case] = [
    options("options are no JSON", "temperature=2", 400, "malformed-json"),
    options("options cut short", '{"temperature": 2', 400, "malformed-json"),
    options("options with NaN", '{"temperature": NaN}', 400, "malformed-json"),
    options("options twice", "{}{}", 400, "malformed-json"),
    options("options blank", " ", 400, "empty-body"),
    options("options 1000 deep", '{"include": ' + "[" * 1000 + "]" * 1000 + "}", 400, "nesting-too-deep"),
    options("options 9 deep", '{"include": ' + "[" * 9 + "]" * 9 + "}", 400, "nesting-too-deep"),
    options("an option named twice", '{"temperature": 1, "temperature": 1}', 400, "duplicate-field", "/temperature"),
    options("a name twice within an option", '{"include": [{"a": 1, "a": 2}]}', 400, "duplicate-field", "/include/0/a"),
    options("an option that is a tensor too", {"logits": [[1, 2]]}, 400, "duplicate-field", "/logits"),
    options("options are an array", "[]", 422, "wrong-type"),
    options("options are null", "null", 422, "wrong-type"),
    options("options are a number", "1", 422, "wrong-type"),
    options("an option is null", {"temperature": None}, 422, "wrong-type", "/temperature"),
    options("an option is nested", {"temperature": {"value": 1}}, 422, "wrong-type", "/temperature"),
    options("an option is a string", {"temperature": "1"}, 422, "wrong-type", "/temperature"),
    options("an option out of range", {"temperature": 0}, 422, "out-of-range", "/temperature"),
    options("an option beyond float64", '{"temperature": 1e400}', 422, "number-out-of-range", "/temperature"),
    options("400 digits", {"temperature": 10**400}, 422, "number-out-of-range", "/temperature"),
    options("5000 digits", f'{{"temperature": {LONG.decode()}}}', 422, "number-out-of-range", "/temperature"),
    options("a word that is no choice", {"reduction": "avg"}, 422, "unknown-value", "/reduction"),
    options("a misspelt option", {"temprature": 1}, 422, "unknown-field", "/temprature"),
    options("an array among the options", {"class_weights": [1, 1]}, 422, "wrong-type", "/class_weights"),
    options("a mask among the options", {"class_mask": [True, True]}, 422, "wrong-type", "/class_mask"),
    ("another metadata entry", raw_file({"__metadata__": {"option": "{}"}}), (422, "unknown-field", "/option")),
]  # fmt: skip

FIELDS: list[Case] = [
    ("no logits", file_of({"labels": LABELS}), (422, "missing-field", "/logits")),
    ("no tensors", file_of({}), (422, "missing-field", "/logits")),
    ("no labels", file_of({"logits": LOGITS}), (422, "missing-field", "/labels")),
    fields("labels and targets", "conflicting-fields", "/targets", targets=LOGITS),
    fields("a misspelt tensor", "unknown-field", "/logit", logit=LOGITS),
    fields("a name to be escaped", "unknown-field", "/a~1b~0", **{"a/b~": LOGITS}),
    fields("a scalar as a tensor", "wrong-type", "/temperature", temperature=stored(2)),
    fields("a word as a tensor", "wrong-type", "/reduction", reduction=stored([1, 2], "uint8")),
    *(fields(f"labels of {dtype}", "wrong-type", "/labels", labels=stored([0, 1], dtype))
      for dtype in ("float16", "float32", "float64", "bool")),
    *(fields(f"logits of {dtype}", "wrong-type", "/logits", logits=stored([[0, 1], [1, 0]], dtype))
      for dtype in ("int8", "uint8", "int32", "int64", "uint64", "bool")),
    *(fields(f"a mask of {dtype}", "wrong-type", "/class_mask", class_mask=stored([0, 1], dtype))
      for dtype in ("uint8", "float32", "int64")),
    fields("weights of integers", "wrong-type", "/class_weights", class_weights=stored([1, 1], "int32")),
    fields("complex logits", "unsupported-dtype", "/logits", logits=("C64", (2, 2), bytes(32))),
    fields("logits of eight bits", "unsupported-dtype", "/logits", logits=("F8_E4M3", (2, 2), bytes(4))),
    fields("a type in small letters", "unsupported-dtype", "/logits", logits=("f32", (2, 2), bytes(16))),
    fields("a type without a name", "unsupported-dtype", "/labels", labels=("", (2,), bytes(16))),
    ("a Boolean of 2", file_of(GOOD | {"class_mask": ("BOOL", (2,), b"\x01\x02")}), (*MALFORMED, "/class_mask")),
    *(fields(f"logits of shape {shape}", "wrong-rank", "/logits", logits=("F32", shape, bytes(16)))
      for shape in ((4,), (2, 2, 1), (1,) * 70 + (4,))),
    fields("a single logit", "wrong-rank", "/logits", logits=stored(1)),
    fields("labels in a column", "wrong-rank", "/labels", labels=stored([[0], [1]], "int32")),
    fields("a single label", "wrong-rank", "/labels", labels=stored(0, "int32")),
    fields("a label too few", "length-mismatch", "/labels", labels=stored([0], "int32")),
    fields("a mask too long", "length-mismatch", "/element_mask", element_mask=stored([[1, 1]] * 3, "bool")),
    fields("(0, 0)", "empty-batch", "/logits", logits=("F32", (0, 0), b"")),
    fields("(2, 0)", "empty-classes", "/logits", logits=("F32", (2, 0), b"")),
]  # fmt: skip

CATALOGUE = [pytest.param(*case[1:], id=case[0]) for case in (*BYTES, *ENTRIES, *OPTIONS, *FIELDS)]


@pytest.mark.parametrize(("body", "expected"), CATALOGUE)
async def test_bad_files_are_refused(http: httpx.AsyncClient, body: bytes, expected: tuple[int, str, str]) -> None:
    """A bad file is answered by a complete problem that names its first fault."""
    check_problem(await http.post("/gradient", content=body, headers=HEADERS), *expected)


async def test_what_the_catalogue_spoils_is_good(http: httpx.AsyncClient) -> None:
    """The tensors that the catalogue changes are answered as they stand."""
    assert (await http.post("/gradient", content=file_of(GOOD), headers=HEADERS)).status_code == 200


async def test_a_header_of_64_kib_is_read(http: httpx.AsyncClient) -> None:
    """The limit of the header itself is allowed."""
    length = int.from_bytes(file_of(GOOD)[:8], "little")
    reply = await http.post("/gradient", content=file_of(GOOD, blanks=64 * 1024 - length), headers=HEADERS)
    assert reply.status_code == 200


@pytest.mark.parametrize("num_digits", [30, 4000])
async def test_numbers_of_the_header_are_not_echoed(http: httpx.AsyncClient, num_digits: int) -> None:
    """A problem does not repeat what stands in the header."""
    number = "7" * num_digits
    header = {"logits": ENTRY | {"data_offsets": [int(number)] * 2}}
    reply = await http.post("/gradient", content=raw_file(header), headers=HEADERS)
    assert check_problem(reply, 400, "malformed-tensor", "/logits")["detail"].count("7" * 20) == 0
