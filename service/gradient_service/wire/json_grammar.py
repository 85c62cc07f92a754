"""A strict reading of JSON bytes that says what is wrong with them; it runs only on bodies that were not accepted.

The fast parser refuses without saying where, and takes what the service does not: names given twice, and any nesting.
The standard library says where, and takes other things: NaN, and halves of surrogate pairs.
"""

import re
from collections.abc import Callable, Iterator
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

import numpy as np

from gradient_service.schemas.conflicts import shown_name
from gradient_service.wire.errors import MalformedBodyError, TakesLongError
from gradient_service.wire.tensor_codec import Buffer

NOT_BLANK = re.compile(rb"[^ \t\n\r]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SURROGATES = re.compile(rb"\\\\|\\u[dD](?:[89abAB]..\\u[dD][c-fC-F]|([89a-fA-F]))")
"""What may look like half of a surrogate pair: an escaped backslash, a pair, or half of one."""
SLICE_BYTES = 128 * 1024
SHORT_TEXT = 16 * 1024
"""Whatever it is, such a text takes some milliseconds."""
VERY_SHORT_TEXT = 4 * 1024
"""To count its bytes takes less time than NumPy takes to begin."""
FEW_COMMAS = 64 * 1024
"""No text with more is read hastily."""
STEPS = np.zeros(256, np.int8)
STEPS[list(b"[{")] = 1
STEPS[list(b"]}")] = -1
QUOTE = ord('"')

Path = tuple[str | int, ...]
Members = Callable[[list[tuple[str, Any]]], Any]
"""What the members of an object become."""


class Pairs(list[Any]):
    """The members of an object as they stand, also those of a name given twice."""


def pointer(path: Path) -> str:
    """Return the RFC 6901 pointer of a path, names cut to what may be told back."""
    return "".join("/" + shown_name(str(part)).replace("~", "~0").replace("/", "~1") for part in path)


class JsonText:
    """Bytes that are said to be JSON.

    Args:
        body: the bytes.
        max_nesting: how deep they may nest.
        hastily: read it only if that takes a few milliseconds a megabyte, as a rule: it has nothing wrong, and not too
            many numbers. To tell what is wrong takes up to a hundred times as long.
    """

    def __init__(self, body: bytes, max_nesting: int, *, hastily: bool = False) -> None:
        self.body = body
        self.max_nesting = max_nesting
        self._hastily = hastily
        self._is_checked = False

    def take_time(self) -> None:
        """Say that what follows takes long; raise `TakesLongError` where it may not."""
        if self._hastily:
            raise TakesLongError

    def take_time_for_many(self) -> None:
        """Say the same of what takes long where there are many numbers."""
        if self._hastily and len(self.body) > FEW_COMMAS and count(b",", self.body) > FEW_COMMAS:
            raise TakesLongError

    def check(self) -> None:
        """Raise as `check_text` does; the second time nothing is read."""
        if not self._is_checked:
            self.take_time()
            check_text(self.body, self.max_nesting)
            self._is_checked = True


def count(byte: bytes, text: Buffer) -> int:
    """Return how often a byte occurs in a text."""
    if isinstance(text, bytes) and len(text) <= VERY_SHORT_TEXT:
        return text.count(byte)
    numbers = np.frombuffer(text, np.uint8)  # the interpreter is free meanwhile
    parts = (numbers[start : start + SLICE_BYTES] for start in range(0, len(numbers), SLICE_BYTES))
    return sum(int(np.count_nonzero(part == ord(byte))) for part in parts)


def check_text(body: bytes, max_nesting: int) -> None:
    """Raise unless bytes are a JSON text that the service reads, whatever it says.

    Args:
        body: the bytes.
        max_nesting: how deep they may nest.

    Raises:
        MalformedBodyError: `empty-body`, `malformed-json`, `nesting-too-deep`, `duplicate-field`.
    """
    if NOT_BLANK.search(body) is None:
        raise MalformedBodyError("empty-body", "The body is empty; a JSON object is needed.")
    if body.startswith(BYTE_ORDER_MARK):
        raise MalformedBodyError("malformed-json", "At byte 0, a byte order mark.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBodyError("malformed-json", f"Byte {error.start} is not UTF-8.") from None
    _check_depth(body, max_nesting)
    has_repeated = _has_repeated_names(text)
    _check_surrogates(body)
    if has_repeated:
        path = next(_repeats(_parsed(text, Pairs), ()))
        raise MalformedBodyError("duplicate-field", "A field is given twice.", pointer(path))


def _check_depth(body: bytes, max_nesting: int) -> None:
    """Raise where a text nests too deep, unless it breaks off before; that is told by who parses it."""
    deep = _opened_beyond(body, max_nesting)
    if deep is None:
        return
    text = body[:deep].decode()
    try:
        _decoded(text)
    except JSONDecodeError as error:
        if error.pos == len(text) and error.msg.startswith("Expecting value"):
            _check_surrogates(body[:deep])
            detail = f"The body nests more than {max_nesting} deep."
            raise MalformedBodyError("nesting-too-deep", detail) from None
        raise _malformed(error) from None


def _opened_beyond(body: bytes, depth: int) -> int | None:
    """Return where a bracket opens with so many open already, None where none does."""
    if body.count(b"[") + body.count(b"{") <= depth:
        return None
    text = body.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")  # neither ends a string
    is_inside, num_open = False, 0
    for begin in range(0, len(text), SLICE_BYTES):
        marks = np.frombuffer(text[begin : begin + SLICE_BYTES], np.uint8)
        inside = np.logical_xor.accumulate(marks == QUOTE) ^ is_inside
        depths = num_open + np.cumsum(np.where(inside, 0, STEPS[marks]), dtype=np.int32)
        beyond = np.flatnonzero(depths > depth)
        if len(beyond):
            return begin + int(beyond[0])
        is_inside, num_open = bool(inside[-1]), int(depths[-1])
    return None


def _has_repeated_names(text: str) -> bool:
    """Return whether an object of a text has a name twice; no object is kept."""
    found = False

    def note(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(dict(pairs)) < len(pairs)

    _parsed(text, note)
    return found


def _repeats(value: Any, path: Path) -> Iterator[Path]:
    """Yield the path of each name given twice, in document order."""
    if isinstance(value, Pairs):
        seen: set[str] = set()
        for name, member in value:
            if name in seen:
                yield (*path, name)
            seen.add(name)
            yield from _repeats(member, (*path, name))
    elif isinstance(value, list):
        for place, element in enumerate(value):
            yield from _repeats(element, (*path, place))


def _parsed(text: str, members: Members) -> Any:
    try:
        return _decoded(text, members)
    except JSONDecodeError as error:
        raise _malformed(error) from None


def _decoded(text: str, members: Members = dict) -> Any:
    """Return a text as Python's values; of a number its length alone, so that no digit is read."""
    return JSONDecoder(object_pairs_hook=members, parse_int=len, parse_float=len, parse_constant=_refuse).decode(text)


def _refuse(constant: str) -> NoReturn:
    raise MalformedBodyError("malformed-json", f"{constant} is no JSON number.")


def _malformed(error: JSONDecodeError) -> MalformedBodyError:
    """Return the error with its place in the body; what stands at the place is not told."""
    place = len(error.doc[: error.pos].encode())
    return MalformedBodyError("malformed-json", f"At byte {place}, {error.msg.partition(': ')[0].lower()}.")


def _check_surrogates(text: bytes) -> None:
    """Raise where a string of a text holds half a surrogate pair, which is no character."""
    for found in SURROGATES.finditer(text):
        if found.group(1):
            raise MalformedBodyError("malformed-json", f"At byte {found.start()}, half of a surrogate pair.")
