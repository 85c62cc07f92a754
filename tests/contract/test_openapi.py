"""The OpenAPI document: committed as it is, valid, made of named parts, with examples that are what they claim."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from gradient_service.http.problem_types import PROBLEM_TYPES
from gradient_service.schemas.problem import Slug
from gradient_service.settings import Settings

from .openapi_document import contents, documented, operations, parts

ROOT = Path(__file__).parents[2]
CALLS = ("softmax", "loss", "gradient")
CALLS_AND_CHECK = (*CALLS, "check")
COMPUTING = (*(f"/{name}" for name in CALLS), "/v2/models/{model}/infer")
OPERATION_IDS = {
    ("post", "/softmax"): "softmax",
    ("post", "/loss"): "loss",
    ("post", "/gradient"): "gradient",
    ("post", "/check"): "check",
    ("get", "/limits"): "limits",
    ("get", "/metrics"): "metrics",
    ("get", "/livez"): "livez",
    ("get", "/readyz"): "readyz",
    ("get", "/problems"): "problems",
    ("get", "/problems/{slug}"): "problem",
    ("get", "/v2"): "v2_metadata",
    ("get", "/v2/"): "v2_metadata_slash",
    ("get", "/v2/health/live"): "v2_live",
    ("get", "/v2/health/ready"): "v2_ready",
    ("get", "/v2/models/stats"): "v2_statistics",
    ("post", "/v2/repository/index"): "v2_index",
    ("get", "/v2/models/{model}"): "v2_model_metadata",
    ("get", "/v2/models/{model}/ready"): "v2_model_ready",
    ("get", "/v2/models/{model}/config"): "v2_model_config",
    ("get", "/v2/models/{model}/stats"): "v2_model_statistics",
    ("post", "/v2/models/{model}/infer"): "v2_infer",
    ("get", "/v2/models/{model}/versions/{version}"): "v2_model_metadata_version",
    ("get", "/v2/models/{model}/versions/{version}/ready"): "v2_model_ready_version",
    ("get", "/v2/models/{model}/versions/{version}/config"): "v2_model_config_version",
    ("get", "/v2/models/{model}/versions/{version}/stats"): "v2_model_statistics_version",
    ("post", "/v2/models/{model}/versions/{version}/infer"): "v2_infer_version",
}
UNION_WORDS = ("anyOf", "oneOf", "allOf", "not", "prefixItems")
PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"
BINARY_TYPE = "application/x-safetensors"
BINARY_TYPES = {BINARY_TYPE, "application/octet-stream"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as the application says it."""
    return documented()


@pytest.fixture(scope="module")
def schemas(document: dict[str, Any]) -> dict[str, Any]:
    """The named schemas."""
    named: dict[str, Any] = document["components"]["schemas"]
    return named


def named_of(reference: dict[str, Any]) -> str:
    """The name that a schema refers to, and nothing else than a reference."""
    assert list(reference) == ["$ref"]
    return str(reference["$ref"]).removeprefix("#/components/schemas/")


def test_the_committed_document_is_current(document: dict[str, Any]) -> None:
    """openapi/openapi.json is what the application says; if not, run `make openapi`."""
    assert json.loads((ROOT / "openapi/openapi.json").read_bytes()) == document


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """The document keeps the rules of OpenAPI 3.1."""
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_operation_ids_are_the_bare_names(document: dict[str, Any]) -> None:
    """Each operation is known by its bare name, and no path is in the document that is not in the contract."""
    assert {
        (method, path): operation["operationId"] for method, path, operation in operations(document)
    } == OPERATION_IDS


