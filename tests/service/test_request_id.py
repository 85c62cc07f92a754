"""Every request has an id: the caller's if it is usable, else one made here."""

from __future__ import annotations

import httpx
import pytest

from .conftest import check_problem, post

pytestmark = pytest.mark.anyio

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize("request_id", ["a", "00-4bf92f3577b34da6a3ce929d0e0e4736", "x" * 128, VISIBLE])
async def test_a_usable_id_comes_back(http: httpx.AsyncClient, request_id: str) -> None:
    """1 to 128 visible ASCII characters are echoed."""
    reply = await http.get("/livez", headers={"X-Request-ID": request_id})
    assert reply.headers.get_list("x-request-id") == [request_id]


@pytest.mark.parametrize("request_id", ["", "x" * 129, "two words", "tab\there", "é", "\x7f", "x" * 100_000, "a\x00b"])
async def test_an_unusable_id_is_replaced(http: httpx.AsyncClient, request_id: str) -> None:
    """Anything else is replaced by an id made here."""
    headers = httpx.Headers({"X-Request-ID": request_id}, encoding="utf-8")
    reply = await http.get("/livez", headers=headers)
    made = reply.headers["x-request-id"]
    assert made != request_id
    assert len(made) == 32


async def test_ids_made_here_differ(http: httpx.AsyncClient) -> None:
    """No two requests get the same id."""
    ids = {(await http.get("/livez")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/"), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/nope"), ("DELETE", "/softmax"),
    ("GET", "/assets/pages.css"),
])  # fmt: skip
async def test_every_reply_has_the_id(http: httpx.AsyncClient, method: str, path: str) -> None:
    """Pages, assets, the document and refusals by the framework carry the id as well."""
    reply = await http.request(method, path, headers={"X-Request-ID": "mine"})
    assert reply.headers["x-request-id"] == "mine"


async def test_a_calls_reply_has_the_id(http: httpx.AsyncClient) -> None:
    """A computed reply carries the id."""
    reply = await post(http, "/softmax", {"logits": [[0]]}, X_Request_ID="mine")
    assert (reply.status_code, reply.headers["x-request-id"]) == (200, "mine")


async def test_a_problem_has_the_id(http: httpx.AsyncClient) -> None:
    """A problem names the id in its body, the same as in the header."""
    reply = await post(http, "/softmax", {}, X_Request_ID="mine")
    assert check_problem(reply, 422, "missing-field", "/logits")["request_id"] == "mine"
