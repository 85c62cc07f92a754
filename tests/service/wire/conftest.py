"""Both JSON readers, so that each test of decoding runs on the one that Python here would not choose as well."""

from __future__ import annotations

from typing import TypeVar

import pytest

from gradient_service.schemas.fields import Body
from gradient_service.wire import json_body, json_values

Model = TypeVar("Model", bound=Body)


@pytest.fixture(params=["simdjson", "orjson"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the parser that reads in this test."""
    name: str = request.param
    if name == "simdjson" and json_values.simdjson is None:
        pytest.skip("simdjson has no wheel for this Python")
    if name == "orjson":
        monkeypatch.setattr(json_values, "simdjson", None)
        monkeypatch.setattr(json_values, "OBJECT_TYPES", (dict,))
        monkeypatch.setattr(json_values, "ARRAY_TYPES", (list,))
    return name


def decode(body: bytes, model: type[Model]) -> Model:
    """The request that a body holds."""
    return json_body.decode(body, model, max_nesting=8).request
