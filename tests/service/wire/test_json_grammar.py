"""What is accepted is exactly RFC 8259, by the standard library's parser made strict."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_grammar import check_text, pointer

DEEP = 64

NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 9),
)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]))
DOCUMENTS = st.recursive(
    SCALARS | st.lists(NUMBERS) | st.lists(st.lists(NUMBERS)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=12,
)
PIECES = st.sampled_from([
    b"", b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u", b"\\ud83d", b"\\ude00", b"-", b"+", b".", b"e", b"E",
    b"0", b"00", b"1", b"9" * 19, b"e309", b"e-400", b" ", b"\t", b"\n", b"\r", b"\x00", b"\x0c", b"\x1f", b"\x7f",
    b"\xef\xbb\xbf", b"\x80", b"\xc3\xa9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc2\xa0", b"true",
    b"True", b"nul", b"null", b"NaN", b"Infinity", b"-Infinity", b"//", b"/*", b"'", b"{}", b"[]", b'"a":',
])  # fmt: skip


class DuplicateError(Exception):
    """An object names a field twice."""


def refuse(token: str) -> NoReturn:
    """Refuse NaN and the infinities, which the standard library takes by default."""
    raise ValueError(token)


def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; a name given twice is an error."""
    listed = list(pairs)
    if len({name for name, _ in listed}) < len(listed):
        raise DuplicateError
    return dict(listed)


def verdict_of_the_library(body: bytes) -> str:
    """What is wrong with a body by the standard library, or nothing."""
    if not body.strip(b" \t\n\r"):
        return "empty-body"
    try:
        document = json.loads(
            body.decode("utf-8"),
            parse_constant=refuse,
            parse_int=lambda _: 0,
            parse_float=lambda _: 0.0,
            object_pairs_hook=list,
        )
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is no character
        json.loads(body.decode("utf-8"), parse_int=lambda _: 0, object_pairs_hook=unique)
    except DuplicateError:
        return "duplicate-field"
    except ValueError:
        return "malformed-json"
    return ""


def verdict(body: bytes) -> str:
    """What is wrong with a body, or nothing."""
    return told(body)[0]


