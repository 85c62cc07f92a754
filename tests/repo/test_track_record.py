"""The track record says what is so: each of its commands is answered as it says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

from gradient_service.app import create_app
from gradient_service.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "track-record.md"
TEXT = PAGE.read_text(encoding="utf-8")
ENTRIES = re.findall(r"```sh\n(.+)\n```\n\n```json\n(.+)\n```", TEXT)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the service runs on."""
    return "asyncio"


def holds(answer: Any, expected: Any) -> bool:
    """Whether an answer has all members of what is expected, with their values."""
    if isinstance(expected, dict):
        return all(name in answer and holds(answer[name], value) for name, value in expected.items())
    return bool(answer == expected)


def test_every_command_has_an_entry() -> None:
    """No command of the page is passed over."""
    assert len(ENTRIES) == TEXT.count("```sh") > 0


@pytest.mark.anyio
@pytest.mark.parametrize(("command", "answer"), ENTRIES)
async def test_what_was_wrong_is_right(command: str, answer: str) -> None:
    """The command is answered as the page says."""
    _, url, _, header, _, body = shlex.split(command)
    name, _, value = header.partition(": ")
    transport = httpx.ASGITransport(create_app(Settings.model_construct()))
    async with httpx.AsyncClient(transport=transport) as client:
        reply = await client.post(url, content=body, headers={name: value})
    assert holds(reply.json(), json.loads(answer))
