"""Problems that no body causes: unknown paths, wrong methods, faults of our own."""

from __future__ import annotations

import httpx
import pytest

from gradient_service.app import create_app
from gradient_service.http.problem_types import PROBLEM_TYPES
from gradient_service.settings import Settings
from gradient_service.wire import json_body

from .conftest import PROBLEM_FIELDS, check_problem, client_of, post

pytestmark = pytest.mark.anyio

ALLOWED = {
    "/softmax": {"POST"},
    "/loss": {"POST"},
    "/gradient": {"POST"},
    "/limits": {"GET", "HEAD"},
    "/livez": {"GET", "HEAD"},
    "/readyz": {"GET", "HEAD"},
    "/": {"GET", "HEAD"},
    "/problems": {"GET", "HEAD"},
    "/problems/ragged": {"GET", "HEAD"},
    "/docs": {"GET", "HEAD"},
    "/redoc": {"GET", "HEAD"},
    "/openapi.json": {"GET", "HEAD"},
    "/assets/pages.css": {"GET", "HEAD"},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get")
REFUSED = [(path, method) for path, allowed in ALLOWED.items() for method in METHODS if method not in allowed]


@pytest.mark.parametrize(("path", "method"), REFUSED)
async def test_wrong_method(http: httpx.AsyncClient, path: str, method: str) -> None:
    """A method that a path does not answer is 405, and Allow names all that it does answer."""
    request = http.build_request(method, path)
    request.method = method
    reply = await http.send(request)
    assert reply.status_code == 405
    if method != "HEAD":
        check_problem(reply, 405, "method-not-allowed")
    assert set(reply.headers["allow"].split(", ")) == ALLOWED[path]


@pytest.mark.parametrize("path", [path for path, allowed in ALLOWED.items() if "HEAD" in allowed and path != "/readyz"])
async def test_head_is_answered(http: httpx.AsyncClient, path: str) -> None:
    """HEAD is answered wherever GET is."""
    assert (await http.head(path)).status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/softmax/", "/Softmax", "/softmax/x", "/limits/", "/docs/",
                                  "/assets/nope.js", "/assets/", "/assets", "/assets/%2e%2e/pages.py",
                                  "/assets/..%2f..%2fsettings.py", "/assets/%00", "/.git/config",
                                  "/assets/" + "x" * 5000, "/%ff", "/assets/%ff", "/docs/oauth2-redirect"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_path(http: httpx.AsyncClient, method: str, path: str) -> None:
    """A path that is none is a problem, without a redirect; below /assets, POST may be 405."""
    reply = await http.request(method, path)
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert set(problem) == PROBLEM_FIELDS
    is_asset_posted = method == "POST" and path.startswith("/assets")
    assert (reply.status_code, problem["type"]) == (404, "/problems/not-found") or (
        is_asset_posted and (reply.status_code, problem["type"]) == (405, "/problems/method-not-allowed")
    )


@pytest.mark.parametrize("path", ["/" + "x" * 30_000, "/%0d%0aX-Injected:%201", "/%00%1b%7f", "/%e2%80%ae",
                                  "/%f0%9f%98%80" * 2000, "/%ed%a0%80"])  # fmt: skip
async def test_hostile_path(http: httpx.AsyncClient, path: str) -> None:
    """A hostile path is told shortly and printably."""
    reply = await http.get(path)
    assert reply.status_code == 404
    assert len(reply.content) <= 4096
    assert reply.json()["instance"].isprintable()
    assert "x-injected" not in reply.headers


async def test_a_query_is_ignored(http: httpx.AsyncClient) -> None:
    """A query on a call changes nothing."""
    assert (await post(http, "/softmax?precision=none", {"logits": [[0]]})).status_code == 200


async def test_a_fault_of_a_route_is_a_bare_500() -> None:
    """Whatever a route raises is a problem that tells nothing of it."""
    app = create_app(Settings.model_construct())

    def fail() -> None:
        message = "secret detail"
        raise RuntimeError(message)

    app.add_api_route("/fail", fail)
    async with client_of(app) as http:
        reply = await http.get("/fail", headers={"X-Request-ID": "mine"})
    problem = check_problem(reply, 500, "internal-error")
    assert reply.headers["x-request-id"] == "mine"
    assert problem["errors"][0]["pointer"] == ""
    assert "secret" not in reply.text
    assert "RuntimeError" not in reply.text


@pytest.mark.parametrize("num_rows", [1, 5000])
async def test_a_fault_of_a_call_is_a_bare_500(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, num_rows: int
) -> None:
    """A fault while a reply is written, in the event loop or in a thread, is the same problem."""

    def fail(reply: object, _: object) -> list[bytes]:
        raise MemoryError(f"secret {reply}")

    monkeypatch.setattr(json_body, "dump_in_parts", fail)
    reply = await post(http, "/softmax", {"logits": [[0, 0, 0, 0]] * num_rows})
    check_problem(reply, 500, "internal-error")
    assert "secret" not in reply.text


async def test_the_service_answers_after_a_fault(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fault does not disturb the next request."""
    with monkeypatch.context() as patch:
        patch.setattr(json_body, "dump_in_parts", lambda *_: 1 / 0)
        assert (await post(http, "/softmax", {"logits": [[0]]})).status_code == 500
    assert (await post(http, "/softmax", {"logits": [[0]]})).status_code == 200


def test_every_slug_has_a_status_of_an_error() -> None:
    """The table holds kebab-case slugs and statuses from 400 up."""
    assert all(slug == slug.lower() and slug.replace("-", "").isalpha() for slug in PROBLEM_TYPES)
    assert all(400 <= known.status <= 599 for known in PROBLEM_TYPES.values())
