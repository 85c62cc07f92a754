"""JSON bytes to a document: a small one as the parser makes it, of a large one its long arrays apart, unparsed."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from json import loads
from math import isinf
from secrets import token_hex
from typing import Any

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.wire.json_grammar import BYTE_ORDER_MARK, JsonText
from gradient_service.wire.json_pieces import PIECE_BYTES, Piece, closed_in, opened_in, pieces
from gradient_service.wire.json_values import is_fast, is_nested, members_of, parse_quickly

MAX_LIST = 64
"""More elements than any array has that is no tensor."""
LONG_ARRAY = token_hex(16)
"""What stands for a long array in its document, before its number; no caller can guess it."""
LONG_INTEGER = re.compile(rb"[0-9]{19}")
OBJECT = re.compile(rb"[ \t\n\r]*\{")
FIRST_ARRAY = re.compile(rb"\[[ \t\n\r]*\[")
FIRST_OBJECT = re.compile(rb"\[[ \t\n\r]*\{")


@dataclass(frozen=True, slots=True)
class LongArray:
    """An array that is read piece by piece."""

    body: bytes
    pieces: list[Piece]
    """Its text with both brackets."""

    @property
    def begin(self) -> int:
        """Where its bracket opens."""
        return self.pieces[0].begin

    @property
    def most_elements(self) -> int:
        """How many scalars it holds at the most."""
        return 1 + self.body.count(b",", self.begin, self.pieces[-1].end)

    @property
    def holds_arrays(self) -> bool:
        """Whether its first element is an array."""
        return FIRST_ARRAY.match(self.body, self.begin) is not None

    def texts(self) -> Iterator[tuple[Piece, bytes]]:
        """Yield each piece, and the array that it is once it is completed."""
        for piece in self.pieces:
            yield piece, piece.completed(self.body)

    def as_list(self) -> list[Any]:
        """Return it as Python's values where it is short after all; else its first elements, and an empty array."""
        first, last = self.pieces[0], self.pieces[-1]
        is_short = self.most_elements <= MAX_LIST
        text = self.body[first.begin : last.end] if is_short else first.completed(self.body)
        values: list[Any] = read_exactly(text)
        return values


def may_be_nested(value: Any) -> bool:
    """Return whether a value is more than a scalar or an array of scalars; of a long array that is not known."""
    return isinstance(value, LongArray) or is_nested(value)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text."""

    root: Any
    text: bytes
    """Without the long arrays."""
    arrays: Mapping[str, LongArray] = field(default_factory=dict)

    def members(self, value: Any, known: Collection[str]) -> dict[str, Any]:
        """Return the members of an object, none for another value; of those that are not known the name alone."""
        found = members_of(value, known)
        if self.arrays:
            found = {name: self.arrays.get(each, each) if type(each) is str else each for name, each in found.items()}
        return found


def read_document(source: JsonText, *, is_tree: bool = False) -> Document:
    """Parse a text; what is wrong with its long arrays is left to whoever reads them.

    Args:
        source: the text.
        is_tree: whether members of the document may be arrays of objects, however long; only what is in these is apart.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or name a field twice; not all such bytes are found.
    """
    body = source.body
    text, arrays = _apart(source, is_tree=is_tree) if len(body) > 2 * PIECE_BYTES and OBJECT.match(body) else (body, [])
    document = parse_quickly(text) if is_fast() and not body.startswith(BYTE_ORDER_MARK) else None
    if document is None:  # bytes that need a closer look; so does `null`
        source.check()
        document = parse_or_read(text)
    return Document(document, text, {f"{LONG_ARRAY}{number}": array for number, array in enumerate(arrays)})


def parse_or_read(text: bytes, parse: Callable[[bytes], Any | None] = parse_quickly) -> Any:
    """Return a text as the parser's values, or as Python's where it holds numbers that 64 bits do not.

    Raises:
        InvalidInputError: it is no JSON; `check_text` says why.
    """
    document = None if not is_fast() and LONG_INTEGER.search(text) else parse(text)
    return read_exactly(text) if document is None else document


def read_exactly(text: bytes) -> Any:
    """Return a text as Python's values, integers of any length; a number that no float64 holds is an infinity.

    Raises:
        InvalidInputError: it is no JSON; `check_text` says why.
    """
    try:
        return loads(text.decode(), parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidInputError([Fault("malformed-json", None, (), "This is no JSON.")]) from None


def _integer(text: str) -> float:
    value = float(text)
    return value if isinf(value) else int(text)


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _apart(source: JsonText, *, is_tree: bool) -> tuple[bytes, list[LongArray]]:
    """Return a text with a string for each long array, and these arrays."""
    body = source.body
    texts, arrays, end = [], [], 0
    found: list[Piece] = []
    level = 0
    for piece in pieces(body):
        source.checkpoint()
        if found and piece.lowest > level:
            found.append(piece.within(level))
            continue
        if found:
            end = closed_in(piece, body, level) + 1
            found.append(Piece(piece.begin, end, piece.before[level:], b"", 0))
            arrays.append(LongArray(body, found))
            found = []
        begun = _long_array(piece, body, is_tree=is_tree)
        if begun is not None:
            level, begin = begun
            texts += [body[end:begin], f'"{LONG_ARRAY}{len(arrays)}"'.encode()]
            found = [Piece(begin, piece.end, b"", piece.after[level:], 0)]
    texts.append(body[end:])
    return b"".join(texts), arrays


def _long_array(piece: Piece, body: bytes, *, is_tree: bool) -> tuple[int, int] | None:
    """Return level and place of the first array that opens in a piece as a member, and goes on behind it."""
    if not piece.goes_on:
        return None
    places = opened_in(piece, body)
    for level, place in enumerate(places, len(piece.after) - len(places)):
        is_member = level > 0 and piece.after[level - 1 : level + 1] == b"{["
        is_branch = is_tree and level == 1 and FIRST_OBJECT.match(body, place)
        if is_member and not is_branch:
            return level, place
    return None
