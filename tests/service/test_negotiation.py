"""Which media types are read and written, and what else is refused by its headers."""

from __future__ import annotations

import gzip

import httpx
import pytest

from .conftest import JSON, check_problem, post

pytestmark = pytest.mark.anyio

BODY = b'{"logits": [[0, 0]]}'
MEDIA_TYPES = "application/json, application/x-safetensors, application/octet-stream"


@pytest.mark.parametrize("content_type", [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json; charset=utf8",
    'application/json; charset="utf-8"',
    "application/json; CHARSET=utf-8",
    "Application/JSON",
    "APPLICATION/JSON ; charset=utf-8",
    "  application/json  ",
    "application/json; version=1",
    "application/json;",
])  # fmt: skip
async def test_json_is_read(http: httpx.AsyncClient, content_type: str) -> None:
    """JSON is read under each spelling of its media type."""
    reply = await http.post("/softmax", content=BODY, headers={"Content-Type": content_type})
    assert reply.status_code == 200


@pytest.mark.parametrize("content_type", [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/jsonp",
    "application/json5",
    "application/problem+json",
    "application/vnd.api+json",
    "application/*",
    "*/*",
    "json",
    "",
    ";",
    "text/plain; application/json",
    "application/json, text/plain",
    "application/json; charset=latin-1",
    "application/json; charset=utf-16",
    "application/json; charset=",
    "application/json\u00ff",
])  # fmt: skip
async def test_other_types_are_not_read(http: httpx.AsyncClient, content_type: str) -> None:
    """Another media type or charset is 415, and the reply says what is read."""
    headers = httpx.Headers({"Content-Type": content_type}, encoding="latin-1")
    reply = await http.post("/softmax", content=BODY, headers=headers)
    check_problem(reply, 415, "unsupported-media-type")
    assert reply.headers["accept"] == MEDIA_TYPES


@pytest.mark.parametrize("path", ["/softmax", "/loss", "/gradient"])
async def test_a_body_without_a_type_is_not_read(http: httpx.AsyncClient, path: str) -> None:
    """A body that does not say what it is is 415."""
    reply = await http.post(path, content=BODY)
    check_problem(reply, 415, "unsupported-media-type")
    assert reply.headers["accept"] == MEDIA_TYPES


async def test_two_types_are_not_read(http: httpx.AsyncClient) -> None:
    """A body that says twice what it is is 415, even if it says the same."""
    reply = await http.post("/softmax", content=BODY, headers=[*JSON.items(), *JSON.items()])
    check_problem(reply, 415, "unsupported-media-type")


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x", "gzip, gzip"])
async def test_coded_bodies_are_not_read(http: httpx.AsyncClient, coding: str) -> None:
    """A content coding is 415, and the reply says that none is read."""
    reply = await post(http, "/softmax", gzip.compress(BODY), Content_Encoding=coding)
    check_problem(reply, 415, "unsupported-content-encoding")
    assert reply.headers["accept-encoding"] == "identity"


async def test_a_coding_is_refused_on_a_plain_body(http: httpx.AsyncClient) -> None:
    """The header decides, not the bytes."""
    check_problem(await post(http, "/loss", BODY, Content_Encoding="gzip"), 415, "unsupported-content-encoding")


async def test_identity_is_no_coding(http: httpx.AsyncClient) -> None:
    """The coding that says that there is none is taken."""
    assert (await post(http, "/softmax", BODY, Content_Encoding="identity")).status_code == 200


