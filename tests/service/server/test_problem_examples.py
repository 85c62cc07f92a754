"""The examples on the pages of problem types: each is sent as it stands, byte for byte, and answered as it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI

from gradient_service.app import create_app
from gradient_service.http.example_files import examples
from gradient_service.http.problem_types import PROBLEM_TYPES
from gradient_service.schemas.problem import Slug
from gradient_service.server import receipt
from gradient_service.settings import Settings
from gradient_service.wire import json_body

from .conftest import Talk

pytestmark = pytest.mark.anyio


@pytest.fixture(params=Slug)
def slug(request: pytest.FixtureRequest) -> Slug:
    """Each problem type, one after the other."""
    return Slug(request.param)


@pytest.fixture
def app(slug: Slug, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """An application with the settings of an example, and in the state that it tells of."""
    for name, value in examples("problems")[slug].get("settings", {}).items():
        monkeypatch.setenv(name, value)
    if slug is Slug.INTERNAL_ERROR:
        monkeypatch.setattr(json_body, "dump_in_parts", fail)
    if slug is Slug.REQUEST_TIMEOUT:
        monkeypatch.setattr(receipt, "HEAD_SECONDS", 0.1)
        monkeypatch.setattr(receipt, "BODY_SECONDS", 0.1)
    app = create_app(Settings())
    app.state.lifecycle.is_started = slug is not Slug.SHUTTING_DOWN
    return app


def fail(*_: object) -> list[bytes]:
    """Stand for a part of the service that is broken."""
    raise ZeroDivisionError


def message(example: dict[str, Any]) -> bytes:
    """The bytes of a request; in a body each character is a byte."""
    text = "\r\n".join([*example["request"], "", example["body"]])
    return text.encode("latin-1")


async def test_the_example_is_answered_as_it_says(slug: Slug, talk: Talk) -> None:
    """A service with the settings of an example answers its bytes by its status, its header fields, its problem."""
    example, known = examples("problems")[slug], PROBLEM_TYPES[slug].status
    await talk.send(message(example))
    head, content = await talk.answer()
    status, *fields = head.decode().split("\r\n")
    problem = json.loads(content)
    assert status == f"HTTP/1.1 {known.value} {known.phrase}".lower()
    assert {field.lower() for field in example["reply"]} <= set(fields)
    assert problem | {"request_id": "example"} == example["problem"]
    assert problem["type"] == f"/problems/{slug}"


def test_what_an_example_says_of_the_clock_is_so() -> None:
    """The time that the example of a slow body names is the time that a body has."""
    assert examples("problems")[Slug.REQUEST_TIMEOUT]["note"] == f"then nothing for {receipt.BODY_SECONDS:.0f} seconds"
    assert f"within {receipt.HEAD_SECONDS:.0f} seconds" in PROBLEM_TYPES[Slug.REQUEST_TIMEOUT].why
