"""The pages that problem types name: an index, and of each type what happened, why, how to mend it, and an example."""

from html import escape
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request, Response
from starlette.exceptions import HTTPException

from gradient_service.http import openapi
from gradient_service.http.endpoints import Path
from gradient_service.http.example_files import examples
from gradient_service.http.html_reply import html_reply, is_for_people, marked_up
from gradient_service.http.limits import grouped, limits_of
from gradient_service.http.openapi_components import in_path
from gradient_service.http.problem_types import FAMILIES, PROBLEM_TYPES, title_of
from gradient_service.http.text_templates import template
from gradient_service.schemas.problem import Slug
from gradient_service.schemas.problem_type import ProblemTypeReply, ProblemTypesReply
from gradient_service.schemas.replies import LimitsReply
from gradient_service.settings import Settings


class ProblemPages:
    """The endpoints that explain problem types: in HTML to browsers, in JSON to programs."""

    def __init__(self, settings: Settings) -> None:
        self._limits = limits_of(settings)

    def paths(self) -> list[Path]:
        """Return the paths of the index and of its pages."""
        index = openapi.page_document(ProblemTypesReply, HTTPStatus.NOT_ACCEPTABLE)
        page = openapi.page_document(ProblemTypeReply, HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE)
        page["parameters"] += [in_path("slug", Slug)]
        return [
            Path("/problems", "problems", self.index, index, "service", is_open=True),
            Path("/problems/{slug}", "problem", self.page, page, "service", is_open=True),
        ]

    async def index(self, request: Request) -> Response:
        """Answer with all problem types."""
        if is_for_people(request):
            return html_reply(template("problems.html").substitute(families="".join(map(_family, FAMILIES))))
        return _json({slug.value: f"/problems/{slug}" for slug in PROBLEM_TYPES})

    async def page(self, request: Request) -> Response:
        """Answer with one problem type."""
        slug = request.path_params["slug"]
        if slug not in PROBLEM_TYPES:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        account = self._account(Slug(slug))
        if is_for_people(request):
            return html_reply(template("problem.html").substitute(_parts(account)))
        return _json(account)

    def _account(self, slug: Slug) -> dict[str, Any]:
        """Return all that there is to say of a problem type."""
        known = PROBLEM_TYPES[slug]
        return {
            "type": f"/problems/{slug}",
            "title": title_of(slug),
            "status": known.status,
            "meaning": slug.meaning,
            "why": known.why,
            "mend": known.mend,
            "limits": {name: self._limits[name] for name in known.limits},
            "example": examples("problems")[slug],
        }


def _parts(account: dict[str, Any]) -> dict[str, str]:
    """Return what the page of one problem type is filled with, as HTML."""
    status, example = account["status"], account["example"]
    happened = account["meaning"][0].upper() + account["meaning"][1:] + "."
    return {
        "title": account["title"],
        "status": f"{status.value} {escape(status.phrase)}",
        "happened": marked_up(happened),
        "why": marked_up(account["why"]),
        "mend": marked_up(account["mend"]),
        "limits": _limits_list(account["limits"]),
        "circumstances": _circumstances(example),
        "request": escape(_request_text(example)),
        "reply": escape(_reply_text(status, example)),
    }


def _limits_list(limits: dict[str, int]) -> str:
    """Return the limits in force, each with what its field of `/limits` says; nothing where there are none."""
    entries = "".join(
        f"<dt><code>{name}</code> = {grouped(limit)}</dt>"
        f"<dd>{marked_up(LimitsReply.model_fields[name].description or '')}</dd>"
        for name, limit in limits.items()
    )
    return f'<h2>The limits of this service</h2>\n<dl class="list">{entries}</dl>\n' if limits else ""


def _circumstances(example: dict[str, Any]) -> str:
    """Return of which service an example was asked, and what else was the case."""
    settings = " and ".join(f"<code>{name}={value}</code>" for name, value in example.get("settings", {}).items())
    note = f", {example['note']}" if "note" in example else ""
    return f"{settings or 'the default settings'}{note}"


def _request_text(example: dict[str, Any]) -> str:
    """Return a request as it is sent; bytes that are no visible ASCII are escaped as Python does."""
    body = "".join(char if " " <= char <= "~" else f"\\x{ord(char):02x}" for char in example["body"])
    return "\n".join([*example["request"], "", body]).strip()


def _reply_text(status: HTTPStatus, example: dict[str, Any]) -> str:
    """Return a reply as it is read, its problem set out in lines."""
    document = orjson.dumps(example["problem"], option=orjson.OPT_INDENT_2).decode()
    return "\n".join([f"HTTP/1.1 {status.value} {status.phrase}", *example["reply"], "", document])


def _family(name: str) -> str:
    """Return the part of the index that holds one family."""
    entries = "".join(
        f'<dt><a href="problems/{slug}">{title_of(slug)}</a> <small>{known.status.value}</small></dt>'
        f"<dd>{marked_up(slug.meaning)}</dd>"
        for slug, known in FAMILIES[name].items()
    )
    return f'<section>\n<h2>{name}</h2>\n<dl class="list">{entries}</dl>\n</section>\n'


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers={"Vary": "Accept"})
