"""Header fields that hold a number."""

from starlette.datastructures import Headers

from gradient_service.http.problems import HttpProblemError

MAX_DIGITS = 18


def whole_number(headers: Headers, name: str) -> int | None:
    """Return the number that a field holds, None where it is absent; one of more than 18 digits is only very large.

    Raises:
        HttpProblemError: `malformed-http` when it is no whole number, or there are several.
    """
    given = headers.getlist(name)
    if not given:
        return None
    if len(given) > 1 or not (given[0].isascii() and given[0].isdecimal()):
        raise HttpProblemError("malformed-http", f"{name} is one whole number.")
    return int(given[0][: MAX_DIGITS + 1])
