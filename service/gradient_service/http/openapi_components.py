"""What the OpenAPI document says once and refers to by name: schemas, header fields, parameters, and who may call."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from gradient_service.core.options import Choice
from gradient_service.http import patience
from gradient_service.http.open_inference.exchange import JSON_BYTES

SCHEMA = "#/components/schemas/{model}"
SECURITY_SCHEMES = {"key": {"type": "http", "scheme": "bearer", "description": "Where the operator gave out keys."}}

Described = dict[str, Any]


def _told(description: str, schema: Described, *, is_certain: bool = True) -> Described:
    """Return what there is to say of a field of replies, and whether each reply that can have it has it."""
    return {"description": description, "required": is_certain, "schema": schema}


def _asked(name: str, place: str, description: str, schema: Described) -> Described:
    """Return what there is to say of a parameter, which may be left out."""
    return {"name": name, "in": place, "description": description, "schema": schema}


TEXT: Described = {"type": "string"}
"""Of fields that are never refused, too: what is malformed in them counts as left out."""
PARAMETERS = {
    asked["name"]: asked
    for asked in (
        _asked(
            "X-Request-ID",
            "header",
            "An id for the request, 1 to 128 visible ASCII characters; without one the service makes it.",
            TEXT,
        ),
        _asked(
            "traceparent",
            "header",
            "The caller's trace and span, by W3C Trace Context: the request becomes part of that trace.",
            TEXT,
        ),
        _asked("tracestate", "header", "What other systems say of that trace; it is passed on.", TEXT),
        _asked(
            patience.HEADER,
            "header",
            "Milliseconds after which the answer is of no use: waiting counts, and past it the work ends.",
            {"type": "integer", "minimum": 1},
        ),
        _asked(
            JSON_BYTES,
            "header",
            "Bytes of the JSON part, behind which the tensors stand; without it the whole body is JSON.",
            {"type": "integer", "format": "int64", "minimum": 0},
        ),
        _asked("verbose", "query", "Lists the parts, whatever its value.", TEXT) | {"allowEmptyValue": True},
    )
}
OF_EVERY_REQUEST = ("X-Request-ID", "traceparent", "tracestate")
HEADERS = {
    "X-Request-ID": _told(
        "The id of the request, the caller's if it sent one; problems and the log name it, too.",
        TEXT | {"minLength": 1, "maxLength": 128},
    ),
    "WWW-Authenticate": _told("How to send a key: `Bearer` and the realm.", TEXT),
    "Retry-After": _told("Seconds after which to ask again.", {"type": "integer", "minimum": 0}),
    "Server-Timing": _told("Milliseconds of each stage, as `dur`: `read`, `parse`, `compute`, `encode`.", TEXT),
    "Vary": _told("The fields of the request by which the form of the reply was chosen.", TEXT),
    JSON_BYTES: _told(
        "Bytes of the JSON part, where tensors stand behind it.",
        {"type": "integer", "format": "int64", "minimum": 0},
        is_certain=False,
    ),
    "Content-Encoding": _told("The coding of the reply, where it has one.", TEXT, is_certain=False),
    "Accept": _told("The media types that could be read, or written.", TEXT, is_certain=False),
    "Accept-Encoding": _told("The content codings that could be read, or written.", TEXT, is_certain=False),
}
"""Fields of replies."""
OF_EVERY_REPLY = ("X-Request-ID",)
OF_STATUS = {
    "401": ("WWW-Authenticate",),
    "406": ("Accept", "Accept-Encoding", "Vary"),
    "415": ("Accept", "Accept-Encoding"),
    "503": ("Retry-After",),
}


class SchemaGenerator(GenerateJsonSchema):
    """Schemas without `default: null` (such a field may be left out, not sent as null) and without echoing titles."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Leave out a default that means absence."""
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave out titles that only repeat the field's name."""
        return False


def components(models: Iterable[type[BaseModel]]) -> Described:
    """Return everything that is referred to, given the models of all bodies."""
    return {
        "schemas": _schemas(models),
        "parameters": PARAMETERS,
        "headers": HEADERS,
        "securitySchemes": SECURITY_SCHEMES,
    }


def schema_of(model: type[BaseModel | Choice]) -> Described:
    """Return a reference to the schema of a model, or of an enumeration."""
    return {"$ref": SCHEMA.format(model=model.__name__)}


def parameters(*names: str) -> list[Described]:
    """Return references to parameters, by their names."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def in_path(name: str, model: type[BaseModel | Choice]) -> Described:
    """Return a parameter that stands in braces in the path."""
    return {"name": name, "in": "path", "required": True, "schema": schema_of(model)}


def headers(*names: str) -> Described:
    """Return references to fields of replies, by their names."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def headers_of_status(status: str) -> Described:
    """Return references to the fields that every reply of a status can have."""
    return headers(*OF_EVERY_REPLY, *OF_STATUS.get(status, ()))


def _schemas(models: Iterable[type[BaseModel]]) -> Described:
    """Return the schemas of models and of everything they refer to, by name."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=SCHEMA,
        schema_generator=SchemaGenerator,
    )
    return dict(sorted(definitions["$defs"].items()))
