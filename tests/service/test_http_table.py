"""HTTP around a call, as tables: codings, charsets, paths and methods, each with its answer."""

from __future__ import annotations

import gzip
import json
import zlib

import httpx
import pytest

from .conftest import check_problem
from .wire.open_inference_bodies import JSON_BYTES, in_json

pytestmark = pytest.mark.anyio

BODY = b'{"logits": [[1, 2]]}'
INFERENCE = json.dumps({"inputs": [in_json("logits", [[1, 2]])]}).encode()
INFER = "/v2/models/softmax/infer"
BOMB = b'{"inputs": []}' + b" " * (20 * 1024 * 1024)
UNMATCHED = (404, "not-found")
MEDIA, CODING = (415, "unsupported-media-type"), (415, "unsupported-content-encoding")
MALFORMED, REFUSED = (400, "malformed-http"), (406, "not-acceptable")
ANSWERED = (200, "")

NATIVE: list[tuple[dict[str, str], tuple[int, str]]] = [
    *(({"Content-Type": f"application/json{rest}"}, ANSWERED) for rest in (
        "", ";", "; charset=utf-8", ";charset=UTF-8", '; charset="utf-8"', ";charset=utf8", "; x=y", "; boundary=x")),
    *(({"Content-Type": f"application/json{rest}"}, MEDIA) for rest in (
        "; charset=utf-16", ";charset=latin-1", "; charset=", "; charset='utf-8'", ";charset=utf-8;charset=ascii",
        ", application/json", "x", "/json", "\u00ff")),
    *(({"Content-Type": media_type}, MEDIA) for media_type in (
        "", " ", "json", "text/json", "application/vnd.api+json", "application/problem+json", "*/*",
        "application/x-www-form-urlencoded", "multipart/form-data", "application/json+safetensors")),
    *(({"Content-Encoding": coding}, CODING) for coding in ("gzip", "br", "deflate", "zstd", "gzip, identity", "x")),
    *(({"Content-Encoding": coding}, ANSWERED) for coding in ("identity", "Identity", "", "identity, identity")),
    *(({"Accept-Encoding": coding}, REFUSED) for coding in (
        "identity;q=0", "*;q=0", "gzip, identity;q=0", "gzip;q=1, *;q=0", "identity;q=0.000, br")),
    *(({"Accept-Encoding": coding}, ANSWERED) for coding in (
        "", "gzip", "gzip;q=0", "gzip, deflate, br, zstd", "*", "*;q=0, identity", "identity;q=0.001", "br;q=1")),
    *(({"Accept": accepted}, REFUSED) for accepted in (
        "text/html", "application/problem+json", "application/json;q=0", "json", "text/*")),
    *(({"Accept": accepted}, ANSWERED) for accepted in (
        "", ",", "*/*", "application/*", "application/json;q=0.001", "application/json;q=1.5", "text/html, */*;q=0.1")),
    *(({"X-Request-Deadline-Ms": text}, MALFORMED) for text in ("", "0", "-1", "+1", "1.5", "1e3", "a", "1, 2")),
    *(({"X-Request-Deadline-Ms": text}, ANSWERED) for text in ("60000", "0060000", "9" * 40)),
    *(({name: "x"}, ANSWERED) for name in ("If-Match", "Range", "Accept-Charset", "Accept-Language", "Cookie", "TE")),
]  # fmt: skip