@pytest.mark.parametrize("accept", [
    "*/*",
    "application/json",
    "Application/JSON",
    "application/*",
    "application/json; charset=utf-8",
    "text/html, application/json;q=0.1",
    "text/html, */*;q=0.001",
    "*/*;q=0, application/json",
    "application/*;q=0, application/json;q=0.5",
    "application/json;q=1.000",
    "application/json ; q=0.5",
    "application/json;Q=0.5",
    "text/html,,application/json",
    "",
    ", ,",
])  # fmt: skip
async def test_json_is_written(http: httpx.AsyncClient, accept: str) -> None:
    """JSON is written where some range of Accept covers it with a weight above 0."""
    reply = await post(http, "/softmax", BODY, Accept=accept)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("accept", [
    "text/html",
    "text/*",
    "application/xml, text/plain;q=0.5",
    "application/json;q=0",
    "application/*;q=0, */*",
    "*/*;q=0",
    "application/json;q=0.000",
    "application/jsonp",
    "json",
])  # fmt: skip
async def test_nothing_else_is_written(http: httpx.AsyncClient, accept: str) -> None:
    """Where no range covers JSON the reply is 406, a problem all the same, and says what is written."""
    reply = await post(http, "/softmax", BODY, Accept=accept)
    check_problem(reply, 406, "not-acceptable")
    assert reply.headers["accept"] == MEDIA_TYPES


@pytest.mark.parametrize("quality", ["x", "2", "nan", "-1", ""])
async def test_a_senseless_quality_is_passed_over(http: httpx.AsyncClient, quality: str) -> None:
    """The range counts as if it had none."""
    reply = await post(http, "/softmax", BODY, Accept=f"application/json;q={quality}")
    assert reply.status_code == 200


@pytest.mark.parametrize("accept", [";;;", "/", '"', "a" * 10_000, ";q=1," * 1000])
async def test_malformed_ranges_cover_nothing(http: httpx.AsyncClient, accept: str) -> None:
    """What is no range is refused, never a fault."""
    check_problem(await post(http, "/softmax", BODY, Accept=accept), 406, "not-acceptable")


async def test_several_accept_lines_are_one(http: httpx.AsyncClient) -> None:
    """Accept given on two lines means both."""
    headers = [*JSON.items(), ("Accept", "text/html"), ("Accept", "application/json;q=0.5")]
    reply = await http.post("/softmax", content=BODY, headers=headers)
    assert reply.status_code == 200


async def test_replies_vary_by_accept(http: httpx.AsyncClient) -> None:
    """Caches are told that the reply depends on Accept."""
    assert (await post(http, "/softmax", BODY)).headers["vary"] == "Accept"


async def test_replies_tell_their_stages(http: httpx.AsyncClient) -> None:
    """Server-Timing gives read, parse, compute and encode in milliseconds."""
    stages = [part.split(";dur=") for part in (await post(http, "/softmax", BODY)).headers["server-timing"].split(", ")]
    assert [name for name, _ in stages] == ["read", "parse", "compute", "encode"]
    assert all(float(milliseconds) >= 0 for _, milliseconds in stages)


async def test_the_type_is_checked_before_the_bytes(http: httpx.AsyncClient) -> None:
    """Malformed bytes of a type that is not read are 415."""
    reply = await http.post("/softmax", content=b"{", headers={"Content-Type": "text/plain"})
    check_problem(reply, 415, "unsupported-media-type")


async def test_what_is_read_is_checked_before_what_is_written(http: httpx.AsyncClient) -> None:
    """A body that cannot be read for a reply that cannot be written is 415."""
    reply = await http.post("/softmax", content=b"{", headers={"Content-Type": "text/plain", "Accept": "text/html"})
    check_problem(reply, 415, "unsupported-media-type")


@pytest.mark.parametrize("header", ["Content-Type", "Accept"])
@pytest.mark.parametrize("parameter", [
    "charset*=UTF-8''utf-8", "charset*='", "charset*0*=x", "q*=UTF-8''1", f"q*{'9' * 5000}=1", "q=", "=", "=;=", 'q="',
])  # fmt: skip
async def test_odd_parameters_are_passed_over(http: httpx.AsyncClient, header: str, parameter: str) -> None:
    """A parameter in no form that counts here makes no difference."""
    headers = JSON | {header: f"application/json; {parameter}"}
    assert (await http.post("/softmax", content=BODY, headers=headers)).status_code == 200
