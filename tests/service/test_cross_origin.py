"""Web pages of other origins: let in where the operator listed them, and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from gradient_service.app import create_app
from gradient_service.settings import Settings
from gradient_service.wire import json_body

from .conftest import check_problem, client_of, post

pytestmark = pytest.mark.anyio
PAGE = "https://page.example"
SETTINGS = Settings.model_construct(
    cors_origins=(PAGE, "http://localhost:3000"), api_keys=SecretStr("key"), max_json_body_bytes=1000
)
KEY = {"Authorization": "Bearer key"}
CALL = {"logits": [[1, 2]]}
QUESTION = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-request-deadline-ms,x-request-id,traceparent",
}


@pytest.fixture
async def listed() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with keys, which lists two origins."""
    async with client_of(create_app(SETTINGS)) as client:
        yield client


def cross_origin_fields(reply: httpx.Response) -> set[str]:
    """The header fields of a reply that let pages of other origins read it."""
    return {name for name in reply.headers if name.startswith("access-control-")}


async def test_no_origin_is_let_in_by_default(http: httpx.AsyncClient) -> None:
    """Without a list no reply has a field that lets a page read it, and a preflight is a wrong method."""
    assert cross_origin_fields(await post(http, "/softmax", CALL, Origin=PAGE)) == set()
    asked = await http.options("/softmax", headers={"Origin": PAGE, **QUESTION})
    check_problem(asked, 405, "method-not-allowed")
    assert cross_origin_fields(asked) == set()


@pytest.mark.parametrize("origin", SETTINGS.cors_origins)
async def test_a_listed_origin_may_call(listed: httpx.AsyncClient, origin: str) -> None:
    """The reply names the page's origin, and says to caches that it depends on it."""
    reply = await post(listed, "/softmax", CALL, Origin=origin, **KEY)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == origin
    assert {"Accept", "Origin"} <= set(reply.headers["vary"].split(", "))


@pytest.mark.parametrize(
    "origin", ["https://other.example", "http://page.example", f"{PAGE}:8443", f"{PAGE}.evil.example", "null", ""]
)
async def test_no_other_origin_is_let_in(listed: httpx.AsyncClient, origin: str) -> None:
    """An origin is one of the list to the letter; a browser keeps the reply from any other page."""
    assert "access-control-allow-origin" not in (await post(listed, "/softmax", CALL, Origin=origin, **KEY)).headers
    asked = await listed.options("/softmax", headers={"Origin": origin, **QUESTION})
    assert asked.status_code == 204
    assert "access-control-allow-origin" not in asked.headers


async def test_a_preflight_needs_no_key(listed: httpx.AsyncClient) -> None:
    """A browser asks without a key what it may send, is told, and gets an id like everybody."""
    reply = await listed.options("/softmax", headers={"Origin": PAGE, **QUESTION})
    assert (reply.status_code, reply.content) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "POST" in reply.headers["access-control-allow-methods"].split(", ")
    allowed = reply.headers["access-control-allow-headers"].lower().split(", ")
    assert set(QUESTION["Access-Control-Request-Headers"].split(",")) <= set(allowed)
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize("name", ["Access-Control-Request-Method", "Access-Control-Request-Headers"])
async def test_a_preflight_allows_no_more_than_is_listed(listed: httpx.AsyncClient, name: str) -> None:
    """A method or a field that no endpoint knows is not among those that are allowed."""
    reply = await listed.options("/softmax", headers={"Origin": PAGE, **QUESTION, name: "X-UNKNOWN"})
    assert reply.status_code == 204
    assert "x-unknown" not in str(reply.headers.items()).lower()


