"""Every error this package raises, as plain data that pickles and copies with each attribute.

    GradientClientError
    ├── InputError (ValueError)              an argument that cannot be sent; nothing was sent
    ├── ConfigurationError                   the client itself is set up wrongly, or closed
    ├── TransportError (ConnectionError)     no complete reply arrived
    │   └── DeadlineExceededError (TimeoutError)   the call's total time ran out
    ├── ResponseError                        a reply arrived that breaks the contract
    ├── ChunkError                           a chunk of a batch failed; the finished ones are on it
    └── ServiceError                         the service answered with a problem
        ├── RejectedInputError (ValueError)  400, 422
        ├── UnauthenticatedError             401
        ├── TooLargeError                    413
        ├── UnsupportedWireError             406, 415
        ├── RateLimitedError                 429
        └── UnavailableError                 502, 503, 504

Bad input is a `ValueError` whichever side noticed it; a missing service is a `ConnectionError`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ._printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .results import Attempt, Fault

__all__ = [
    "ChunkError",
    "ConfigurationError",
    "DeadlineExceededError",
    "GradientClientError",
    "InputError",
    "RateLimitedError",
    "RejectedInputError",
    "ResponseError",
    "ServiceError",
    "TooLargeError",
    "TransportError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedWireError",
]


class GradientClientError(Exception):
    """The base of every error of this package.

    Args:
        message: what is wrong and, where known, how to cure it.
        facts: values for the attributes the class documents; others keep their defaults.

    Raises:
        TypeError: a fact that the class does not document.
    """

    def __init__(self, message: str = "", **facts: object) -> None:
        # The message is the only positional argument and the facts live in __dict__, because that is
        # exactly what BaseException.__reduce__ saves: no subclass needs pickling code of its own.
        # What a service or a proxy said may be in it, and must not move the cursor of whoever reads it.
        super().__init__(printable(message))
        for name, value in facts.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)


class InputError(GradientClientError, ValueError):
    """An argument cannot be sent; found before anything was sent."""

    field: str | None = None
    """Name of the offending argument."""
    index: tuple[int, ...] = ()
    """Position of the first offending element; empty when the argument as a whole is wrong."""
    cure: str = ""
    """What to write instead."""


class ConfigurationError(GradientClientError):
    """The client is set up wrongly (no address, an unusable key or timeout) or already closed."""


class TransportError(GradientClientError, ConnectionError):
    """No complete reply arrived: refused, reset or cut short, and retries did not help."""

    request_id: str | None = None
    """The id under which the service may have logged the call."""
    attempts: tuple[Attempt, ...] = ()
    """Every attempt of the call, first to last."""


class DeadlineExceededError(TransportError, TimeoutError):
    """The time allowed for the whole call, attempts and waits included, ran out."""


class ResponseError(GradientClientError):
    """A reply arrived that breaks the contract: not the declared type, field or shape."""

    request_id: str | None = None
    """The id under which the service logged the call."""
    attempts: tuple[Attempt, ...] = ()
    """Every attempt of the call, first to last."""


class ChunkError(GradientClientError):
    """A chunk of a batch sent by `chunk_rows` failed, after its retries; chunks that had not begun were not sent."""

    rows: tuple[int, int] = (0, 0)
    """First row of the chunk, and the row after its last."""
    row: int | None = None
    """The offending row of the batch, if the service named one."""
    error: GradientClientError | None = None
    """What happened to the chunk; places in it count from the chunk's first row."""
    partial: Mapping[tuple[int, int], Any] = MappingProxyType({})
    """Results of the chunks that finished, by their first row and the row after their last."""


class ServiceError(GradientClientError):
    """The service answered with a problem that no subclass names, for example 404 or 500."""

    status: int = 0
    """The HTTP status."""
    slug: str | None = None
    """The problem's kind, such as `label-out-of-range`; None if the body was no problem document."""
    detail: str = ""
    """The service's own sentence about this occurrence."""
    pointer: str | None = None
    """JSON pointer to the first offending element of the request, such as `/labels/3`."""
    faults: tuple[Fault, ...] = ()
    """Everything the service found wrong, in document order; it lists 20 at most."""
    request_id: str | None = None
    """The id under which the service logged the call."""
    retry_after: float | None = None
    """Seconds the service asked to wait before trying again."""
    attempts: tuple[Attempt, ...] = ()
    """Every attempt of the call, first to last."""

    @property
    def row(self) -> int | None:
        """The number after the field's name in `pointer`, if there is one."""
        return self.faults[0].row if self.faults else None


class RejectedInputError(ServiceError, ValueError):
    """400 or 422: the service read the request and found it wrong."""


class UnauthenticatedError(ServiceError):
    """401: the API key is absent or wrong."""


class TooLargeError(ServiceError):
    """413: the body is larger than the service's limit."""


class UnsupportedWireError(ServiceError):
    """406 or 415: the service does not speak the format the client used."""


class RateLimitedError(ServiceError):
    """429: too many requests, and retries within the time allowed did not help."""


class UnavailableError(ServiceError):
    """502, 503 or 504: the service is starting, draining, overloaded or out of time."""
