"""JSON bytes to a document, as the fast parser makes it, or Python where that does not take them."""

import re
from json import loads
from math import isinf
from typing import Any

from gradient_service.wire.json_grammar import BYTE_ORDER_MARK, JsonText
from gradient_service.wire.json_values import is_fast, parse_quickly

LONG_INTEGER = re.compile(rb"[0-9]{19}")


def read_document(source: JsonText) -> Any:
    """Parse a text.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or name a field twice; not all such bytes are found.
        TakesLongError: none such may be read hastily, nor may many numbers.
    """
    source.take_time_for_many()
    body = source.body
    document = parse_quickly(body) if is_fast() and not body.startswith(BYTE_ORDER_MARK) else None
    if document is None:  # bytes that need a closer look; so does `null`
        source.check()
        document = _parse_or_read(body)
    return document


def _parse_or_read(text: bytes) -> Any:
    """Return a text as the parser's values, or as Python's where it holds numbers that 64 bits do not."""
    document = None if not is_fast() and LONG_INTEGER.search(text) else parse_quickly(text)
    return read_exactly(text) if document is None else document


def read_exactly(text: bytes) -> Any:
    """Return a text as Python's values, integers of any length; a number that no float64 holds is an infinity."""
    return loads(text.decode(), parse_int=_integer if LONG_INTEGER.search(text) else None)


def _integer(text: str) -> float:
    value = float(text)
    return value if isinf(value) else int(text)
