"""JSON objects read strictly: what RFC 8259 does not have, and a name given twice, is no JSON here."""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast


def parse_object(text: str | bytes) -> dict[str, object]:
    """The members of a JSON object.

    Args:
        text: the object, as text or as its bytes.

    Returns:
        The members by name, as Python's own values.

    Raises:
        ValueError: it is no JSON, no object, nested too deeply, or names a member twice.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004 - callers expect one error for every malformed text
    return cast("dict[str, object]", document)


def _refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON")


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a name is given twice")
    return found
