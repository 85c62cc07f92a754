"""The scanner accepts exactly what RFC 8259 does, by the standard library's parser made strict."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_grammar import JsonScanner, pointer

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
    """What is wrong with a body by the scanner, or nothing."""
    try:
        JsonScanner(body, DEEP).scan()
    except MalformedBodyError as error:
        return error.code
    return ""


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
def test_the_scanner_agrees_with_the_library(body: bytes) -> None:
    """On documents with faults the scanner says of each what the standard library, made strict, says."""
    assert verdict(body) == verdict_of_the_library(body)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_the_scanner_agrees_on_scraps(body: bytes) -> None:
    """On scraps of syntax as well."""
    assert verdict(body) == verdict_of_the_library(body)


@settings(max_examples=120, deadline=None)
@given(st.binary(max_size=40))
def test_the_scanner_agrees_on_any_bytes(body: bytes) -> None:
    """On bytes without any plan as well."""
    assert verdict(body) == verdict_of_the_library(body)


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path."""
    for part in path:
        document = document[part]
    return document


@settings(max_examples=120, deadline=None)
@given(DOCUMENTS)
def test_numbers_that_64_bits_do_not_hold_are_told(document: Any) -> None:
    """Every integer beyond 64 bits is told with its text and its path."""
    body = json.dumps(document).encode()
    told = {path: text for text, path in unusual_numbers(body)}
    assert all(json.loads(text) == at(document, path) for path, text in told.items())
    assert {path for path, value in leaves(document) if isinstance(value, int) and abs(value) > 2**64} <= set(told)


def unusual_numbers(body: bytes) -> list[tuple[bytes, tuple[str | int, ...]]]:
    """What the scanner offers to rewrite: texts with their paths."""
    offered: list[tuple[bytes, tuple[str | int, ...]]] = []

    def note(text: bytes, path: tuple[str | int, ...]) -> bytes:
        offered.append((text, path))
        return text

    assert JsonScanner(body, DEEP, note).scan() == body
    return offered


def leaves(document: Any, path: tuple[str | int, ...] = ()) -> Iterable[tuple[tuple[str | int, ...], Any]]:
    """Every scalar of a document with its path."""
    if isinstance(document, dict | list):
        entries = document.items() if isinstance(document, dict) else enumerate(document)
        for part, value in entries:
            yield from leaves(value, (*path, part))
    else:
        yield path, document


@pytest.mark.parametrize("text", [b"1e309", b"-1e400", b"1" + b"0" * 400, b"1e99999", b"123456789012345678901e300"])
def test_numbers_beyond_float64_are_told(text: bytes) -> None:
    """A number that no float64 holds is told, wherever it stands."""
    for body in (b"[" + text + b"]", b"[1, 2, " + text + b", 3]", b"[[1], [" + text + b"]]", b'{"a": ' + text + b"}"):
        ((told, _),) = unusual_numbers(body)
        assert told == text
        assert not math.isfinite(float(text))


def test_a_rewritten_number_moves_nothing() -> None:
    """Another text takes a number's place, filled up with blanks; all else stays where it was."""
    body = b'{"a": [1, 1e400 , 2], "b": 123456789012345678901}'
    assert JsonScanner(body, DEEP, lambda *_: b"0").scan() == body.replace(b"1e400", b"0    ").replace(
        b"123456789012345678901", b"0" + b" " * 20
    )


@pytest.mark.parametrize(("depth", "limit"), [(1, 1), (8, 8), (64, 64)])
def test_depth_up_to_its_limit_is_accepted(depth: int, limit: int) -> None:
    """The limit itself is allowed, one level more is not."""
    assert JsonScanner(b"[" * depth + b"]" * depth, limit).scan() == b"[" * depth + b"]" * depth
    with pytest.raises(MalformedBodyError) as caught:
        JsonScanner(b"[" * (depth + 1) + b"]" * (depth + 1), limit).scan()
    assert caught.value.code == "nesting-too-deep"


@pytest.mark.parametrize(
    ("path", "text"), [((), ""), (("",), "/"), (("a/b", 3, "m~n"), "/a~1b/3/m~0n"), (("~1",), "/~01")]
)
def test_pointers_follow_rfc_6901(path: tuple[str | int, ...], text: str) -> None:
    """~ and / in names are escaped, in this order."""
    assert pointer(path) == text


def test_duplicates_are_told_by_pointer() -> None:
    """The first field given twice is told, however its name is written."""
    with pytest.raises(MalformedBodyError) as caught:
        JsonScanner(rb'{"a": [{"b": 1}, {"c/d": 1, "c\/d": 2}], "a": 1}', DEEP).scan()
    assert (caught.value.code, caught.value.pointer) == ("duplicate-field", "/a/1/c~1d")


@pytest.mark.parametrize(("body", "place"), [(b"[1, 2, x]", 7), (b"", None), (b'{"a" 1}', 5), (b"[1] 2", 4)])
def test_the_place_of_the_fault_is_told(body: bytes, place: int | None) -> None:
    """The message says at which byte the grammar broke."""
    with pytest.raises(MalformedBodyError) as caught:
        JsonScanner(body, DEEP).scan()
    assert place is None or f"byte {place}," in caught.value.detail
