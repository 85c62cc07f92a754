"""The first check of all: what a request must be as an HTTP message."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gradient_service.app import create_app
from gradient_service.http.message_rules import is_loopback
from gradient_service.settings import Settings

from .conftest import check_problem, client_of

pytestmark = pytest.mark.anyio
BODY = b'{"logits": [[1, 2]]}'
JSON = [("content-type", "application/json")]


async def answer(headers: list[tuple[str, str]], path: str = "/softmax", **chosen: Any) -> httpx.Response:
    """The reply to a small body under header fields, sent as they are."""
    async with client_of(create_app(Settings.model_construct(**chosen))) as http:
        request = http.build_request("POST", path, content=BODY)
        request.headers = httpx.Headers([*headers, ("content-length", str(len(BODY)))])
        return await http.send(request)


@pytest.mark.parametrize("host", ["a.example", "a.example:8000", "127.0.0.1", "[::1]:80", "a", "xn--a_b.example:"])
async def test_any_wellformed_host_is_served_by_default(host: str) -> None:
    """Without a loopback address to listen on, every name is accepted."""
    assert (await answer([("host", host), *JSON])).status_code == 200


@pytest.mark.parametrize(
    "host", ["", " ", "a b", "a/b", "a@b", "[::1", "a:b", "a:123456", "a:65536", "[a]", "[::::]", "[127.0.0.1]", "%zz"]
)
async def test_a_malformed_host_is_refused(host: str) -> None:
    """What is no name or address, and no port, is 400."""
    reply = await answer([("host", host), *JSON])
    check_problem(reply, 400, "malformed-http")


@pytest.mark.parametrize("hosts", [[], ["a", "a"]])
async def test_one_host_is_needed(hosts: list[str]) -> None:
    """None and two Host fields are 400."""
    check_problem(await answer([*[("host", host) for host in hosts], *JSON]), 400, "malformed-http")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST.:8000", 200),
        ("a.localhost", 200),
        (".localhost", 421),
        ("localhost..", 421),
        ("127.8.0.1:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("192.168.0.1", 421),
        ("127.0.0.1.nip.io", 421),
        ("[::2]", 421),
    ],
)
async def test_a_loopback_service_answers_to_loopback_names(host: str, status: int) -> None:
    """A service that listens on a loopback address is not reached through another site's name."""
    reply = await answer([("host", host), *JSON], host="127.0.0.1")
    assert reply.status_code == status
    if status == 421:
        check_problem(reply, 421, "misdirected-request")


@pytest.mark.parametrize(
    ("headers", "status", "slug"),
    [
        ([("x", "a")] * 97, 200, ""),
        ([("x", "a")] * 98, 431, "headers-too-large"),
        ([("x", "a" * 40_000)], 431, "headers-too-large"),
        ([("expect", "100-continue")], 200, ""),
        ([("expect", "200-ok")], 417, "expectation-failed"),
        ([("expect", "100-continue"), ("expect", "200-ok")], 417, "expectation-failed"),
        ([("transfer-encoding", "gzip, chunked")], 400, "malformed-http"),
    ],
)
async def test_header_fields_are_bounded(headers: list[tuple[str, str]], status: int, slug: str) -> None:
    """A message of up to 100 fields and 32 KiB is read; more, and expectations that nobody meets, are refused."""
    reply = await answer([("host", "a"), *JSON, *headers])
    assert reply.status_code == status
    if slug:
        check_problem(reply, status, slug)


async def test_a_long_target_is_refused_before_it_is_looked_up() -> None:
    """A path of more than 32 KiB is 414, whether or not anything could be there."""
    check_problem(await answer([("host", "a")], "/" + "a" * 40_000), 414, "uri-too-long")


@pytest.mark.parametrize(
    ("headers", "closes"),
    [
        ([("content-type", "text/plain")], False),
        ([("content-type", "text/plain"), ("expect", "100-continue")], True),
        ([("content-type", "text/plain"), ("transfer-encoding", "chunked")], True),
    ],
)
async def test_a_connection_whose_body_may_be_long_is_closed(headers: list[tuple[str, str]], *, closes: bool) -> None:
    """An answer before the body was read is the last of its connection, but where little is left to be read."""
    reply = await answer([("host", "a"), *headers])
    assert reply.status_code == 415
    assert (reply.headers.get("connection") == "close") == closes


@pytest.mark.parametrize(("name", "expected"), [("localhost", True), ("::1", True), ("192.0.2.1", False), ("", False)])
def test_loopback_names_are_told(name: str, *, expected: bool) -> None:
    """Only names and addresses of the machine itself are loopback."""
    assert is_loopback(name) is expected
