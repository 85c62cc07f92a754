"""A JSON text cut at commas into pieces of some tens of kilobytes, each of them a document once it is completed.

Whatever reads JSON holds the interpreter until it is done. So a large text is read piece by piece: other threads run in
between, a caller's deadline is asked after, and what a parser needs beside its input stays small.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from secrets import token_hex

import numpy as np
from numpy.typing import NDArray

PIECE_BYTES = 32 * 1024
"""Read in a few milliseconds, whatever it holds."""
MAX_BRACKETS = PIECE_BYTES // 2
"""So many in a text without a comma nest deeper than anything that is read."""
BEGUN, GOES_ON = token_hex(16), token_hex(16)
"""Names that complete an object: for what stands before a piece, and behind it. No caller can guess them."""

STEPS = np.zeros(256, np.int8)
STEPS[list(b"[{")] = 1
STEPS[list(b"]}")] = -1
QUOTE, COMMA = b'",'
OPENING = {ord("["): "[", ord("{"): f'{{"{BEGUN}":'}
CLOSING = {ord("["): "]", ord("{"): f',"{GOES_ON}":[]}}'}


@dataclass(frozen=True, slots=True)
class Piece:
    """The text between two commas, or the ends of the document, that stand in no string."""

    begin: int
    end: int
    """Of the comma behind it, or of the document."""
    before: bytes
    """The brackets open where it begins, outermost first."""
    after: bytes
    """The brackets open where it ends."""
    lowest: int
    """The fewest brackets open in it."""

    @property
    def is_begun(self) -> bool:
        """Whether something stands before it."""
        return bool(self.before)

    @property
    def goes_on(self) -> bool:
        """Whether something stands behind it."""
        return bool(self.after)

    @property
    def opening(self) -> bytes:
        """What stands for the text before it: an empty array for all elements or members of the innermost."""
        text = "".join(OPENING[bracket] for bracket in self.before)
        return f"{text}[],".encode() if self.before else b""

    @property
    def closing(self) -> bytes:
        """What stands for the text behind it: an empty array for all that follows in each."""
        if not self.after:
            return b""
        innermost = ",[]" if self.after.endswith(b"[") else ""
        return (innermost + "".join(CLOSING[bracket] for bracket in reversed(self.after))).encode()

    def completed(self, body: bytes) -> bytes:
        """Return it as a document, with an empty array for what it has not."""
        return b"".join((self.opening, body[self.begin : self.end], self.closing))

    def within(self, level: int) -> "Piece":
        """Return it as a piece of the array or object that is open in it at a level."""
        return Piece(self.begin, self.end, self.before[level:], self.after[level:], self.lowest - level)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some of a text, and what opens and closes in it outside of strings."""

    begin: int
    marks: NDArray[np.uint8]
    steps: NDArray[np.int8]
    """1 where a bracket opens, −1 where one closes."""
    depths: NDArray[np.int32]
    """How many brackets are open behind each byte, by the count before the text."""
    is_inside: NDArray[np.bool_]
    """Whether a byte is part of a string."""


def pieces(body: bytes) -> Iterator[Piece]:
    """Yield the pieces of a text; where it is no JSON, the fault is in one that the parser does not take either."""
    begin, before = 0, b""
    while True:
        piece = _piece(body, begin, before)
        yield piece
        if not piece.goes_on:
            return
        begin, before = piece.end + 1, piece.after


def _piece(body: bytes, begin: int, before: bytes) -> Piece:
    """Return the piece that begins here; the last one where nothing of this text can be open behind it."""
    size = PIECE_BYTES
    while begin + size < len(body):
        text = body[begin : begin + size]
        is_plain = b'"' not in text and b"{" not in text and b"}" not in text
        found = _plain_cut(text, before) if is_plain else _odd_cut(text, before)
        if found is not None:
            cut, after, lowest = found
            if not after:
                break
            return Piece(begin, begin + cut, before, after, lowest)
        if text.count(b"[") > MAX_BRACKETS:
            break
        size *= 2
    return Piece(begin, len(body), before, b"", 0)


