"""The pages for people: entrance, explorable derivation, two views of the OpenAPI document, assets.

No other host is asked.
"""

import gzip
import os
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path

import orjson
from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.routing import BaseRoute
from starlette.staticfiles import NotModifiedResponse, StaticFiles
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
        ToldMount("/assets", FILES),
    ]


class WholeFiles(StaticFiles):
    """Files of which nobody gets a part: who asks for one that is not there would be refused by no problem.

    What a browser has of them is known by its content, for in an image all files are of one time.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as if no part were asked for, which RFC 9110, 14.2 allows."""
        fields = [field for field in scope["headers"] if field[0] != b"range"]
        await super().__call__({**scope, "headers": fields}, receive, send)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Answer with a file, or with 304 to whom has its content already."""
        headers = {"Cache-Control": "no-cache", "ETag": _file_etag(str(full_path), stat_result.st_mtime_ns)}
        reply = FileResponse(full_path, status_code, headers, stat_result=stat_result)
        del reply.headers["Last-Modified"]
        return self.unless_known(reply, Headers(scope=scope))

    def unless_known(self, reply: Response, asked: Headers) -> Response:
        """Return the reply, or in its place 304 where the caller names its ETag."""
        return NotModifiedResponse(reply.headers) if self.is_not_modified(reply.headers, asked) else reply


FILES = WholeFiles(directory=str(ASSETS))


async def entrance(request: Request) -> Response:
    """Answer with links: a page to a browser, JSON to anything else."""
    if is_for_people(request):
        return _unless_known(request, html_reply(_content("index.html", is_coded=False), OWN_POLICY))
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
    return _unless_known(request, reply)


def _unless_known(request: Request, reply: Response) -> Response:
    reply.headers["ETag"] = _etag(bytes(reply.body))
    return FILES.unless_known(reply, request.headers)


@cache
def _content(name: str, *, is_coded: bool) -> bytes:
    content = (ASSETS / name).read_bytes()
    return gzip.compress(content, mtime=0) if is_coded else content


def _etag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()}"'


@cache
def _file_etag(path: str, modified: int) -> str:
    # By its time too, so that a file that is written while the service runs is read again.
    return _etag(Path(path).read_bytes())
