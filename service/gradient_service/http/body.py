"""Reading a request body no further than its limit."""

from fastapi import Request

from gradient_service.http.problems import HttpProblemError

MAX_DIGITS = 18


def check_declared_length(request: Request, max_bytes: int) -> None:
    """Raise `body-too-large` when the caller itself says that the body is too large."""
    declared = request.headers.get("content-length", "")
    is_number = declared.isascii() and declared.isdecimal()
    if is_number and (len(declared) > MAX_DIGITS or int(declared) > max_bytes):
        raise _too_large(max_bytes)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body; raise `body-too-large` as soon as more arrives than may."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(max_bytes: int) -> HttpProblemError:
    return HttpProblemError("body-too-large", f"The limit is {max_bytes} bytes.", {"Connection": "close"})
