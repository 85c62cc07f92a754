"""The body of every answer from 400 up: RFC 9457 problem details."""

from enum import StrEnum

from gradient_service.schemas.fields import Body


class Slug(StrEnum):
    """What is wrong, in one word; each has one status."""

    MALFORMED_JSON = "malformed-json"
    EMPTY_BODY = "empty-body"
    DUPLICATE_FIELD = "duplicate-field"
    NESTING_TOO_DEEP = "nesting-too-deep"
    MALFORMED_TENSOR = "malformed-tensor"
    MALFORMED_HTTP = "malformed-http"
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    NOT_ACCEPTABLE = "not-acceptable"
    REQUEST_TIMEOUT = "request-timeout"
    LENGTH_REQUIRED = "length-required"
    BODY_TOO_LARGE = "body-too-large"
    URI_TOO_LONG = "uri-too-long"
    DECODED_TOO_LARGE = "decoded-too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    UNSUPPORTED_CONTENT_ENCODING = "unsupported-content-encoding"
    EXPECTATION_FAILED = "expectation-failed"
    MISDIRECTED_REQUEST = "misdirected-request"
    HEADERS_TOO_LARGE = "headers-too-large"
    MISSING_FIELD = "missing-field"
    UNKNOWN_FIELD = "unknown-field"
    UNKNOWN_VALUE = "unknown-value"
    CONFLICTING_FIELDS = "conflicting-fields"
    WRONG_TYPE = "wrong-type"
    WRONG_RANK = "wrong-rank"
    RAGGED = "ragged"
    LENGTH_MISMATCH = "length-mismatch"
    EMPTY_BATCH = "empty-batch"
    EMPTY_CLASSES = "empty-classes"
    LABEL_OUT_OF_RANGE = "label-out-of-range"
    OUT_OF_RANGE = "out-of-range"
    INVALID_DISTRIBUTION = "invalid-distribution"
    NON_FINITE = "non-finite"
    NUMBER_OUT_OF_RANGE = "number-out-of-range"
    UNDEFINED_ROW = "undefined-row"
    INFINITE_LOSS = "infinite-loss"
    UNSUPPORTED_DTYPE = "unsupported-dtype"
    OUTPUT_TOO_LARGE = "output-too-large"
    INTERNAL_ERROR = "internal-error"
    NOT_IMPLEMENTED = "not-implemented"
    OVERLOADED = "overloaded"
    SHUTTING_DOWN = "shutting-down"
    DEADLINE_EXCEEDED = "deadline-exceeded"


class ProblemError(Body):
    """One fault."""

    pointer: str
    """RFC 6901 pointer into the JSON form of the request."""
    code: Slug
    detail: str


class Problem(Body):
    """RFC 9457 problem details."""

    type: str
    """`/problems/<slug>`."""
    title: str
    status: int
    detail: str
    instance: str
    """The path that was asked for."""
    request_id: str
    errors: list[ProblemError]
    """At most 20, in document order; the first one's code is the type's slug."""
    error: str
    """The detail again, where Open Inference clients read it."""
