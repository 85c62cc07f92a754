"""A text in pieces is the same text, and each piece is a document of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradient_service.wire.json_pieces import BEGUN, GOES_ON, Piece, closed_in, opened_beyond, opened_in, pieces

from .piece_sizes import pieces_of

TEXTS = st.sampled_from(["a", "é", '"', "\\", '\\"', "a,b", "[", "]}", "{,", "😀", "\n", ""])
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=30,
)
SIZES = st.sampled_from([1, 2, 5, 16, 50, 200])


def text_of(value: Any, *, is_ascii: bool = True) -> bytes:
    """A value as JSON."""
    return json.dumps(value, ensure_ascii=is_ascii).encode()


def brackets_open(body: bytes, end: int) -> bytes:
    """The brackets open before a place outside of strings, found one character at a time."""
    found, is_inside, position = bytearray(), False, 0
    while position < end:
        character = body[position : position + 1]
        if is_inside and character == b"\\":
            position += 1
        elif character == b'"':
            is_inside = not is_inside
        elif not is_inside and character in b"[{":
            found += character
        elif not is_inside and character in b"]}":
            found.pop()
        position += 1
    assert not is_inside
    return bytes(found)


@settings(max_examples=200, deadline=None)
@given(VALUES, SIZES, st.booleans())
def test_pieces_and_their_commas_are_the_text(value: Any, size: int, is_ascii: bool) -> None:
    """Every byte is in one piece, but the commas between them."""
    body = text_of(value, is_ascii=is_ascii)
    with pieces_of(size):
        found = list(pieces(body))
    assert b",".join(body[piece.begin : piece.end] for piece in found) == body
    assert all(body[piece.end : piece.end + 1] == b"," for piece in found[:-1])


@settings(max_examples=200, deadline=None)
@given(VALUES, SIZES)
def test_what_is_open_is_known(value: Any, size: int) -> None:
    """Each piece knows the brackets that are open at both its ends, and no comma in a string ends one."""
    body = text_of(value)
    with pieces_of(size):
        for piece in pieces(body):
            assert piece.before == (brackets_open(body, piece.begin) if piece.begin else b"")
            assert piece.after == (brackets_open(body, piece.end) if piece.end < len(body) else b"")


@settings(max_examples=200, deadline=None)
@given(VALUES, SIZES)
def test_completed_pieces_are_documents(value: Any, size: int) -> None:
    """The standard library reads each piece once it is completed."""
    body = text_of(value)
    with pieces_of(size):
        for piece in pieces(body):
            json.loads(piece.completed(body))


def test_a_piece_is_completed_by_empty_arrays() -> None:
    """What a piece has not is an empty array, under a name that nobody can guess where it needs one."""
    body = b'{"a": [1, 2, 3], "b": 4}'
    inner = Piece(9, 11, b"{[", b"{[", 2)
    assert json.loads(inner.completed(body)) == {BEGUN: [[], 2, []], GOES_ON: []}
    assert json.loads(Piece(12, 24, b"{[", b"", 0).completed(body)) == {BEGUN: [[], 3], "b": 4}
    assert json.loads(Piece(0, 15, b"", b"{", 0).completed(body)) == {"a": [1, 2, 3], GOES_ON: []}


@pytest.mark.parametrize("body", [
    b"[1]]]], 1, 2, 3", b"}, 1, 2", b"1, 2, 3", b"[1,,,,]", b'["a, 1, 2', b'["\\", 1, 2]', b"]" * 40 + b",1" * 40,
    b'{,,"',
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 16])
def test_broken_texts_end_as_well(body: bytes, size: int) -> None:
    """A text that is no JSON is cut into pieces that are the text."""
    with pieces_of(size):
        assert b",".join(body[piece.begin : piece.end] for piece in pieces(body)) == body


@settings(max_examples=200, deadline=None)
@given(VALUES, SIZES)
@example([[1, [2, 3], 4], [5]], 1)
def test_brackets_are_found_in_their_pieces(value: Any, size: int) -> None:
    """The place is told where each bracket opens that is open behind a piece, and where each closes again."""
    body = text_of(value)
    with pieces_of(size):
        opened: list[int] = []
        for piece in pieces(body):
            for level in reversed(range(max(piece.lowest, 0), len(piece.before))):
                place = closed_in(piece, body, level)
                assert len(brackets_open(body, place + 1)) == level
            if piece.goes_on:
                places = opened_in(piece, body)
                opened = [*opened[: len(piece.after) - len(places)], *places]
                assert bytes(body[place] for place in opened) == piece.after


@pytest.mark.parametrize(("text", "room", "place"), [
    (b"[[1]]", 2, None), (b"[[1]]", 1, 1), (b'["[[[", {}]', 2, None), (b'["[[[", {}]', 1, 8), (b"[], [], []", 1, None),
    (b'["\\"[", [[1]]]', 2, 9), (b"]]]", 0, None), (b"{", 0, 0),
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_first_bracket_too_many_is_found(text: bytes, room: int, place: int | None, size: int) -> None:
    """Where the nesting passes its bound is told; what stands in strings does not nest."""
    with pieces_of(size):
        assert opened_beyond(text, room) == place
