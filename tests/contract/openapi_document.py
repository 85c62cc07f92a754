"""The OpenAPI document as the application says it, and ways through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gradient_service.app import create_app
from gradient_service.settings import Settings


def documented(settings: Settings | None = None) -> dict[str, Any]:
    """The document of an application, with the default settings unless others are given."""
    content: dict[str, Any] = json.loads(json.dumps(create_app(settings or Settings.model_construct()).openapi()))
    return content


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Media type and content of every body of an operation."""
    if "requestBody" in operation:
        yield from operation["requestBody"]["content"].items()
    for response in operation["responses"].values():
        yield from response["content"].items()


def parts(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object within a schema with its place."""
    if isinstance(schema, dict):
        yield place, schema
        for name, part in schema.items():
            yield from parts(part, f"{place}/{name}")
    elif isinstance(schema, list):
        for position, part in enumerate(schema):
            yield from parts(part, f"{place}/{position}")