def test_every_body_is_a_named_component(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Requests, replies and problems in JSON are references to named schemas."""
    for _, path, operation in operations(document):
        for media_type, content in contents(operation):
            if media_type in BINARY_TYPES or media_type.startswith("text/"):
                continue
            name = named_of(content["schema"])
            assert name in schemas, path
            assert (name == "Problem") == (media_type == PROBLEM_TYPE)


def test_every_object_within_is_a_named_component(schemas: dict[str, Any]) -> None:
    """No schema holds another object's properties or another enumeration; it refers to them by name."""
    for name, schema in schemas.items():
        within = [place for place, part in parts(schema) if place and ("properties" in part or "enum" in part)]
        assert [place for place in within if place != "/properties"] == [], name


def test_no_component_is_unused(document: dict[str, Any]) -> None:
    """Every named part, schemas and others, is referred to."""
    components = {kind: named for kind, named in document["components"].items() if kind != "securitySchemes"}
    named = {f"#/components/{kind}/{name}" for kind, known in components.items() for name in known}
    assert {part["$ref"] for _, part in parts(document) if "$ref" in part} == named


def test_there_are_no_unions(schemas: dict[str, Any]) -> None:
    """Generated clients meet no unions: every field has one type, every array one rank."""
    for name, schema in schemas.items():
        assert [place for place, part in parts(schema) if set(UNION_WORDS) & set(part)] == [], name


def test_bounds_are_numbers_of_the_format_that_they_bound(schemas: dict[str, Any]) -> None:
    """The bounds of a 64-bit integer are such integers themselves: typed languages write them as literals."""
    bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    beyond = [
        (name, place, part[bound])
        for name, schema in schemas.items()
        for place, part in parts(schema)
        for bound in bounds
        if part.get("format") == "int64" and not -(2**63) <= part.get(bound, 0) < 2**63
    ]
    assert beyond == []


def test_null_occurs_in_one_place(schemas: dict[str, Any]) -> None:
    """The one type that may be null is the log-probability of a masked class."""
    places = [
        (name, place)
        for name, schema in schemas.items()
        for place, part in parts(schema)
        if isinstance(part.get("type"), list) or part.get("type") == "null"
    ]
    assert places == [("SoftmaxReply", "/properties/log_probabilities/items/items")]


def test_requests_take_no_unknown_field(schemas: dict[str, Any]) -> None:
    """Each object says that it holds nothing else, or what its names are; the service names the parts of health."""
    for name, schema in schemas.items():
        if schema["type"] == "object":
            assert schema["additionalProperties"] is False or named_of(schema["propertyNames"]) in schemas, name


def test_replies_have_no_defaults(schemas: dict[str, Any]) -> None:
    """What a reply holds is there or not; nothing stands in for it."""
    replies = [name for name in schemas if name.endswith(("Reply", "Applied", "Body", "Problem", "Error"))]
    assert [name for name in replies for _, part in parts(schemas[name]) if "default" in part] == []


@pytest.mark.parametrize(
    ("path", "reduction"),
    [("/softmax", None), *((path, each) for path in ("/loss", "/gradient") for each in ("mean", "none", None))],
)
def test_to_send_the_defaults_is_to_leave_them_out(
    document: dict[str, Any], url: str, path: str, reduction: str | None
) -> None:
    """Generated clients send every default that a schema tells of."""
    schemas = document["components"]["schemas"]
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    members = schemas[content["$ref"].rsplit("/", 1)[1]]["properties"]
    defaults = {name: member["default"] for name, member in members.items() if "default" in member}
    given: dict[str, Any] = {"logits": [[1, 2]]}
    if path != "/softmax":
        given |= {"labels": [0]} | ({} if reduction is None else {"reduction": reduction})
    replies = [httpx.post(url + path, json=body) for body in (given, defaults | given)]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].json() == replies[1].json()
    assert defaults.keys() >= {"temperature", "precision"}


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """Each operation has a summary, a description and a description of each response."""
    for _, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert all(response["description"] for response in operation["responses"].values()), path


@pytest.mark.parametrize("name", CALLS)
def test_every_call_lists_its_problems(document: dict[str, Any], name: str) -> None:
    """A call lists each status that it can be refused with."""
    responses = document["paths"][f"/{name}"]["post"]["responses"]
    refused = {"400", "401", "406", "408", "411", "413", "414", "415", "417", "421", "422", "431"}
    refused |= {"500", "503", "504"}
    assert set(responses) == {"200", *refused}


@pytest.mark.parametrize("path", COMPUTING)
def test_every_call_has_named_examples(document: dict[str, Any], path: str) -> None:
    """A call has at least four JSON examples, and each one's answer has the same name under its status."""
    operation = document["paths"][path]["post"]
    asked = operation["requestBody"]["content"][JSON_TYPE]["examples"]
    answered: list[str] = []
    for response in operation["responses"].values():
        for media_type, content in response["content"].items():
            answered += content.get("examples", {}) if media_type != BINARY_TYPE else {}
    assert len(asked) >= 4
    assert sorted(asked) == sorted(answered)
    assert all(example["summary"] for example in asked.values())


