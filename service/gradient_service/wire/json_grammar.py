"""A strict reading of JSON bytes that says what is wrong with them; it runs only on bodies that were not accepted.

The fast parser refuses without saying where, and takes what the service does not: names given twice, and any nesting.
The standard library says where, and takes other things: NaN, and halves of surrogate pairs. It reads one piece of the
text at a time, and nothing is kept of it but what is open between two pieces.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Callable
from functools import partial
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

from orjson import dumps

from gradient_service.schemas.conflicts import shown_name
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_names import Pairs, Path, TextNames
from gradient_service.wire.json_pieces import PIECE_BYTES, Piece, opened_beyond, pieces
from gradient_service.wire.json_values import PieceParser, parse_to_dictionaries

NOT_BLANK = re.compile(rb"[^ \t\n\r]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SURROGATES = re.compile(rb"\\u[dD](?:[89abAB]..\\u[dD][c-fC-F]|([89a-fA-F]))")
"""A pair, or half of one."""
LONGEST_PAIR = 12

Checkpoint = Callable[[], None]
"""Asked between two pieces; what it raises ends the reading."""


def pointer(path: Path) -> str:
    """Return the RFC 6901 pointer of a path, names cut to what may be told back."""
    return "".join("/" + shown_name(str(part)).replace("~", "~0").replace("/", "~1") for part in path)


def without_pause() -> None:
    """Let the reading go on."""


class JsonText:
    """Bytes that are said to be JSON.

    Args:
        body: the bytes.
        max_nesting: how deep they may nest.
        checkpoint: asked every few milliseconds while they are read; what it raises ends the reading.
    """

    def __init__(self, body: bytes, max_nesting: int, checkpoint: Checkpoint = without_pause) -> None:
        self.body = body
        self.max_nesting = max_nesting
        self.checkpoint = checkpoint
        self._is_checked = False

    def check(self) -> None:
        """Raise as `check_text` does; the second time nothing is read."""
        if not self._is_checked:
            check_text(self.body, self.max_nesting, self.checkpoint)
            self._is_checked = True


def check_text(body: bytes, max_nesting: int, checkpoint: Checkpoint = without_pause) -> None:
    """Raise unless bytes are a JSON text that the service reads, whatever it says.

    Args:
        body: the bytes.
        max_nesting: how deep they may nest.
        checkpoint: asked between two pieces.

    Raises:
        MalformedBodyError: `empty-body`, `malformed-json`, `nesting-too-deep`, `duplicate-field`.
    """
    if NOT_BLANK.search(body) is None:
        raise MalformedBodyError("empty-body", "The body is empty; a JSON object is needed.")
    if body.startswith(BYTE_ORDER_MARK):
        raise MalformedBodyError("malformed-json", "At byte 0, a byte order mark.")
    _check_utf8(body)
    names, parser = TextNames(), PieceParser()
    for piece in pieces(body):
        checkpoint()
        _check_depth(piece, body, max_nesting)
        text = piece.completed(body)
        has_names = body.find(b":", piece.begin, piece.end) >= 0
        document = parse_to_dictionaries(text) if has_names else parser.parse(text)
        if document is None:
            document = _parse(text, piece)
            _check_surrogates(piece, body, piece.end)
        may_repeat = has_names and not _has_all_names(document, text)
        names.go_on(piece, document, partial(_parse, text, piece, Pairs), may_repeat=may_repeat)
    if names.repeated is not None:
        raise MalformedBodyError("duplicate-field", "A field is given twice.", pointer(names.repeated))


def _check_utf8(body: bytes) -> None:
    decoder = getincrementaldecoder("utf-8")()
    for begin in range(0, len(body), PIECE_BYTES):
        kept, _ = decoder.getstate()
        end = begin + PIECE_BYTES
        try:
            decoder.decode(body[begin:end], final=end >= len(body))
        except UnicodeDecodeError as error:
            place = begin - len(kept) + error.start
            raise MalformedBodyError("malformed-json", f"Byte {place} is not UTF-8.") from None


def _check_depth(piece: Piece, body: bytes, max_nesting: int) -> None:
    """Raise where a piece nests too deep, unless it breaks off before; that is told by who parses it."""
    deep = opened_beyond(body[piece.begin : piece.end], max_nesting - len(piece.before))
    if deep is None:
        return
    text = (piece.opening + body[piece.begin : piece.begin + deep]).decode()
    try:
        _decoded(text)
    except JSONDecodeError as error:
        if error.pos == len(text) and error.msg.startswith("Expecting value"):
            _check_surrogates(piece, body, piece.begin + deep)
            detail = f"The body nests more than {max_nesting} deep."
            raise MalformedBodyError("nesting-too-deep", detail) from None
        raise _malformed(error, piece) from None


def _has_all_names(document: Any, text: bytes) -> bool:
    """Return whether the dictionaries of a document surely have as many members as its text: it has as many colons.

    An escape may stand for a colon, and make up for one that is lost.
    """
    return b"\\u" not in text and dumps(document).count(b":") == text.count(b":")


def _parse(text: bytes, piece: Piece, members: Callable[[list[tuple[str, Any]]], Any] = dict) -> Any:
    """Return a completed piece as Python's values; of a number its length alone, so that no digit is read."""
    try:
        return _decoded(text.decode(), members)
    except JSONDecodeError as error:
        raise _malformed(error, piece) from None


def _decoded(text: str, members: Callable[[list[tuple[str, Any]]], Any] = dict) -> Any:
    return JSONDecoder(object_pairs_hook=members, parse_int=len, parse_float=len, parse_constant=_refuse).decode(text)


def _refuse(constant: str) -> NoReturn:
    raise MalformedBodyError("malformed-json", f"{constant} is no JSON number.")


def _malformed(error: JSONDecodeError, piece: Piece) -> MalformedBodyError:
    """Return the error with its place in the body; what stands at the place is not told."""
    place = piece.begin + len(error.doc[: error.pos].encode()) - len(piece.opening)
    place = min(max(place, piece.begin), piece.end)
    return MalformedBodyError("malformed-json", f"At byte {place}, {error.msg.partition(': ')[0].lower()}.")


def _check_surrogates(piece: Piece, body: bytes, end: int) -> None:
    """Raise where a string of a piece holds half a surrogate pair, which is no character."""
    text = body[piece.begin : end]
    text = text.replace(b"\\\\", b"  ") if b"\\u" in text else b""
    position = 0
    while position < len(text):
        last = position + PIECE_BYTES
        found = SURROGATES.search(text, position, last + LONGEST_PAIR)
        if found is None:
            position = last
        elif found.start() > last:  # what follows it may have been left out
            position = found.start()
        elif found.group(1):
            place = piece.begin + found.start()
            raise MalformedBodyError("malformed-json", f"At byte {place}, half of a surrogate pair.")
        else:
            position = found.end()
