"""What the OpenAPI document says of messages beside their bodies, held against what the service does."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from pydantic import SecretStr

from gradient_service.app import create_app
from gradient_service.http.cross_origin import REPLY_HEADERS, REQUEST_HEADERS
from gradient_service.http.problem_types import PROBLEM_TYPES
from gradient_service.settings import Settings

from .openapi_document import documented, operations

pytestmark = pytest.mark.anyio

DOCUMENT = documented()
OPERATIONS = {(method, path): operation for method, path, operation in operations(DOCUMENT)}
NAMES = {"model": "softmax", "version": "1", "slug": "ragged"}
INFER = "/v2/models/{model}/infer"
OPEN = Settings.model_construct()
GUARDED = Settings.model_construct(api_keys=SecretStr("a-key"))


OF_HTTP = {"cache-control", "content-length", "content-type", "x-content-type-options"}
"""Fields of replies that say nothing of this service."""
ASKED: dict[str, tuple[Settings, dict[str, Any]]] = {
    "as it is": (OPEN, {}),
    "without a key": (GUARDED, {}),
    "for another type": (OPEN, {"headers": {"Accept": "image/png"}}),
    "for another coding": (OPEN, {"headers": {"Accept-Encoding": "br, identity;q=0"}}),
    "in another type": (OPEN, {"content": b"{}", "headers": {"Content-Type": "image/png"}}),
    "in another coding": (OPEN, {"content": b"{}", "headers": {"Content-Encoding": "br"}}),
}
CALLS: dict[str, dict[str, Any]] = {
    "/softmax": {"logits": [[0, 1]]},
    "/loss": {"logits": [[0, 1]], "labels": [0]},
    "/gradient": {"logits": [[0, 1]], "labels": [0]},
    "/check": {"logits": [[0, 1]], "labels": [0], "claimed": {"loss": 1}},
    INFER: {"inputs": [{"name": "logits", "datatype": "FP64", "shape": [1, 2], "data": [0, 1]}]},
}


async def answer(settings: Settings, method: str, path: str, **options: Any) -> httpx.Response:
    """The reply of an application with some settings."""
    transport = httpx.ASGITransport(create_app(settings), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        return await client.request(method, path.format(**NAMES), **options)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_what_needs_a_key_says_so(method: str, path: str) -> None:
    """A path that is 401 without a key lists that and asks for one by the document's rule; any other asks for none."""
    operation = OPERATIONS[method, path]
    is_guarded = (await answer(GUARDED, method, path)).status_code == 401
    assert ("401" in operation["responses"]) == is_guarded
    assert operation.get("security", DOCUMENT["security"]) == ([{}, {"key": []}] if is_guarded else [])


def check_head(reply: httpx.Response, operation: dict[str, Any]) -> None:
    """The head of a reply has each field that its status always has, and none that the document leaves out."""
    described = operation["responses"][str(reply.status_code)]["headers"]
    assert described == {name: {"$ref": f"#/components/headers/{name}"} for name in described}
    certain = {name.lower() for name in described if DOCUMENT["components"]["headers"][name]["required"]}
    assert certain <= set(reply.headers)
    assert set(reply.headers) - OF_HTTP <= {name.lower() for name in described}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_the_head_of_a_reply_is_as_described(method: str, path: str, asked: str) -> None:
    """Whatever a path answers, its fields are those that the document names, by reference to one description."""
    settings, options = ASKED[asked]
    check_head(await answer(settings, method, path, **options), OPERATIONS[method, path])


@pytest.mark.parametrize("path", CALLS)
async def test_the_head_of_an_answered_call_is_as_described(path: str) -> None:
    """The reply to a call that was right has the fields that the document names."""
    reply = await answer(OPEN, "post", path, json=CALLS[path])
    assert reply.status_code == 200
    check_head(reply, OPERATIONS["post", path])


def test_every_reply_has_an_id() -> None:
    """The request's id is a field of every response."""
    for operation in OPERATIONS.values():
        assert all("X-Request-ID" in response["headers"] for response in operation["responses"].values())


