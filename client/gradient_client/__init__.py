"""Typed client of the gradient service: softmax, cross-entropy and their exact gradients over HTTP."""

from ._async_client import AsyncGradientClient
from ._client import GradientClient
from ._events import Event
from ._options import ArrayLike, CheckOptions, GradientOptions, LossOptions, SoftmaxOptions
from ._retry import Retry
from ._transport import AsyncTransport, HttpReply, HttpRequest, Transport
from ._version import __version__
from .errors import (
    ChunkError,
    ConfigurationError,
    DeadlineExceededError,
    GradientClientError,
    InputError,
    RateLimitedError,
    RejectedInputError,
    ResponseError,
    ServiceError,
    TooLargeError,
    TransportError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedWireError,
)
from .reports import CheckResult, Diagnosis, Invariant, WorstRow
from .results import Attempt, Fault, GradientResult, Limits, LossResult, Meta, SoftmaxResult, Summary

__all__ = [
    "ArrayLike",
    "AsyncGradientClient",
    "AsyncTransport",
    "Attempt",
    "CheckOptions",
    "CheckResult",
    "ChunkError",
    "ConfigurationError",
    "DeadlineExceededError",
    "Diagnosis",
    "Event",
    "Fault",
    "GradientClient",
    "GradientClientError",
    "GradientOptions",
    "GradientResult",
    "HttpReply",
    "HttpRequest",
    "InputError",
    "Invariant",
    "Limits",
    "LossOptions",
    "LossResult",
    "Meta",
    "RateLimitedError",
    "RejectedInputError",
    "ResponseError",
    "Retry",
    "ServiceError",
    "SoftmaxOptions",
    "SoftmaxResult",
    "Summary",
    "TooLargeError",
    "Transport",
    "TransportError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedWireError",
    "WorstRow",
    "__version__",
]
