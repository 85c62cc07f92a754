"""JSON headers of binary bodies: a few hundred bytes, read by the library and yet held to the strict grammar."""

import json
from typing import Any

from gradient_service.wire.json_grammar import check_text


def load_header(text: bytes, max_nesting: int) -> Any:
    """Return the document as Python's values.

    The library is quick, and too lenient in few ways: repeated names, NaN, and halves of surrogate pairs. Where one of
    them might be, or where it refuses, the scanner says what is wrong.

    Raises:
        MalformedBodyError: the bytes are no JSON, nest too deep or repeat a name.
        ValueError: an integer has more digits than Python reads.
    """
    try:
        content = json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_refused)
    except (ValueError, RecursionError):
        content = None
    if content is None or b"\\u" in text:
        check_text(text, max_nesting)
        content = json.loads(text)
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise ValueError
    return named


def _refused(constant: str) -> Any:
    raise ValueError(constant)
