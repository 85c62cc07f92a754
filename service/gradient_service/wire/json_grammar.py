"""A strict reading of JSON bytes that says what is wrong with them; it runs only on bodies that were not accepted.

The fast parser refuses without saying where, and also refuses numbers that JSON allows and 64 bits do not hold. This
scanner tells these apart: RFC 8259 grammar, UTF-8, nesting, duplicate names, and the numbers that need a closer look.
It keeps no tree, and takes runs of ordinary numbers in bounded bites, so that other threads can run between them.
"""

import json
import re
from collections.abc import Callable

from gradient_service.schemas.conflicts import shown_name
from gradient_service.wire.errors import MalformedBodyError

BLANK_BYTES = b" \t\n\r"
BLANK = rb"[ \t\n\r]*+"
NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
# Up to 18 digits before the point and a two-digit exponent: int64 or float64 holds it, whatever the other digits.
ORDINARY = BLANK + rb"-?(?:0|[1-9][0-9]{0,17}+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]{1,2}+)?+" + BLANK
ORDINARY_ROW = BLANK + rb"\[(?:" + ORDINARY + rb",){0,255}+" + ORDINARY + rb"\]" + BLANK

TOKEN = re.compile(
    BLANK
    + rb'(?:(?P<mark>[\[\]{},:])|(?P<string>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    + rb"|(?P<number>"
    + NUMBER
    + rb")|(?P<word>true|false|null))"
)
ORDINARY_NUMBERS = re.compile(rb"(?:" + ORDINARY + rb",){1,4096}+")
ORDINARY_ROWS = re.compile(rb"(?:" + ORDINARY_ROW + rb",){1,16}+")
ORDINARY_NUMBER = re.compile(ORDINARY + rb"\Z")


Path = tuple[str | int, ...]
Rewrite = Callable[[bytes, Path], bytes]
"""Returns for a number that 64 bits may not hold, by its text and path, a text no longer than it."""


def pointer(path: Path) -> str:
    """Return the RFC 6901 pointer of a path, names cut to what may be told back."""
    return "".join("/" + shown_name(str(part)).replace("~", "~0").replace("/", "~1") for part in path)


class JsonScanner:
    """One pass over a body; `scan` is the only way in."""

    def __init__(self, body: bytes, max_nesting: int, rewrite: Rewrite | None = None) -> None:
        self._body = body
        self._rewrite = rewrite
        self._rewritten: bytearray | None = None
        self._max_nesting = max_nesting
        self._position = 0
        self._path: list[str | int] = []
        self._duplicate: str | None = None

    def scan(self) -> bytes:
        """Return the body with every number rewritten that 64 bits may not hold, all else where it was.

        Raises:
            MalformedBodyError: `empty-body`, `malformed-json`, `nesting-too-deep`, `duplicate-field`.
        """
        if not self._body.strip(BLANK_BYTES):
            raise MalformedBodyError("empty-body", "The body is empty; a JSON object is needed.")
        try:
            self._body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedBodyError("malformed-json", f"Byte {error.start} is not UTF-8.") from None
        self._value()
        if self._body[self._position :].strip(BLANK_BYTES):
            raise self._malformed("the document has ended, the body has not")
        if self._duplicate is not None:
            raise MalformedBodyError("duplicate-field", "A field is given twice.", self._duplicate)
        return self._body if self._rewritten is None else bytes(self._rewritten)

    def _value(self) -> None:
        token = TOKEN.match(self._body, self._position)
        if token is None:
            raise self._malformed("a value was expected")
        kind, text = token.lastgroup, token.group(token.lastgroup or 0)
        if kind == "mark" and text not in b"[{":
            raise self._malformed("a value was expected")
        self._position = token.end()
        if kind == "string":
            self._check_string(text)
        elif kind == "number" and not ORDINARY_NUMBER.match(text):
            self._rewrite_number(token.start("number"), text)
        elif kind == "mark":
            if len(self._path) == self._max_nesting:
                detail = f"The body nests more than {self._max_nesting} deep."
                raise MalformedBodyError("nesting-too-deep", detail)
            self._path.append(0)
            if text == b"[":
                self._array()
            else:
                self._object()
            self._path.pop()

    def _rewrite_number(self, start: int, text: bytes) -> None:
        """Put another text in a number's place, filled up with blanks, so that nothing moves and nothing is kept."""
        if self._rewrite is not None:
            if self._rewritten is None:
                self._rewritten = bytearray(self._body)
            other = self._rewrite(text, tuple(self._path))
            self._rewritten[start : start + len(text)] = other.ljust(len(text))

    def _array(self) -> None:
        if self._accept(b"]"):
            return
        index = 0
        while True:
            index += self._skip_ordinary()
            self._path[-1] = index
            self._value()
            index += 1
            if self._accept(b"]"):
                return
            self._expect(b",")

    def _skip_ordinary(self) -> int:
        """Pass over elements that need no look, each with its comma, and return how many."""
        count = 0
        while True:
            if run := ORDINARY_NUMBERS.match(self._body, self._position):
                count += self._body.count(b",", self._position, run.end())
            elif run := ORDINARY_ROWS.match(self._body, self._position):
                count += self._body.count(b"]", self._position, run.end())
            else:
                return count
            self._position = run.end()

    def _object(self) -> None:
        if self._accept(b"}"):
            return
        names: set[str] = set()
        while True:
            token = TOKEN.match(self._body, self._position)
            if token is None or token.lastgroup != "string":
                raise self._malformed("a field name was expected")
            self._position = token.end()
            name = self._check_string(token.group("string"))
            self._path[-1] = name
            if name in names and self._duplicate is None:
                self._duplicate = pointer(tuple(self._path))
            names.add(name)
            self._expect(b":")
            self._value()
            if self._accept(b"}"):
                return
            self._expect(b",")

    def _accept(self, mark: bytes) -> bool:
        token = TOKEN.match(self._body, self._position)
        if token is None or token.group("mark") != mark:
            return False
        self._position = token.end()
        return True

    def _expect(self, mark: bytes) -> None:
        if not self._accept(mark):
            raise self._malformed(f"'{mark.decode()}' was expected")

    def _check_string(self, text: bytes) -> str:
        """Return a string's characters; an escaped surrogate without its other half is no character."""
        characters = str(json.loads(text))
        try:
            characters.encode()
        except UnicodeEncodeError:
            raise self._malformed("a string holds half a surrogate pair") from None
        return characters

    def _malformed(self, what: str) -> MalformedBodyError:
        rest = self._body[self._position :]
        position = self._position + len(rest) - len(rest.lstrip(BLANK_BYTES))
        return MalformedBodyError("malformed-json", f"At byte {position}, {what}.")
