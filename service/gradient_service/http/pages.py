"""The pages for people: entrance, explorable derivation, two views of the OpenAPI document, assets.

No other host is asked.
"""

import gzip
from functools import cache
from http import HTTPStatus
from importlib.resources import files

import orjson
from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from gradient_service.http.codings import is_accepted
from gradient_service.http.endpoints import ToldMount, ToldRoute
from gradient_service.http.example_files import binary_files
from gradient_service.http.html_reply import OWN_POLICY, STRICT, html_reply, is_for_people
from gradient_service.wire import safetensors_body

ASSETS = files("gradient_service.http") / "assets"

POLICY = f"default-src 'self'; img-src 'self' data:; {STRICT}"
# ReDoc fills one empty style element by script and writes one constant sheet; its search is a worker from a string.
REDOC_POLICY = (
    "default-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' "
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; worker-src blob:; img-src 'self' data:; " + STRICT
)
LINKS = {
    "explore": "Explore scores, losses and gradients",
    "docs": "Try the API",
    "redoc": "Read the API reference",
    "problems": "What refusals mean, and how to mend them",
    "openapi.json": "The OpenAPI document",
    "limits": "The limits of this service",
    "livez": "Whether it lives",
    "readyz": "Whether it takes work",
}


def routes() -> list[BaseRoute]:
    """Return the routes of the pages; none of them is part of the OpenAPI document."""
    return [
        ToldRoute("/", entrance),
        ToldRoute("/explore", explore),
        ToldRoute("/docs", docs),
        ToldRoute("/redoc", redoc),
        ToldRoute("/openapi.json", document),
        ToldRoute("/examples/{name}", example),
        ToldMount("/assets", WholeFiles(directory=str(ASSETS))),
    ]


class WholeFiles(StaticFiles):
    """Files of which nobody gets a part: who asks for one that is not there would be refused by no problem."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as if no part were asked for, which RFC 9110, 14.2 allows."""
        fields = [field for field in scope["headers"] if field[0] != b"range"]
        await super().__call__({**scope, "headers": fields}, receive, send)


async def entrance(request: Request) -> Response:
    """Answer with links: a page to a browser, JSON to anything else."""
    if is_for_people(request):
        return html_reply(_content("index.html", is_coded=False), OWN_POLICY)
    links = {name: f"/{name}" for name in LINKS}
    return Response(orjson.dumps(links), media_type="application/json", headers={"Vary": "Accept"})


async def explore(request: Request) -> Response:
    """Answer with the derivation beside its numbers."""
    return _page(request, "explore.html", OWN_POLICY)


async def docs(request: Request) -> Response:
    """Answer with Swagger UI."""
    return _page(request, "docs.html", POLICY)


async def redoc(request: Request) -> Response:
    """Answer with ReDoc."""
    return _page(request, "redoc.html", REDOC_POLICY)


async def document(request: Request) -> Response:
    """Answer with the OpenAPI document."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


async def example(request: Request) -> Response:
    """Answer with a safetensors file that the OpenAPI document names."""
    content = binary_files().get(request.path_params["name"])
    if content is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(content, media_type=safetensors_body.MEDIA_TYPE)


def _page(request: Request, name: str, policy: str) -> Response:
    is_coded = is_accepted(request.headers, "gzip")
    reply = html_reply(_content(name, is_coded=is_coded), policy)
    reply.headers.add_vary_header("Accept-Encoding")
    if is_coded:
        reply.headers["Content-Encoding"] = "gzip"
    return reply


@cache
def _content(name: str, *, is_coded: bool) -> bytes:
    content = (ASSETS / name).read_bytes()
    return gzip.compress(content, mtime=0) if is_coded else content
