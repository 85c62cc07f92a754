"""The body of every answer from 400 up: RFC 9457 problem details."""

from gradient_service.core.options import Choice
from gradient_service.schemas.fields import Body


class Slug(Choice):
    """What is wrong, in one word; each has one status, and a page at `/problems/<slug>`."""

    MALFORMED_JSON = "malformed-json", "the body is no JSON text in UTF-8, as RFC 8259 has it"
    EMPTY_BODY = "empty-body", "the body holds nothing, or nothing but blanks"
    DUPLICATE_FIELD = "duplicate-field", "a name stands twice in one object"
    NESTING_TOO_DEEP = "nesting-too-deep", "arrays and objects stand deeper within one another than is read"
    MALFORMED_TENSOR = "malformed-tensor", "a binary tensor, or the header that describes it, breaks its format"
    MALFORMED_HTTP = "malformed-http", "the message, or one of its header fields, is not what HTTP or this API asks for"
    UNAUTHENTICATED = "unauthenticated", "a key is needed, and the request carries none that is accepted"
    NOT_FOUND = "not-found", "there is nothing at this path"
    METHOD_NOT_ALLOWED = "method-not-allowed", "the path exists, but does not answer this method"
    NOT_ACCEPTABLE = "not-acceptable", "no media type or content coding that is accepted can be written"
    REQUEST_TIMEOUT = "request-timeout", "the message did not arrive in time"
    LENGTH_REQUIRED = "length-required", "the length of the body is not said, and it is not sent in chunks"
    BODY_TOO_LARGE = "body-too-large", "the body is larger than bodies of its kind may be"
    URI_TOO_LONG = "uri-too-long", "the target of the request is longer than its limit"
    DECODED_TOO_LARGE = "decoded-too-large", "the compressed body inflates to more than it may"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", "the body is of a type, or a charset, that is not read here"
    UNSUPPORTED_CONTENT_ENCODING = "unsupported-content-encoding", "the body has a content coding that is not read here"
    EXPECTATION_FAILED = "expectation-failed", "the header field Expect asks for something that is not met here"
    MISDIRECTED_REQUEST = "misdirected-request", "the service was asked for under a name that is not its own"
    HEADERS_TOO_LARGE = "headers-too-large", "the header fields are longer, or more, than their limit"
    MISSING_FIELD = "missing-field", "a field that is needed was left out"
    UNKNOWN_FIELD = "unknown-field", "a field has a name that is none of this call"
    UNKNOWN_VALUE = "unknown-value", "a word is none of those to choose from"
    CONFLICTING_FIELDS = "conflicting-fields", "two fields, each of them right, do not go together"
    WRONG_TYPE = "wrong-type", "a value is of another type than its field"
    WRONG_RANK = "wrong-rank", "an array has more or fewer axes than its field"
    RAGGED = "ragged", "rows of one array have different lengths"
    LENGTH_MISMATCH = "length-mismatch", "an array does not fit the (N, K) logits"
    EMPTY_BATCH = "empty-batch", "the logits have no rows, so that nothing says how many classes there are"
    EMPTY_CLASSES = "empty-classes", "the rows of the logits have no elements"
    LABEL_OUT_OF_RANGE = "label-out-of-range", "a label names no class"
    OUT_OF_RANGE = "out-of-range", "a number lies outside the range of its field"
    INVALID_DISTRIBUTION = "invalid-distribution", "a row of targets does not sum to 1"
    NON_FINITE = "non-finite", "a number is NaN or infinite where it must be finite"
    NUMBER_OUT_OF_RANGE = (
        "number-out-of-range",
        "a number of the request or of its answer is beyond the range of its type",
    )
    UNDEFINED_ROW = "undefined-row", "no class of a row takes part, so that it has no softmax"
    INFINITE_LOSS = "infinite-loss", "the exact loss is infinite: a target with weight meets a probability of 0"
    UNSUPPORTED_DTYPE = "unsupported-dtype", "a tensor has an element type that no field takes"
    OUTPUT_TOO_LARGE = "output-too-large", "the batch, its Jacobian or its reply is larger than its limit"
    INTERNAL_ERROR = "internal-error", "the service failed, by a fault of its own"
    NOT_IMPLEMENTED = "not-implemented", "this part of the Open Inference Protocol is not offered"
    OVERLOADED = "overloaded", "there is no room for this call now"
    SHUTTING_DOWN = "shutting-down", "the service is starting, or about to end"
    DEADLINE_EXCEEDED = "deadline-exceeded", "the work was not done within the deadline that the caller set"


class ProblemError(Body):
    """One fault."""

    pointer: str
    """RFC 6901 pointer into the JSON form of the request."""
    code: Slug
    detail: str


class Problem(Body):
    """RFC 9457 problem details."""

    type: str
    """`/problems/<slug>`, where this service explains it."""
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