INFERENCES: dict[str, tuple[bytes, dict[str, str], tuple[int, str]]] = {
    "gzip": (gzip.compress(INFERENCE), {"Content-Encoding": "gzip"}, ANSWERED),
    "x-gzip": (gzip.compress(INFERENCE), {"Content-Encoding": "X-GZip"}, ANSWERED),
    "deflate": (zlib.compress(INFERENCE), {"Content-Encoding": "deflate"}, ANSWERED),
    "deflate called gzip": (zlib.compress(INFERENCE), {"Content-Encoding": "gzip"}, MALFORMED),
    "gzip unsaid": (gzip.compress(INFERENCE), {}, (400, "malformed-json")),
    "gzip on a plain body": (INFERENCE, {"Content-Encoding": "gzip"}, MALFORMED),
    "gzip cut short": (gzip.compress(INFERENCE)[:-1], {"Content-Encoding": "gzip"}, MALFORMED),
    "gzip and more": (gzip.compress(INFERENCE) + b"x", {"Content-Encoding": "gzip"}, MALFORMED),
    "gzip twice": (gzip.compress(gzip.compress(INFERENCE)), {"Content-Encoding": "gzip, gzip"}, CODING),
    "brotli": (INFERENCE, {"Content-Encoding": "br"}, CODING),
    "gzip of nothing": (gzip.compress(b""), {"Content-Encoding": "gzip"}, (400, "empty-body")),
    "gzip of a broken document": (gzip.compress(b"{"), {"Content-Encoding": "gzip"}, (400, "malformed-json")),
    "a bomb of gzip": (gzip.compress(BOMB), {"Content-Encoding": "gzip"}, (413, "decoded-too-large")),
    "a bomb of deflate": (zlib.compress(BOMB), {"Content-Encoding": "deflate"}, (413, "decoded-too-large")),
    "a JSON part beyond the content": (gzip.compress(INFERENCE), {"Content-Encoding": "gzip", JSON_BYTES: "9999"},
                                       MALFORMED),
    "any Content-Type": (INFERENCE, {"Content-Type": "text/plain; charset=utf-16"}, ANSWERED),
    "any Accept": (INFERENCE, {"Accept": "text/html"}, ANSWERED),
    "no coding accepted": (INFERENCE, {"Accept-Encoding": "identity;q=0, br"}, REFUSED),
}  # fmt: skip

PATHS: list[tuple[str, str, tuple[int, str]]] = [
    *(("POST", path, ANSWERED) for path in ("/softmax?", "/softmax?precision=none&a", "/%73oftmax", "/softma%78?%ff")),
    *(("POST", path, UNMATCHED) for path in (
        "/softmax/", "/SOFTMAX", "/softmax%2F", "/softmax%20", "/softmax;x=1", "/softmax.json", "/v1",
        "/softmax/softmax", "/v2/softmax", "/v2/models", "/v2/models/", "/v2/models/softmax/infer/",
        "/v2//models/softmax/infer", "/V2/models/softmax/infer")),
    *(("POST", path, UNMATCHED) for path in (
        "/v2/models/Softmax/infer", "/v2/models/x/infer", "/v2/models/%ff/infer", "/v2/models/softmax/versions/2/infer",
        "/v2/models/softmax/versions/01/infer", "/v2/models/softmax/versions/1.0/infer")),
    *((method, path, (405, "method-not-allowed")) for path in ("/softmax", INFER, "/v2/repository/index")
      for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post")),
    *((method, path, (405, "method-not-allowed")) for path in ("/livez", "/v2", "/v2/models/softmax", "/v2/health/live")
      for method in ("POST", "PUT", "DELETE", "OPTIONS")),
]  # fmt: skip


def check(reply: httpx.Response, expected: tuple[int, str]) -> None:
    """Raise unless a reply is answered, or refused by a complete problem of this status and slug."""
    if expected == ANSWERED:
        assert reply.status_code == 200, reply.text
    else:
        check_problem(reply, *expected)


@pytest.mark.parametrize("path", ["/softmax", "/softmax?query"])
@pytest.mark.parametrize(("headers", "expected"), NATIVE)
async def test_native_headers(
    http: httpx.AsyncClient, path: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    """A header field of a native call is met, refused by its own problem, or means nothing here."""
    given = httpx.Headers({"Content-Type": "application/json"} | headers, encoding="latin-1")
    reply = await http.post(path, content=BODY, headers=given)
    check(reply, expected)
    if expected == REFUSED:
        assert reply.headers["vary"] in {"Accept", "Accept-Encoding"} & {*map(str.title, headers)}


@pytest.mark.parametrize("name", INFERENCES)
async def test_inference_codings(http: httpx.AsyncClient, name: str) -> None:
    """A coded inference body is inflated within bounds or refused; its media types say nothing."""
    body, headers, expected = INFERENCES[name]
    check(await http.post(INFER, content=body, headers=headers), expected)


@pytest.mark.parametrize(("method", "path", "expected"), PATHS)
async def test_paths_and_methods(http: httpx.AsyncClient, method: str, path: str, expected: tuple[int, str]) -> None:
    """A path is what it is called, after percent-decoding, and answers its own methods; queries change nothing."""
    request = http.build_request("POST", path, content=BODY, headers={"Content-Type": "application/json"})
    request.method = method
    reply = await http.send(request)
    check(reply, expected)
    assert ("allow" in reply.headers) == (expected[0] == 405)
    assert "location" not in reply.headers