def told(body: bytes, max_nesting: int = DEEP) -> tuple[str, str]:
    """What is wrong with a body, and where, or nothing."""
    try:
        check_text(body, max_nesting)
    except MalformedBodyError as error:
        return error.code, error.pointer
    return "", ""


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A document as some writer would write it."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: "), ("\r\n,", ":")]))
    return json.dumps(
        draw(DOCUMENTS),
        separators=separators,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 1, "\t"])),
    ).encode()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A document with some of its bytes replaced."""
    body = draw(written())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 3)))
        body = body[:start] + draw(PIECES) + body[end:]
    return body


@settings(max_examples=120, deadline=None)
@given(written())
def test_documents_are_accepted(body: bytes) -> None:
    """Whatever a writer writes is accepted."""
    assert verdict(body) == ""


@settings(max_examples=500, deadline=None)
@given(mutated())
@example(rb'["\ud83d\ude00"]')
@example(rb'["\ud83d", "\ude00"]')
@example(b"[1,2,]")
@example(b"[[1,2],[3,]]")
@example(b"[[1,2],,[3]]")
@example(b"[1 2]")
@example(b"[" + b"1," * 5000 + b"]")
@example(b"[" + b"[1]," * 5000 + b"]")
@example(b'{"a":1,"a":2}x')
def test_the_check_agrees_with_the_library(body: bytes) -> None:
    """On documents with faults the check says of each what the standard library, made strict, says."""
    assert verdict(body) == verdict_of_the_library(body)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_the_check_agrees_on_scraps(body: bytes) -> None:
    """On scraps of syntax as well."""
    assert verdict(body) == verdict_of_the_library(body)


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=40))
def test_the_check_agrees_on_any_bytes(body: bytes) -> None:
    """On bytes without any plan as well."""
    assert verdict(body) == verdict_of_the_library(body)


@pytest.mark.parametrize(("depth", "limit"), [(1, 1), (8, 8), (64, 64)])
def test_depth_up_to_its_limit_is_accepted(depth: int, limit: int) -> None:
    """The limit itself is allowed, one level more is not."""
    check_text(b"[" * depth + b"]" * depth, limit)
    with pytest.raises(MalformedBodyError) as caught:
        check_text(b"[" * (depth + 1) + b"]" * (depth + 1), limit)
    assert caught.value.code == "nesting-too-deep"


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("",), "/"), (("a/b", 3, "m~n"), "/a~1b/3/m~0n"), (("~1",), "/~01")]
)
def test_pointers_follow_rfc_6901(path: tuple[str | int, ...], text: str) -> None:
    """~ and / in names are escaped, in this order."""
    assert pointer(path) == text


def test_duplicates_are_told_by_pointer() -> None:
    """The first field given twice is told, however its name is written."""
    body = rb'{"a": [{"b": 1}, {"c/d": 1, "c\/d": 2}], "a": 1}'
    assert told(body) == ("duplicate-field", "/a/1/c~1d")


class Pairs(list[Any]):
    """The members of an object as they stand."""


def first_repeat(value: Any, path: tuple[str | int, ...] = ()) -> str | None:
    """The pointer of the first name given twice in a document with its objects as pairs."""
    seen = set()
    for position, each in enumerate(value if isinstance(value, list) else ()):
        part, inner = each if isinstance(value, Pairs) else (position, each)
        if isinstance(value, Pairs) and part in seen:
            return pointer((*path, part))
        seen.add(part)
        found = first_repeat(inner, (*path, part))
        if found is not None:
            return found
    return None


FEW_NAMES = st.sampled_from(["a", "b", "c/d"])
REPETITIVE = st.recursive(
    st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=5) | st.lists(st.tuples(FEW_NAMES, inner), max_size=5).map(Pairs),
    max_leaves=40,
)


def text_of(value: Any) -> str:
    """JSON of a document with its objects as pairs."""
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(name)}: {text_of(inner)}" for name, inner in value) + "}"
    return "[" + ",".join(map(text_of, value)) + "]" if isinstance(value, list) else str(value)


@settings(max_examples=400, deadline=None)
@given(REPETITIVE)
def test_the_first_duplicate_is_told(document: Any) -> None:
    """The first name given twice in an object, in document order, is told by its path."""
    expected = first_repeat(document)
    wanted = ("", "") if expected is None else ("duplicate-field", expected)
    assert told(text_of(document).encode()) == wanted


def depth_of(value: Any) -> int:
    """How deep a document nests."""
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, inner), default=0) if isinstance(value, dict | list) else 0


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, st.integers(1, 5))
def test_nesting_is_told_beyond_its_limit(document: Any, limit: int) -> None:
    """A document is refused for its nesting exactly when it nests deeper than it may."""
    expected = "nesting-too-deep" if depth_of(document) > limit else ""
    assert told(json.dumps(document).encode(), limit)[0] == expected


@pytest.mark.parametrize(("body", "code"), [
    (b"[1, [[[", "nesting-too-deep"), (b"[x, [[[", "malformed-json"), (b"[1 [[[", "malformed-json"),
    (b"[NaN, [[[", "malformed-json"), (rb'["\ud800", [[[', "malformed-json"), (b"{[[[", "malformed-json"),
    (b"[" + b"9" * 5000 + b", [[[", "nesting-too-deep"), (b'{"a": [{', "nesting-too-deep"),
    (b"[[[\xff", "malformed-json"),
])  # fmt: skip
def test_what_stands_first_is_told(body: bytes, code: str) -> None:
    """Nesting is told unless the text breaks off before it, or holds bytes that are no text."""
    assert told(body, 2)[0] == code


@pytest.mark.parametrize(("body", "place"), [(b"[1, 2, x]", 7), (b"", None), (b'{"a" 1}', 5), (b"[1] 2", 4)])
def test_the_place_of_the_fault_is_told(body: bytes, place: int | None) -> None:
    """The message says at which byte the grammar broke."""
    with pytest.raises(MalformedBodyError) as caught:
        check_text(body, DEEP)
    assert place is None or f"byte {place}," in caught.value.detail
