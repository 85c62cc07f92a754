"""Health: alive from the first moment, ready between start and shutdown only."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from gradient_service.app import create_app
from gradient_service.settings import Settings

from .conftest import check_problem, client_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def fresh_app() -> FastAPI:
    """An application that has not been started."""
    return create_app(Settings.model_construct())


async def test_it_lives_before_it_is_started(http: httpx.AsyncClient) -> None:
    """The process lives as soon as it answers, and says nothing more."""
    reply = await http.get("/livez")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_before_it_is_started(http: httpx.AsyncClient) -> None:
    """Before its start the service takes no work, and says when to ask again."""
    reply = await http.get("/readyz")
    check_problem(reply, 503, "shutting-down")
    assert reply.headers["retry-after"] == "1"


async def test_it_is_ready_once_started(fresh_app: FastAPI) -> None:
    """After its start the service takes work."""
    async with fresh_app.router.lifespan_context(fresh_app), client_of(fresh_app) as http:
        reply = await http.get("/readyz")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_it_is_not_ready_while_draining(fresh_app: FastAPI) -> None:
    """After its shutdown began the service takes no new work, but lives."""
    async with client_of(fresh_app) as http:
        async with fresh_app.router.lifespan_context(fresh_app):
            pass
        check_problem(await http.get("/readyz"), 503, "shutting-down")
        assert (await http.get("/livez")).status_code == 200


async def test_work_is_still_done_while_draining(fresh_app: FastAPI) -> None:
    """A call that arrives while the service drains is answered."""
    async with client_of(fresh_app) as http:
        async with fresh_app.router.lifespan_context(fresh_app):
            pass
        assert (await http.post("/softmax", json={"logits": [[0]]})).status_code == 200


async def test_two_applications_have_two_states(fresh_app: FastAPI, http: httpx.AsyncClient) -> None:
    """Starting one application makes no other one ready."""
    async with fresh_app.router.lifespan_context(fresh_app):
        assert (await http.get("/readyz")).status_code == 503


@pytest.mark.parametrize("query", ["verbose", "verbose=", "verbose=1"])
async def test_verbose_lists_the_parts(fresh_app: FastAPI, query: str) -> None:
    """With ?verbose each condition is told by name."""
    async with fresh_app.router.lifespan_context(fresh_app), client_of(fresh_app) as http:
        assert (await http.get(f"/readyz?{query}")).json()["parts"] == {
            "started": True,
            "not_draining": True,
            "within_budget": True,
        }
        assert (await http.get(f"/livez?{query}")).json()["parts"] == {"alive": True}


async def test_head_answers_without_a_body(fresh_app: FastAPI) -> None:
    """HEAD works on both, for probes that want no body."""
    async with fresh_app.router.lifespan_context(fresh_app), client_of(fresh_app) as http:
        for path in ("/livez", "/readyz"):
            assert (await http.head(path)).status_code == 200


async def test_health_is_not_cached(http: httpx.AsyncClient) -> None:
    """No cache may answer in the service's place."""
    assert (await http.get("/livez")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "application/json;q=0"])
async def test_any_probe_is_answered(http: httpx.AsyncClient, accept: str) -> None:
    """A probe is answered whatever it accepts."""
    assert (await http.get("/livez", headers={"Accept": accept})).status_code == 200
