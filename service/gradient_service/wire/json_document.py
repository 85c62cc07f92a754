"""JSON bytes to a document: the fast parser where it takes them, else a strict reading that says what is wrong.

What the fast parser does not take is read again by `JsonScanner`, which says what the bytes lack, or that they lack
nothing and hold numbers of more than 64 bits.
"""

from collections.abc import Callable, Collection
from math import isfinite
from typing import Any

from gradient_service.core.errors import MAX_FOUND, Fault
from gradient_service.schemas.tensor import INT64_RANGE
from gradient_service.wire.json_grammar import JsonScanner, Path, Rewrite
from gradient_service.wire.json_values import SHOWS_REPEATED_FIELDS, parse

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ABOVE_INT64 = b"9223372036854775808"
LONGEST_INT64 = 20  # a sign and 19 digits

Place = tuple[str | None, Path]
Locate = Callable[[Path], Place]
"""Returns for a path of the document the field it belongs to, None if to none, and the index in it."""


def parse_quickly(body: bytes) -> Any | None:
    """Return the document, or None for bytes that need a closer look; no document is None: `null` needs one too."""
    try:
        if SHOWS_REPEATED_FIELDS and not body.startswith(BYTE_ORDER_MARK):
            return parse(body)
    except (ValueError, RuntimeError):
        pass  # bytes that are no JSON, or numbers that 64 bits do not hold
    return None


def parse_strictly(body: bytes, max_nesting: int, locate: Locate, integers: Collection[str]) -> tuple[Any, list[Fault]]:
    """Return the document, and the numbers in it that no float64 holds; these read 0 in the document.

    Args:
        body: the bytes.
        max_nesting: how deep they may nest.
        locate: which field a number belongs to.
        integers: the fields that hold integers.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or name a field twice.
    """
    faults: list[Fault] = []
    return parse(JsonScanner(body, max_nesting, _rewriting(locate, integers, faults)).scan()), faults


def _rewriting(locate: Locate, integers: Collection[str], faults: list[Fault]) -> Rewrite:
    """Return what writes a number as the parser takes it: a long integer as a float, or as one above every label.

    A number that no float64 holds becomes 0 and a fault, as long as more faults can be told.
    """

    def rewrite(text: bytes, path: Path) -> bytes:
        value, (field, index) = float(text), locate(path)
        if not isfinite(value):
            if len(faults) < MAX_FOUND:
                faults.append(Fault("number-out-of-range", field, index, "This number leaves the range of float64."))
            return b"0"
        if not text.lstrip(b"-").isdigit() or (len(text) <= LONGEST_INT64 and int(text) in INT64_RANGE):
            return text
        return ABOVE_INT64 if field in integers else _short_float(value)

    return rewrite


def _short_float(value: float) -> bytes:
    """Return a float of 19 digits or more before the point in no more bytes than those: its 17 digits, and a power."""
    digits, power = f"{value:.16e}".split("e")
    return f"{digits.replace('.', '')}e{int(power) - 16}".encode()
