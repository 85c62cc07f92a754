"""The JSON part of an inference request: how long it may say to be, and where it is decoded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection

import httpx
import pytest

from gradient_service.wire.apart import APART_BYTES, ForkServer
from gradient_service.wire.tensor_codec import Buffer

from .conftest import check_problem
from .wire.open_inference_bodies import JSON_BYTES, in_binary

pytestmark = pytest.mark.anyio

INFER = "/v2/models/softmax/infer"
TENSORS = [("logits", [[1, 2], [3, 4]] * 5000, "float32"), ("labels", [0, 1] * 5000, "int64")]


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


@pytest.mark.parametrize("length", [20_000, APART_BYTES + 10])
@pytest.mark.parametrize(("fault", "status"), [("", 200), (', "parameters": {"reduction": "avg"}', 422)])
async def test_a_long_text_alone_goes_to_a_process(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, length: int, fault: str, status: int
) -> None:
    """Of a body with tensors no more than the JSON part is sent to a process; all of it was, and came back."""
    sent = []
    send = Connection.send_bytes

    def noted(connection: Connection, body: Buffer) -> None:
        sent.append(len(body))
        send(connection, body)

    monkeypatch.setattr(Connection, "send_bytes", noted)
    entries = [in_binary(name, array, dtype) for name, array, dtype in TENSORS]
    text = json.dumps({"inputs": [entry for entry, _ in entries]})[:-1] + fault + "}"
    body = text.ljust(length).encode() + b"".join(data for _, data in entries)
    reply = await http.post("/v2/models/loss/infer", content=body, headers={JSON_BYTES: str(length)})
    assert reply.status_code == status
    assert set(sent) <= {length}
    assert bool(sent) is (status != 200 or length > APART_BYTES)
