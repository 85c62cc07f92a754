"""The pages of problem types: one for each, with what the running service says of it."""

from __future__ import annotations

from html import unescape

import httpx
import pytest
from fastapi import FastAPI

from gradient_service.app import create_app
from gradient_service.http.problem_types import FAMILIES, PROBLEM_TYPES
from gradient_service.schemas.problem import Slug
from gradient_service.schemas.replies import LimitsReply
from gradient_service.settings import Settings

from .conftest import check_problem, client_of

pytestmark = pytest.mark.anyio

HTML = {"Accept": "text/html"}


async def text_of(http: httpx.AsyncClient, path: str) -> str:
    """The text of a page, without its markup of code."""
    reply = await http.get(path, headers=HTML)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return unescape(reply.text.replace("<code>", "").replace("</code>", ""))


def test_every_slug_is_in_the_table() -> None:
    """Whatever an answer can have as its type has a status, a family and so a page, once."""
    assert sorted(slug for family in FAMILIES.values() for slug in family) == sorted(Slug)


@pytest.mark.parametrize("slug", Slug)
async def test_the_page_explains_its_type(http: httpx.AsyncClient, slug: Slug) -> None:
    """A page tells status, meaning, rule and remedy, and has the detail of its example."""
    known = PROBLEM_TYPES[slug]
    page = await text_of(http, f"/problems/{slug}")
    account = (await http.get(f"/problems/{slug}")).json()
    plain = [words.replace("`", "") for words in (known.why, known.mend)]
    assert f"Status {known.status.value}" in page
    assert f"{slug.meaning[1:]}." in page
    assert [words for words in plain if words not in page] == []
    assert account["example"]["problem"]["detail"] in page


@pytest.mark.parametrize("slug", Slug)
async def test_programs_get_the_same_as_json(http: httpx.AsyncClient, slug: Slug) -> None:
    """What is no browser reads an account of the type, by the address that a problem names."""
    reply = await http.get(f"/problems/{slug}")
    account = reply.json()
    assert reply.headers["content-type"] == "application/json"
    assert (account["type"], account["status"]) == (f"/problems/{slug}", PROBLEM_TYPES[slug].status)
    assert account["example"]["problem"]["type"] == account["type"]


async def test_the_index_leads_to_every_page(http: httpx.AsyncClient) -> None:
    """The index links each type, for people and for programs."""
    page = await text_of(http, "/problems")
    links = (await http.get("/problems")).json()
    assert list(links) == list(PROBLEM_TYPES)
    assert [slug for slug in links if f'href="problems/{slug}"' not in page] == []


@pytest.mark.parametrize("path", ["/problems/nope", "/problems/", "/problems/Ragged", "/problems/ragged/",
                                  "/problems/%3Cscript%3E", "/problems/" + "x" * 5000])  # fmt: skip
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
async def test_what_is_no_type_has_no_page(http: httpx.AsyncClient, path: str, accept: str) -> None:
    """A slug that is none is a problem itself, to browsers too."""
    check_problem(await http.get(path, headers={"Accept": accept}), 404, "not-found")


@pytest.mark.parametrize("path", ["/problems", "/problems/ragged"])
async def test_other_types_are_not_written(http: httpx.AsyncClient, path: str) -> None:
    """Where neither HTML nor JSON is accepted the answer is 406."""
    check_problem(await http.get(path, headers={"Accept": "image/png"}), 406, "not-acceptable")


async def test_limits_are_those_of_the_running_service() -> None:
    """A page tells the limits in force as numbers, not the default ones."""
    async with client_of(create_app(Settings.model_construct(max_json_body_bytes=1234567))) as http:
        assert "max_json_body_bytes = 1\u202f234\u202f567" in await text_of(http, "/problems/body-too-large")
        limits = (await http.get("/problems/body-too-large")).json()["limits"]
        assert limits == {"max_json_body_bytes": 1234567, "max_binary_body_bytes": 256 * 1024 * 1024}


def test_every_limit_has_its_problem() -> None:
    """Each limit that `/limits` tells is on the page of what happens beyond it."""
    assert {name for known in PROBLEM_TYPES.values() for name in known.limits} == set(LimitsReply.model_fields)


async def test_what_comes_from_a_request_is_text(http: httpx.AsyncClient) -> None:
    """Bytes of an example that are no visible ASCII are written as escapes, and its quotes as text."""
    page = await text_of(http, "/problems/non-finite")
    assert r"F\x00\x00\x00\x00\x00\x00\x00{" in page
    assert r"\xf8\x7f" in page


async def test_pages_tell_no_key(app: FastAPI) -> None:
    """The example of a missing key is asked of a service whose keys are in its own line, not of this one."""
    async with client_of(app) as http:
        assert "GRADIENT_API_KEYS=one,another" in await text_of(http, "/problems/unauthenticated")
