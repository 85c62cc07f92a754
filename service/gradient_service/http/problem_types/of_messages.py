"""What is refused for what HTTP says of a request, before its body is read."""

from http import HTTPStatus

from gradient_service.http.problem_types.problem_type import ProblemType
from gradient_service.schemas.problem import Slug

OF_MESSAGES = {
    Slug.MALFORMED_HTTP: ProblemType(
        HTTPStatus.BAD_REQUEST,
        why="A message has one `Host`, a name or an address with or without a port; a body is sent with "
        "`Content-Length` or in chunks, not both; `X-Request-Deadline-Ms` is a whole number from 1 up. Under `/v2`, "
        "`Inference-Header-Content-Length` counts bytes of the body, and a compressed body is whole. What "
        "is read in two ways by two programs is a way in for attackers, so it is not guessed at.",
        mend="Let an HTTP library write the message, and look at what stands between: a proxy may add or join header "
        "fields. `detail` names the rule.",
    ),
    Slug.URI_TOO_LONG: ProblemType(
        HTTPStatus.REQUEST_URI_TOO_LONG,
        why="Path and query together may be as long as the limit. No call here takes anything from its query.",
        mend="Send numbers in the body, by POST.",
        limits=("max_header_bytes",),
    ),
    Slug.HEADERS_TOO_LARGE: ProblemType(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        why="Header fields are read before anything is known of their sender, so both their number and their bytes "
        "are bounded.",
        mend="Send fewer or shorter header fields: cookies and tokens for other services are the usual cause. The "
        "operator can raise the limits.",
        limits=("max_header_bytes", "max_header_fields"),
    ),
    Slug.MISDIRECTED_REQUEST: ProblemType(
        HTTPStatus.MISDIRECTED_REQUEST,
        why="A service that listens on a loopback address answers to loopback names only. Otherwise a page of another "
        "site could reach it through a name of its own that leads to 127.0.0.1.",
        mend="Ask for `localhost` or `127.0.0.1`. To be reached from elsewhere, serve on another `--host`.",
    ),
    Slug.EXPECTATION_FAILED: ProblemType(
        HTTPStatus.EXPECTATION_FAILED,
        why="The only expectation that HTTP defines is `100-continue`, and it is met.",
        mend="Leave out `Expect`, or send `100-continue`.",
    ),
    Slug.NOT_FOUND: ProblemType(
        HTTPStatus.NOT_FOUND,
        why="Paths are exact: capitals count, `/softmax/` is not `/softmax`, and nothing is redirected. Under `/v2` "
        "the models are `softmax`, `loss` and `gradient`, each in version 1.",
        mend="Take the path from the API reference, linked below; `GET /` links to the pages.",
    ),
    Slug.METHOD_NOT_ALLOWED: ProblemType(
        HTTPStatus.METHOD_NOT_ALLOWED,
        why="Calls that compute are POST; what only tells is GET, and HEAD.",
        mend="Use a method that `Allow` names in the answer. Repeating a call is safe, POST too: calls are pure.",
    ),
    Slug.UNAUTHENTICATED: ProblemType(
        HTTPStatus.UNAUTHORIZED,
        why="The operator gave out keys. A call carries exactly one, and it is looked at before the body is. Health, "
        "the pages and the OpenAPI document are open.",
        mend="Send `Authorization: Bearer` and your key, once. The client takes `api_key=`, or reads "
        "`GRADIENT_API_KEY`. The page `/explore` has a field for it.",
    ),
    Slug.LENGTH_REQUIRED: ProblemType(
        HTTPStatus.LENGTH_REQUIRED,
        why="Without `Content-Length` and without chunks a message has no body, and a call without a body says "
        "nothing.",
        mend="Send a body; HTTP libraries add its length. With curl, `-d` or `--data-binary`.",
    ),
    Slug.BODY_TOO_LARGE: ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        why="A body is held in memory, so it is refused by its declared length, or as soon as more has arrived. JSON "
        "takes about 20 bytes for a number of full precision, a safetensors file 8, or 4 in float32.",
        mend="Send fewer rows in a call: rows are independent, and `loss_sum` and `weight_sum` of the summaries add "
        "up, so that the mean of all is Σ `loss_sum` / Σ `weight_sum`. Or send the arrays in binary.",
        limits=("max_json_body_bytes", "max_binary_body_bytes"),
    ),
    Slug.UNSUPPORTED_MEDIA_TYPE: ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        why="The content type says how a body is read: `application/json`, in UTF-8, or `application/x-safetensors`, "
        "whose other name is `application/octet-stream`. It is never guessed.",
        mend="Send one `Content-Type`, one that `Accept` names in the answer. curl says "
        "`application/x-www-form-urlencoded` unless told otherwise: add `-H 'Content-Type: application/json'`.",
    ),
    Slug.UNSUPPORTED_CONTENT_ENCODING: ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        why="Compressed bodies are read under `/v2` only, by `gzip` or `deflate`, one of them. Floating-point numbers "
        "hardly shrink, and inflating them costs more time than computing with them.",
        mend="Send the body as it is, without `Content-Encoding`. To send less, send it in binary, in float32.",
    ),
    Slug.NOT_ACCEPTABLE: ProblemType(
        HTTPStatus.NOT_ACCEPTABLE,
        why="Replies of calls are written as JSON or safetensors, those of `/check` as JSON only, and pages as HTML. "
        "Problems are `application/problem+json`, whatever was asked for.",
        mend="Send an `Accept` that has a type which the answer's own `Accept` names, or none: then a reply has the "
        "type of its request.",
    ),
    Slug.REQUEST_TIMEOUT: ProblemType(
        HTTPStatus.REQUEST_TIMEOUT,
        why="The head of a message must arrive within 10 seconds, its body within 10 seconds and one more for each "
        "256 000 bytes. Connections that are held open without sending would crowd out others.",
        mend="Send the request again, it is safe. If it lasts, look at the network between, and send smaller bodies.",
    ),
}