def _plain_cut(text: bytes, before: bytes) -> tuple[int, bytes, int] | None:
    """Return the last comma of a text without strings and objects, what is open there, and the fewest open before."""
    cut = text.rfind(b",")
    if cut < 0:
        return None
    opened = text.count(b"[", 0, cut) - text.count(b"]", 0, cut)
    after = before + b"[" * opened if opened > 0 else before[: max(len(before) + opened, 0)]
    return cut, after, min(len(before), len(after))


def _odd_cut(text: bytes, before: bytes) -> tuple[int, bytes, int] | None:
    """Return the same of any text, for the shallowest comma in its later half if there is one."""
    whole = next(slices(text, len(text)))
    commas = np.flatnonzero((whole.marks == COMMA) & ~whole.is_inside)
    late = commas[np.searchsorted(commas, len(text) // 2) :]
    commas = late if len(late) else commas
    if not len(commas):
        return None
    depths = whole.depths[commas]
    cut = int(commas[np.flatnonzero(depths == depths.min())[-1]])
    lowest = min(0, int(whole.depths[:cut].min(initial=0)))
    kept = before[: max(len(before) + lowest, 0)]
    opened = (whole.marks[place] for place in _openers(whole, cut, lowest))
    return cut, kept + bytes(opened), len(before) + lowest


def _openers(whole: Slice, end: int, lowest: int) -> list[int]:
    """Return where each bracket opens that is open at the end, above the lowest depth before it."""
    openers = np.flatnonzero(whole.steps[:end] > 0)
    depths = whole.depths[openers]
    levels = range(lowest + 1, int(whole.depths[end]) + 1)
    return [int(openers[np.flatnonzero(depths == level)[-1]]) for level in levels]


def opened_in(piece: Piece, body: bytes) -> list[int]:
    """Return where each bracket opens that is open behind a piece and was not before it."""
    whole = next(slices(body[piece.begin : piece.end + 1], piece.end + 1 - piece.begin))
    lowest = piece.lowest - len(piece.before)
    return [piece.begin + place for place in _openers(whole, piece.end - piece.begin, lowest)]


def closed_in(piece: Piece, body: bytes, level: int) -> int:
    """Return where the bracket closes that is open before a piece at a level; the piece's end where none does."""
    for part in slices(body[piece.begin : piece.end]):
        closed = np.flatnonzero(part.depths + len(piece.before) <= level)
        if len(closed):
            return piece.begin + part.begin + int(closed[0])
    return piece.end


def opened_beyond(text: bytes, room: int) -> int | None:
    """Return where a bracket opens with so many open already in the text, None where none does."""
    if len(text) <= 2 * PIECE_BYTES and text.count(b"[") + text.count(b"{") <= room:
        return None
    for part in slices(text):
        beyond = np.flatnonzero(part.depths > room)
        if len(beyond):
            return part.begin + int(beyond[0])
    return None


def slices(text: bytes, size: int | None = None) -> Iterator[Slice]:
    """Yield a text that begins outside of strings in slices of a size, that of a piece by default."""
    size = size or PIECE_BYTES
    if b"\\" in text:  # what a backslash escapes neither ends a string nor escapes
        text = text.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    is_inside, depth = False, 0
    for begin, end in pairwise([*range(0, len(text), size), len(text)]):
        marks = np.frombuffer(text, np.uint8, end - begin, begin)
        inside = np.logical_xor.accumulate(marks == QUOTE) ^ is_inside
        steps = STEPS.take(marks)
        steps[inside] = 0
        depths = depth + np.cumsum(steps, dtype=np.int32)
        yield Slice(begin, marks, steps, depths, inside)
        is_inside, depth = bool(inside[-1]), int(depths[-1])
