"""The JSON part of an inference request: how long it may say to be, and where it is decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from gradient_service.wire.apart import ForkServer

from .conftest import check_problem
from .wire.open_inference_bodies import JSON_BYTES

pytestmark = pytest.mark.anyio

INFER = "/v2/models/softmax/infer"


@pytest.mark.parametrize(
    ("length", "content", "slug"),
    [
        ("0", b"x" * 20_000, "empty-body"),
        ("16384", b"[" * 16_384 + bytes(500_000), "nesting-too-deep"),
        ("2000000", b"{}", "malformed-http"),
    ],
)
async def test_what_the_event_loop_decodes_needs_no_process(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, length: str, content: bytes, slug: str
) -> None:
    """A body that is short, or of a short JSON part, is refused where it is, whatever length it says, none included.

    A length of 0 had the whole body taken for the JSON part, and one beyond a body in chunks counted as it was said:
    both waited for a fork on the event loop.
    """

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    monkeypatch.setattr(ForkServer, "fork", pytest.fail)
    reply = await http.post(INFER, content=chunks(), headers={JSON_BYTES: length})
    check_problem(reply, 400, slug)