@pytest.mark.parametrize(
    ("status", "slug", "path", "body", "headers"),
    [
        (401, "unauthenticated", "/softmax", CALL, {}),
        (404, "not-found", "/none", CALL, KEY),
        (405, "method-not-allowed", "/limits", CALL, KEY),
        (413, "body-too-large", "/softmax", b" " * 2000, KEY),
        (415, "unsupported-media-type", "/softmax", CALL, KEY | {"Content_Type": "text/plain"}),
        (503, "shutting-down", "/v2/health/ready", None, {}),
    ],
)
async def test_pages_can_read_problems(  # noqa: PLR0917 - the columns of a table
    listed: httpx.AsyncClient, status: int, slug: str, path: str, body: object, headers: dict[str, str]
) -> None:
    """A refusal lets the page read it as a reply does, whatever layer it comes from."""
    if body is None:
        reply = await listed.get(path, headers={"Origin": PAGE})
    else:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await post(listed, path, body, Origin=PAGE, **named)
    check_problem(reply, status, slug)
    assert reply.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("status", "slug", "headers"),
    [
        (400, "malformed-http", {"Host": "a b"}),
        (417, "expectation-failed", {"Expect": "x"}),
        (431, "headers-too-large", {"X": "x" * 40_000}),
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
async def test_pages_can_read_refusals_of_messages(
    listed: httpx.AsyncClient, method: str, status: int, slug: str, headers: dict[str, str]
) -> None:
    """So does a message that breaks the rules of all, a browser's question among them; such had no field for pages."""
    reply = await listed.request(method, "/softmax", headers={"Origin": PAGE, **QUESTION, **headers})
    check_problem(reply, status, slug)
    assert (reply.headers["access-control-allow-origin"], reply.headers["vary"]) == (PAGE, "Origin")


async def test_pages_can_read_faults(listed: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of our own is no exception: the page reads a 500."""
    monkeypatch.setattr(json_body, "dump_in_parts", lambda *_: 1 / 0)
    reply = await post(listed, "/softmax", CALL, Origin=PAGE, **KEY)
    check_problem(reply, 500, "internal-error")
    assert reply.headers["access-control-allow-origin"] == PAGE


async def test_pages_can_read_what_replies_say_of_themselves(listed: httpx.AsyncClient) -> None:
    """The id, the timing and when to come again are open to scripts."""
    reply = await post(listed, "/softmax", CALL, Origin=PAGE, **KEY)
    exposed = set(reply.headers["access-control-expose-headers"].split(", "))
    assert {"X-Request-ID", "Server-Timing", "Retry-After"} <= exposed


@pytest.mark.parametrize("origins", [(PAGE,), ("*",)])
async def test_credentials_are_never_asked_for(origins: tuple[str, ...]) -> None:
    """No reply lets a browser send what it keeps, such as cookies, least of all with the wildcard."""
    async with client_of(create_app(Settings.model_construct(cors_origins=origins))) as client:
        reply = await post(client, "/softmax", CALL, Origin=PAGE, Cookie="a=b")
        asked = await client.options("/softmax", headers={"Origin": PAGE, **QUESTION})
    for answer in (reply, asked):
        assert answer.headers["access-control-allow-origin"] == ("*" if origins == ("*",) else PAGE)
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ()),
        (",", ()),
        ("*", ("*",)),
        ("https://a.example", ("https://a.example",)),
        ("https://a.example, http://[::1]:3000", ("https://a.example", "http://[::1]:3000")),
        ("app-scheme://localhost", ("app-scheme://localhost",)),
    ],
)
def test_origins_are_listed_with_commas(value: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable holds any number of origins."""
    monkeypatch.setenv("GRADIENT_CORS_ORIGINS", value)
    assert Settings().cors_origins == expected


@pytest.mark.parametrize(
    "value",
    [
        "a.example",
        "https://a.example/",
        "https://A.example",
        "https://a.example:443",
        "http://a.example:80",
        "https://*.example",
        "https://a.example https://b.example",
        "null",
        "https://",
        "https://a.example,b.example",
    ],
)
def test_what_no_browser_sends_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An origin that would never be met ends the start, not the first call of a page."""
    monkeypatch.setenv("GRADIENT_CORS_ORIGINS", value)
    with pytest.raises(ValidationError, match="cors_origins"):
        Settings()
