"""The OpenAPI document: the framework's paths, the models' schemas, and examples that tests execute."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from gradient_service.http import code_samples, patience, problems
from gradient_service.http.catalogue import OPERATIONS, Operation
from gradient_service.http.example_files import Examples, examples, file_name
from gradient_service.http.limits import shown_limits
from gradient_service.http.openapi_components import (
    OF_EVERY_REQUEST,
    SECURITY_SCHEMES,
    components,
    headers,
    headers_of_status,
    parameters,
    schema_of,
)
from gradient_service.http.text_templates import template
from gradient_service.schemas.open_inference import BODIES as OPEN_INFERENCE_BODIES
from gradient_service.schemas.problem import Problem
from gradient_service.schemas.problem_type import ProblemTypeReply, ProblemTypesReply
from gradient_service.schemas.replies import HealthReply, LimitsReply
from gradient_service.settings import Settings
from gradient_service.wire import json_body, safetensors_body

DESCRIPTION = """\
A network's scores become probabilities by **softmax**; **one-hot encoding** turns them into a decision;
**cross-entropy** compares them with the true label; and back-propagation needs **∂E/∂score**, taken by the chain rule
in steps, ∂E/∂p, then ∂p/∂score, ending at p − c.

Every call is pure: repeating one is always safe. Losses are in nats. Results keep every digit: float32 results are
rounded once, and losses near zero are numbers, not 0.

Whatever cannot be answered is a problem, and its type the address of a page that says why, and how to mend it: all are
at [`/problems`](problems).
"""
REQUEST_BODY = """\
JSON, or a safetensors file: array fields are tensors under their own names (F16, BF16, F32 or F64 for numbers, any
integer type for labels, BOOL for masks), all other fields are one JSON object, as text in `options` of the header's
`__metadata__`. `application/octet-stream` is another name for `application/x-safetensors`.
"""
REPLY_BODY = """
The reply has the type that `Accept` asks for; by default that of the request. In a safetensors reply arrays are tensors
under their own names (F32 or F64, I64 labels, U8 one-hot rows), all other fields are one JSON object in `result`.

Each example that is answered is also there as two files, such as
[`examples/{everyday_request}`](examples/{everyday_request}) and
[`examples/{everyday_answer}`](examples/{everyday_answer}); the others have their names in place of `everyday`.
"""
JSON_REPLY_BODY = """
What was computed is one object: the tensors `claimed.gradient`, `claimed.losses`, `claimed.probabilities`, and
`claimed.loss` without axes, each in its own type; NaN and infinities may be among their numbers. The reply is JSON.

Each example that is answered is also there as a file, such as
[`examples/{everyday_request}`](examples/{everyday_request}); the others have their names in place of `everyday`.
"""
BINARY_SCHEMA = {"schema": {"type": "string", "format": "binary"}}
BINARY_CONTENT = {safetensors_body.MEDIA_TYPE: BINARY_SCHEMA}
PROBLEM_STATUSES = {
    400: "The bytes are not what they are read as, JSON or tensors, or a header field is malformed.",
    401: "A key is needed, and this is none.",
    404: "There is no such model, version or problem type.",
    406: "No media type that is accepted can be written.",
    408: "The message did not arrive in time.",
    411: "The length of the body is not said, and it is not sent in chunks.",
    413: "The body is larger than its limit.",
    414: "The target is longer than its limit.",
    415: "The media type, charset or content coding is not read here.",
    417: "The expectation is not met here.",
    421: "The host that is asked for is not this service.",
    422: "The body can be read, but breaks the contract.",
    431: "The header fields are longer, or more, than their limit.",
    500: "The fault is the service's.",
    501: "This part of the protocol is not offered.",
    503: "The service is starting, draining or overloaded.",
    504: "The work was not done within the deadline that the caller set.",
}
CALL_STATUSES = (400, 406, 408, 411, 413, 414, 415, 417, 421, 422, 431, 500, 503, 504)
OF_ANSWERED_CALLS = ("Server-Timing", "Vary")
"""Fields of their heads."""


def call_document(operation: Operation) -> dict[str, Any]:
    """Return what the framework cannot know of an operation: its body, its replies and their examples."""
    shown = examples(operation.name)
    samples = {name: code_samples.of_call(operation.name, example["request"]) for name, example in shown.items()}
    document = body_document(operation.request, operation.reply, shown, samples, CALL_STATUSES)
    document["requestBody"]["description"] = _request_description(operation)
    document["requestBody"]["content"] |= BINARY_CONTENT
    if operation.answers_tensors:
        document["responses"]["200"]["content"] |= BINARY_CONTENT
    return document


def description_of(operation: Operation, settings: Settings) -> str:
    """Return what an operation computes, what is often taken for it, and the limits in force."""
    limits = shown_limits(settings)
    return "\n".join(template(name).substitute(limits) for name in (f"{operation.name}.md", "limits.md"))


def body_document(
    request: type[BaseModel],
    reply: type[BaseModel],
    shown: Examples,
    samples: Mapping[str, str],
    statuses: tuple[int, ...],
) -> dict[str, Any]:
    """Return the body, the replies and the examples of an endpoint that computes.

    Args:
        request: the model of the body.
        reply: the model of what answers it.
        shown: the examples, by name.
        samples: code that sends them, as Markdown, by the same names.
        statuses: of the problems that may answer.
    """
    answer = _response(reply, json_body.MEDIA_TYPE, _of_status(shown, 200))
    described = {200: answer | {"headers": headers(*OF_ANSWERED_CALLS)}}
    for status in statuses:
        described[status] = _problem_response(status, _of_status(shown, status))
    content = _content(request, shown, "request")
    for name, sample in samples.items():
        content["examples"][name]["description"] = sample
    body = {"required": True, "content": {json_body.MEDIA_TYPE: content}}
    return {
        "parameters": parameters(patience.HEADER),
        "requestBody": body,
        "responses": {str(status): response for status, response in described.items()},
    }


def get_document(reply: type[BaseModel], *problem_statuses: int, asked: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the parameters and the replies of an endpoint that only tells."""
    described = {"200": _response(reply, json_body.MEDIA_TYPE, {})}
    described |= {str(status): _problem_response(status, {}) for status in problem_statuses}
    return {"parameters": parameters(*asked), "responses": described}


