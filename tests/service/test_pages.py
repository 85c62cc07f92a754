"""The pages: HTML to whom asks for it, everything from this service, a strict policy, no inline script."""

from __future__ import annotations

import gzip
import os
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from fastapi import FastAPI

from gradient_service.http.pages import ASSETS, LINKS, WholeFiles

from .conftest import check_problem

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PAGES = ("/explore", "/problems", "/problems/ragged", "/docs", "/redoc")
EXPLORABLE = ("explore.html", "explore.css", "pages.css", "favicon-32x32.png", "explore/*.js")
"""What `/explore` loads."""
FOLDER = Path(str(ASSETS))
FILES = {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".png": "image/png", ".txt": "text/plain"}


class Outline(HTMLParser):
    """What a page refers to and what scripts and styles stand in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the element refers to, and any handler or style in its attributes."""
        self._inside = tag
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "action"}]
        self.inline += [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        """Note text inside a script or style element."""
        if self._inside in {"script", "style"} and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Leave the element."""
        self._inside = self._inside.removesuffix(tag)


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html;q=0.9"])
async def test_the_entrance_is_json_to_programs(http: httpx.AsyncClient, accept: str | None) -> None:
    """A client that does not prefer HTML gets the links as JSON."""
    reply = await http.get("/", headers={} if accept is None else {"Accept": accept})
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {name: f"/{name}" for name in LINKS}
    assert reply.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "text/*", "application/json;q=0.5, text/html"])
async def test_the_entrance_is_a_page_to_browsers(http: httpx.AsyncClient, accept: str) -> None:
    """A client that prefers HTML gets a page with the same links."""
    reply = await http.get("/", headers={"Accept": accept})
    assert reply.headers["content-type"].startswith("text/html")
    assert set(LINKS) <= set(Outline(reply.text).links)
    assert reply.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0, application/json;q=0", "text/plain"])
async def test_the_entrance_speaks_nothing_else(http: httpx.AsyncClient, accept: str) -> None:
    """Where neither form is accepted the entrance is 406."""
    check_problem(await http.get("/", headers={"Accept": accept}), 406, "not-acceptable")


async def test_every_link_leads_somewhere(http: httpx.AsyncClient) -> None:
    """Each address that the entrance tells is answered; readiness is 503 before the start."""
    for name, address in (await http.get("/")).json().items():
        assert (await http.get(address)).status_code == (503 if name == "readyz" else 200)


@pytest.mark.parametrize("path", PAGES)
async def test_pages_are_html(http: httpx.AsyncClient, path: str) -> None:
    """Each page is HTML in UTF-8."""
    reply = await http.get(path, headers={"Accept": BROWSER})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", ["/", *PAGES])
async def test_pages_use_only_what_is_served_here(http: httpx.AsyncClient, path: str) -> None:
    """Everything that a page loads or links is a relative address that answers."""
    page = (await http.get(path, headers={"Accept": "text/html"})).text
    for link in Outline(page).links:
        assert "//" not in link
        assert (await http.get(urljoin(path, link))).status_code in {200, 503}


@pytest.mark.parametrize("path", ["/", *PAGES])
async def test_pages_hold_no_script(http: httpx.AsyncClient, path: str) -> None:
    """No script, style or handler stands in a page itself."""
    assert Outline((await http.get(path, headers={"Accept": "text/html"})).text).inline == []


@pytest.mark.parametrize("path", ["/", *PAGES])
async def test_pages_carry_a_strict_policy(http: httpx.AsyncClient, path: str) -> None:
    """Pages may load from this service only, run no inline script, and stand in no frame."""
    headers = (await http.get(path, headers={"Accept": "text/html"})).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert "script-src" not in policy
    assert not any("unsafe" in sources or "*" in sources or "http" in sources for sources in policy.values())
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/assets/pages.css", "/openapi.json", "/livez", "/none", "/softmax"])
async def test_no_reply_is_guessed_at(http: httpx.AsyncClient, path: str) -> None:
    """Whatever its layer, a reply is taken by a browser for what its media type says."""
    assert (await http.get(path)).headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize("path", ["/", "/explore", "/problems", "/problems/ragged"])
async def test_own_pages_allow_themselves_and_nothing_else(http: httpx.AsyncClient, path: str) -> None:
    """What is written here needs no exception from the policy, not even pictures from a string."""
    headers = (await http.get(path, headers={"Accept": "text/html"})).headers
    assert headers["content-security-policy"] == (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def test_the_explorable_page_is_small() -> None:
    """Everything that `/explore` loads is at most 60 kB, each file compressed by itself."""
    loaded = [content for name, content in FILES.items() if any(fnmatch(name, pattern) for pattern in EXPLORABLE)]
    assert len(loaded) > len(EXPLORABLE)
    assert sum(len(gzip.compress(content)) for content in loaded) <= 60_000


@pytest.mark.parametrize("name", sorted(FILES))
async def test_assets_are_served_as_what_they_are(http: httpx.AsyncClient, name: str) -> None:
    """Each asset is served whole under its media type, so that browsers that do not guess take it."""
    reply = await http.get(f"/assets/{name}")
    assert reply.content == FILES[name]
    assert reply.headers["content-type"].startswith(MEDIA_TYPES.get(name[name.rindex(".") :], "text/"))


@pytest.mark.parametrize("path", ["/", "/explore", "/docs", "/redoc", "/assets/pages.css"])
async def test_what_a_browser_has_is_not_sent_twice(http: httpx.AsyncClient, path: str) -> None:
    """A browser asks each time, and is told where it has the content already, in the coding that it takes."""
    first = (await http.get(path, headers={"Accept": BROWSER})).headers
    known = {"Accept": BROWSER, "If-None-Match": first["etag"]}
    again = await http.get(path, headers=known)
    assert (first["cache-control"], again.status_code, again.content) == ("no-cache", 304, b"")
    assert (again.headers["etag"], again.headers.get("vary")) == (first["etag"], first.get("vary"))
    assert "content-encoding" not in again.headers
    if path == "/explore":
        assert (await http.get(path, headers=known | {"Accept-Encoding": "identity"})).status_code == 200


async def test_an_upgrade_is_not_taken_for_what_it_replaces(tmp_path: Path) -> None:
    """Two contents of one size and one time, as in an image, differ for a browser that has the first."""
    transport = httpx.ASGITransport(WholeFiles(directory=tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        for name, text in (("old.js", "a = 1"), ("new.js", "a = 2")):
            (tmp_path / name).write_text(text)
            os.utime(tmp_path / name, (315532800, 315532800))
        old = (await http.get("/old.js")).headers
        new = await http.get("/new.js", headers={"If-None-Match": old["etag"]})
        dated = await http.get("/new.js", headers={"If-Modified-Since": "Tue, 01 Jan 1980 00:00:00 GMT"})
    assert [(reply.status_code, reply.text) for reply in (new, dated)] == [(200, "a = 2")] * 2


async def test_the_document_is_what_the_application_says(http: httpx.AsyncClient, app: FastAPI) -> None:
    """/openapi.json is the application's own document, as JSON."""
    reply = await http.get("/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == app.openapi()


@pytest.mark.parametrize(("accepted", "coding"), [("gzip", "gzip"), ("gzip, deflate, br", "gzip"), ("gzip;q=0", None)])
async def test_pages_are_coded_for_whom_that_suits(http: httpx.AsyncClient, accepted: str, coding: str | None) -> None:
    """Who takes gzip is sent the same page in fewer bytes."""
    for path in ("/explore", "/docs", "/redoc"):
        plain = await http.get(path, headers={"Accept": BROWSER, "Accept-Encoding": "identity"})
        coded = await http.get(path, headers={"Accept": BROWSER, "Accept-Encoding": accepted})
        assert (coded.text, coded.headers.get("content-encoding")) == (plain.text, coding)
        assert {"Accept", "Accept-Encoding"} <= set(coded.headers["vary"].split(", "))
        assert (int(coded.headers["content-length"]) < int(plain.headers["content-length"])) == (coding is not None)


@pytest.mark.parametrize("wanted", ["bytes=0-9", "bytes=abc", "bytes=99999999-"])
async def test_assets_are_sent_whole(http: httpx.AsyncClient, wanted: str) -> None:
    """Whatever part is asked for: all that is refused is a problem, and nothing is wrong with this."""
    reply = await http.get("/assets/pages.css", headers={"Range": wanted})
    assert (reply.status_code, reply.content) == (200, FILES["pages.css"])