def asked_of(operation: dict[str, Any], place: str) -> set[str]:
    """The names of an operation's parameters in one place, wherever they are described."""
    named = {f"#/components/parameters/{name}": asked for name, asked in DOCUMENT["components"]["parameters"].items()}
    described = [named[asked["$ref"]] if "$ref" in asked else asked for asked in operation["parameters"]]
    return {asked["name"] for asked in described if asked["in"] == place}


def test_every_request_may_have_an_id_and_a_trace() -> None:
    """Each operation takes the header fields that the service reads in every request."""
    for operation in OPERATIONS.values():
        assert {"X-Request-ID", "traceparent", "tracestate"} <= asked_of(operation, "header")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_what_has_a_deadline_says_so(method: str, path: str) -> None:
    """A path that refuses a deadline of 0 takes one, by the document too; any other takes none."""
    refused = (await answer(OPEN, method, path, headers={"X-Request-Deadline-Ms": "0"})).status_code == 400
    assert ("X-Request-Deadline-Ms" in asked_of(OPERATIONS[method, path], "header")) == refused


def test_health_takes_verbose() -> None:
    """The two health endpoints take `verbose`, and nothing else takes a query."""
    asked = {path: asked_of(operation, "query") for (_, path), operation in OPERATIONS.items()}
    assert {path: names for path, names in asked.items() if names} == {"/livez": {"verbose"}, "/readyz": {"verbose"}}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_what_may_have_tensors_behind_its_json_says_so(method: str, path: str) -> None:
    """A path that refuses a length of the JSON part which is no number takes one, by the document too."""
    refused = (await answer(OPEN, method, path, headers={"Inference-Header-Content-Length": "x"})).status_code == 400
    assert ("Inference-Header-Content-Length" in asked_of(OPERATIONS[method, path], "header")) == refused


@pytest.mark.parametrize("path", [INFER, "/v2/models/{model}/versions/{version}/infer"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_binary_inference_is_as_described(path: str, coding: str) -> None:
    """A body with tensors behind its JSON, and its reply, have a type that the document gives them, and its fields."""
    tensor = {"name": "logits", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    fields = {"Inference-Header-Content-Length": str(len(head)), "Accept-Encoding": coding}
    reply = await answer(OPEN, "post", path, content=head + bytes(16), headers=fields)
    assert reply.status_code == 200
    assert ("content-encoding" in reply.headers) == (coding == "gzip")
    assert "inference-header-content-length" in reply.headers
    operation = OPERATIONS["post", path]
    check_head(reply, operation)
    for body in (operation["requestBody"], operation["responses"]["200"]):
        assert body["content"][reply.headers["content-type"]] == {"schema": {"type": "string", "format": "binary"}}


@pytest.mark.parametrize("path", ["/problems", *(f"/problems/{slug}" for slug in PROBLEM_TYPES)])
async def test_problem_types_are_as_described(path: str) -> None:
    """What programs read of problem types is valid by the schema of its path; browsers get the page that is told."""
    described = OPERATIONS["get", path if path == "/problems" else "/problems/{slug}"]["responses"]["200"]["content"]
    schema = described["application/json"]["schema"] | {"components": DOCUMENT["components"]}
    OAS31Validator(schema).validate((await answer(OPEN, "get", path)).json())
    page = await answer(OPEN, "get", path, headers={"Accept": "text/html"})
    assert page.headers["content-type"].partition(";")[0] in described


def test_a_malformed_body_is_no_file_where_none_is_read() -> None:
    """What is said of 400 names no format that the path does not read."""
    for operation in OPERATIONS.values():
        reads_files = "application/x-safetensors" in operation.get("requestBody", {}).get("content", {})
        said = operation["responses"].get("400", {"description": ""})["description"]
        assert reads_files or "safetensors" not in said


def test_what_pages_of_other_origins_may_send_and_read_is_described() -> None:
    """Fields that browsers are told of are in the document; keys are there as `security`, codings as a text."""
    sent = {asked["name"].lower() for asked in DOCUMENT["components"]["parameters"].values()}
    assert {name.lower() for name in REQUEST_HEADERS} - sent == {"authorization", "content-encoding"}
    assert set(REPLY_HEADERS) <= set(DOCUMENT["components"]["headers"])
