"""Header fields, and those that hold a number."""

from starlette.datastructures import Headers

from gradient_service.http.problems import HttpProblemError

MAX_DIGITS = 18

Field = tuple[bytes, bytes]
"""A field of a head: its name in small letters, and its value."""


def whole_number(headers: Headers, name: str) -> int | None:
    """Return the number that a field holds, None where it is absent; one of more than 18 digits is only very large.

    Raises:
        HttpProblemError: `malformed-http` when it is no whole number, or there are several.
    """
    given = headers.getlist(name)
    if not given:
        return None
    number = number_of(given[0]) if len(given) == 1 else None
    if number is None:
        raise HttpProblemError("malformed-http", f"{name} is one whole number.")
    return number


def number_of(text: str) -> int | None:
    """Return a whole number; None for other texts, and only a very large number for one of more than 18 digits."""
    if not (text.isascii() and text.isdecimal()):
        return None
    return int(text.lstrip("0")[: MAX_DIGITS + 1] or "0")
