"""Keys: without the right one nothing answers but health, the pages and the document."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from starlette.requests import Request

from gradient_service.app import create_app
from gradient_service.http.keys import Keys
from gradient_service.http.problems import HttpProblemError
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
}


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


@pytest.mark.parametrize("path", ["/", "/livez", "/docs", "/redoc", "/openapi.json", "/assets/docs-init.js"])
async def test_what_tells_how_to_call_stays_open(path: str, guarded: httpx.AsyncClient) -> None:
    """Health, the pages with their assets, and the document need no key."""
    assert (await guarded.get(path)).status_code == 200


async def test_keys_are_not_shown() -> None:
    """A key appears in no picture of the settings."""
    assert "first-key" not in repr(SETTINGS) + str(SETTINGS.model_dump()) + SETTINGS.model_dump_json()


@pytest.mark.parametrize("value", [" ", ",", "a,,b", "a b", "schlüssel"])
def test_values_that_hold_no_keys_are_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list without a key, which would leave the service open, and a key that no header carries are no settings."""
    monkeypatch.setenv("GRADIENT_API_KEYS", value)
    with pytest.raises(ValidationError, match="api_keys"):
        Settings()


def refused(keys: Keys, request: Request) -> float:
    """Seconds that a refusal takes."""
    begun = time.perf_counter()
    with pytest.raises(HttpProblemError):
        keys.check(request)
    return time.perf_counter() - begun


@pytest.mark.full
def test_the_time_of_a_refusal_tells_nothing() -> None:
    """Over 10⁵ comparisons, a key right but for its last letter takes as long as one wrong from the first."""
    key = "k" * 64
    keys = Keys(Settings.model_construct(api_keys=SecretStr(key)))
    wrong = {"near": "k" * 63 + "x", "far": "x" * 64}
    requests = {
        name: Request({"type": "http", "headers": [(b"authorization", f"Bearer {key}".encode())]})
        for name, key in wrong.items()
    }
    times: dict[str, list[float]] = {name: [] for name in wrong}
    for _ in range(50_000):
        for name, request in requests.items():
            times[name].append(refused(keys, request))
    assert abs(t_statistic(*(_trimmed(values) for values in times.values()))) < 4.5


def _trimmed(values: list[float]) -> list[float]:
    """The faster nine tenths: the rest measures what else the machine did."""
    return sorted(values)[: len(values) * 9 // 10]


def t_statistic(left: Any, right: Any) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(left) / len(left) + statistics.variance(right) / len(right)
    return float((statistics.fmean(left) - statistics.fmean(right)) / spread**0.5)
