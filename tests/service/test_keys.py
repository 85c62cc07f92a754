"""Keys: without the right one nothing answers but health, the pages and the document."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr, ValidationError
from starlette.routing import Mount, Route

from gradient_service.app import create_app
from gradient_service.http.example_files import file_name
from gradient_service.settings import Settings

from .conftest import check_problem, client_of

pytestmark = pytest.mark.anyio
SETTINGS = Settings.model_construct(api_keys=SecretStr("first-key, second-key"))
CALL = {"logits": [[1, 2]], "labels": [0]}
BAD_KEYS: dict[str, list[bytes]] = {
    "none": [],
    "empty": [b""],
    "no key": [b"Bearer"],
    "a blank key": [b"Bearer  "],
    "wrong": [b"Bearer wrong"],
    "a part": [b"Bearer first-ke"],
    "more": [b"Bearer first-key2"],
    "all of them": [b"Bearer first-key, second-key"],
    "another case": [b"Bearer FIRST-KEY"],
    "another scheme": [b"Basic first-key"],
    "no scheme": [b"first-key"],
    "not ASCII": ["Bearer schlüssel".encode()],
    "no UTF-8": [b"Bearer \xff\xfe"],
    "long": [b"Bearer " + b"a" * 30_000],
    "doubled": [b"Bearer first-key", b"Bearer first-key"],
    "right and wrong": [b"Bearer first-key", b"Bearer wrong"],
    "wrong and right": [b"Bearer wrong", b"Bearer first-key"],
    "the first letter wrong": [b"Bearer xirst-key"],
    "the last letter wrong": [b"Bearer first-kex"],
    "a zero byte behind": [b"Bearer first-key\0"],
    "a parameter": [b"Bearer first-key;x=1"],
    "quoted": [b'Bearer "first-key"'],
    "base64": [b"Bearer " + b64encode(b"first-key")],
    "percent": [b"Bearer first%2Dkey"],
    "a list in one field": [b"Bearer first-key, Bearer first-key"],
    "the scheme twice": [b"Bearer Bearer first-key"],
    "a tab between": [b"Bearer\tfirst-key"],
    "full width": ["Bearer ｆirst-key".encode()],
}
OPEN = {
    "/",
    "/assets",
    "/docs",
    "/examples/{name}",
    "/explore",
    "/problems",
    "/problems/{slug}",
    "/livez",
    "/openapi.json",
    "/readyz",
    "/redoc",
    "/v2/health/live",
    "/v2/health/ready",
}


def every_request() -> Iterator[tuple[str, str]]:
    """Each method and path template that the application routes, read from its own list."""
    for route in create_app(SETTINGS).routes:
        if isinstance(route, Mount):
            yield "GET", route.path
        else:
            assert isinstance(route, Route | APIRoute)
            for method in sorted(route.methods or ()):
                yield method, route.path


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that gave out two keys."""
    async with client_of(create_app(SETTINGS)) as client:
        yield client


async def call(client: httpx.AsyncClient, keys: list[bytes], path: str = "/loss") -> httpx.Response:
    """The reply to a right call with these keys."""
    headers = [(b"authorization", key) for key in keys]
    return await client.post(path, json=CALL, headers=[(b"host", b"a"), *headers])


@pytest.mark.parametrize("name", BAD_KEYS)
async def test_a_bad_key_is_refused(name: str, guarded: httpx.AsyncClient) -> None:
    """What is not exactly one of the keys, once, is 401 and told how to ask."""
    reply = await call(guarded, BAD_KEYS[name])
    check_problem(reply, 401, "unauthenticated")
    assert reply.headers["www-authenticate"] == 'Bearer realm="gradient-service"'


@pytest.mark.parametrize("key", [b"Bearer first-key", b"bearer second-key", b"BEARER  first-key"])
async def test_each_key_is_accepted(key: bytes, guarded: httpx.AsyncClient) -> None:
    """Both keys work, whatever the case of the scheme."""
    assert (await call(guarded, [key])).status_code == 200


async def test_the_key_comes_after_path_and_method_and_before_the_body(guarded: httpx.AsyncClient) -> None:
    """Without a key an unknown path is still 404 and a wrong method 405, and nothing is said of a body."""
    check_problem(await call(guarded, [], "/nothing"), 404, "not-found")
    check_problem(await guarded.get("/loss"), 405, "method-not-allowed")
    check_problem(await guarded.post("/loss", content=b"{", headers={"content-type": "text/x"}), 401, "unauthenticated")
    check_problem(await guarded.get("/limits"), 401, "unauthenticated")


@pytest.mark.parametrize(("method", "template"), sorted(set(every_request())))
async def test_only_what_tells_how_to_call_is_open(guarded: httpx.AsyncClient, method: str, template: str) -> None:
    """Of all routes only health, the pages with their assets, and the document answer without a key."""
    path = "/assets/docs-init.js" if template == "/assets" else template.replace("{", "").replace("}", "")
    reply = await guarded.request(method, path)
    assert (reply.status_code != 401) == (template in OPEN)
    assert (await guarded.request(method, path, headers={"Authorization": "Bearer first-key"})).status_code != 401


async def test_what_is_open_answers(guarded: httpx.AsyncClient) -> None:
    """Without a key the pages, their assets, the examples, the document and liveness are 200."""
    paths = OPEN - {
        "/assets",
        "/examples/{name}",
        "/problems/{slug}",
        "/readyz",
        "/v2/health/ready",
    }  # which are not ready in process
    paths |= {"/assets/docs-init.js", "/problems/ragged", f"/examples/{file_name('gradient', 'everyday', 'request')}"}
    assert {path: (await guarded.get(path)).status_code for path in paths} == dict.fromkeys(paths, 200)


async def test_keys_are_not_shown() -> None:
    """A key appears in no picture of the settings."""
    assert "first-key" not in repr(SETTINGS) + str(SETTINGS.model_dump()) + SETTINGS.model_dump_json()


@pytest.mark.parametrize("value", [" ", ",", "a,,b", "a b", "schlüssel"])
def test_values_that_hold_no_keys_are_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without a key, which would leave the service open, and a key that no header carries are no settings."""
    monkeypatch.setenv("GRADIENT_API_KEYS", value)
    with pytest.raises(ValidationError, match="api_keys"):
        Settings()