@pytest.mark.parametrize("name", CALLS)
def test_every_call_describes_its_binary_bodies(document: dict[str, Any], name: str) -> None:
    """Request and reply are also safetensors files; the other name of the type and a file of each kind are told."""
    operation = document["paths"][f"/{name}"]["post"]
    request = operation["requestBody"]
    for body in (request, operation["responses"]["200"]):
        assert body["content"][BINARY_TYPE] == {"schema": {"type": "string", "format": "binary"}}
    for told in (
        "application/octet-stream",
        *(f"{name}.everyday.{part}.safetensors" for part in ("request", "answer")),
    ):
        assert told in request["description"]


@pytest.mark.parametrize("path", COMPUTING)
def test_examples_keep_their_schemas(document: dict[str, Any], path: str) -> None:
    """Every example request, answer and problem in JSON is valid by the schema that it stands under."""
    operation = document["paths"][path]["post"]
    for _, content in contents(operation):
        schema = content["schema"] | {"components": document["components"]}
        for example in content.get("examples", {}).values():
            OAS31Validator(schema).validate(example["value"])


def test_every_choice_is_explained(schemas: dict[str, Any]) -> None:
    """Each value of each enumeration, slugs too, has a line of its own that says what it means."""
    for name, schema in schemas.items():
        if "enum" in schema:
            lines = re.findall(r"^- `([\w-]+)`: .{4,}$", schema["description"], re.MULTILINE)
            assert lines == schema["enum"], name


@pytest.mark.parametrize("slug", PROBLEM_TYPES)
def test_every_status_of_a_problem_is_documented(document: dict[str, Any], slug: Slug) -> None:
    """Each problem's status stands in the document where a path of the document can answer it."""
    described = {status for _, _, operation in operations(document) for status in operation["responses"]}
    status = str(PROBLEM_TYPES[slug].status.value)
    assert status in described or slug in {"not-found", "method-not-allowed"}


def test_every_slug_is_documented(document: dict[str, Any]) -> None:
    """A reader of the document learns every slug that a call can be refused with, and what it means."""
    text = json.dumps(document, ensure_ascii=False)
    unheard_of = {"not-found", "method-not-allowed"}  # no operation of the document answers these
    assert [slug for slug in PROBLEM_TYPES if slug not in unheard_of and slug not in text] == []


def test_that_repeating_is_safe_is_said(document: dict[str, Any]) -> None:
    """The document says that calls are pure."""
    assert "repeating one is always safe" in document["info"]["description"]


@pytest.mark.parametrize("name", CALLS_AND_CHECK)
def test_every_call_tells_the_limits_in_force(name: str) -> None:
    """A call's description has the limits of the running service as numbers, not the default ones."""
    settings = Settings.model_construct(max_json_body_bytes=1234567, max_elements=7654321)
    description = documented(settings)["paths"][f"/{name}"]["post"]["description"]
    assert all(number in description for number in ("1\u202f234\u202f567", "7\u202f654\u202f321"))


def test_derivatives_tell_the_factor_of_their_row(schemas: dict[str, Any]) -> None:
    """Every derivative of the loss has the factor of its row, and the gradient says what it is by reduction."""
    described = {name: field.get("description", "") for name, field in schemas["GradientReply"]["properties"].items()}
    derivatives = ("gradient", "loss_wrt_probabilities", "hessian_diagonal")
    assert [name for name in derivatives if "row's factor" not in " ".join(described[name].split())] == []
    told = [f"`{reduction}`" for reduction in schemas["Reduction"]["enum"]]
    assert [word for word in (*told, "`upstream`", "sample weight") if word not in described["gradient"]] == []


def test_no_formula_holds_underscores(document: dict[str, Any]) -> None:
    """Outside of code no description has an underscore: some pages take two of them for emphasis."""
    described = {place: part["description"] for place, part in parts(document) if "description" in part}
    texts = {place: re.sub(r"```.*?```|`[^`]*`", "", str(text), flags=re.DOTALL) for place, text in described.items()}
    assert [place for place, text in texts.items() if "_" in text] == []