def page_document(reply: type[BaseModel], *problem_statuses: int) -> dict[str, Any]:
    """Return the replies of an endpoint that tells programs, and shows people a page."""
    document = get_document(reply, *problem_statuses)
    answer = document["responses"]["200"]
    answer["content"] |= {"text/html": {"schema": {"type": "string"}}}
    answer["headers"] = headers("Vary")
    return document


def text_document(media_type: str) -> dict[str, Any]:
    """Return the reply of an endpoint that tells in a text of its own form."""
    described = {"description": "The text.", "content": {media_type: {"schema": {"type": "string"}}}}
    return {"responses": {"200": described}}


def path_document(document: dict[str, Any], *, is_open: bool) -> dict[str, Any]:
    """Return the document of a path with what holds of all paths.

    Those that are not open are 401 without a key, and what the whole document says of `security` is true of them. Every
    request may have the header fields of all requests, and every reply has those of its status.
    """
    asked = [*document.get("parameters", ()), *parameters(*OF_EVERY_REQUEST)]
    responses = document["responses"] | ({} if is_open else {"401": _problem_response(401, {})})
    described = {
        status: response | {"headers": headers_of_status(status) | response.get("headers", {})}
        for status, response in sorted(responses.items())
    }
    return document | {"parameters": asked, "responses": described} | ({"security": []} if is_open else {})


def _of_status(shown: Examples, status: int) -> Examples:
    return {name: example for name, example in shown.items() if example["status"] == status}


def _response(model: type[BaseModel], media_type: str, shown: Examples) -> dict[str, Any]:
    return {"description": model.__doc__, "content": {media_type: _content(model, shown, "answer")}}


def _problem_response(status: int, shown: Examples) -> dict[str, Any]:
    return _response(Problem, problems.MEDIA_TYPE, shown) | {"description": PROBLEM_STATUSES[status]}


def _content(model: type[BaseModel], shown: Examples, part: str) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema_of(model)}
    if shown:
        content["examples"] = {
            name: {"summary": example["summary"], "value": example[part]} for name, example in shown.items()
        }
    return content


def _request_description(operation: Operation) -> str:
    """Return how bodies are written, with links to the files of the first example.

    Examples of the media type that name the files by `externalValue` would say the same to programs, but Swagger UI
    loads all of them when an operation is opened, and loses clicks meanwhile.
    """
    request, answer = (file_name(operation.name, "everyday", part) for part in ("request", "answer"))
    reply_body = REPLY_BODY if operation.answers_tensors else JSON_REPLY_BODY
    return REQUEST_BODY + reply_body.format(everyday_request=request, everyday_answer=answer)


def install(app: FastAPI) -> None:
    """Make the application describe itself: the framework's paths, with the models' schemas as components."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            described["components"] = components(_models())
            described["security"] = [{}, {name: [] for name in SECURITY_SCHEMES}]
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the framework's documented way


def _models() -> Iterator[type[BaseModel]]:
    """Yield the models of all bodies."""
    yield from (LimitsReply, HealthReply, Problem, ProblemTypesReply, ProblemTypeReply)
    yield from OPEN_INFERENCE_BODIES
    for operation in OPERATIONS:
        yield from (operation.request, operation.reply)
