"""How a page is answered: to whom, with what text, and under which policy."""

import re
from html import escape

from fastapi import Request, Response

from gradient_service.http.negotiation import reply_media_type

STRICT = "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
OWN_POLICY = f"default-src 'self'; {STRICT}"
"""Of what is written here: it needs no exception."""


def html_reply(content: str | bytes, policy: str = OWN_POLICY) -> Response:
    """Return a page that may load from this service only, stands in no frame, and sends no referrer."""
    headers = {
        "Cache-Control": "no-cache",  # kept only as long as the service, asked each time, says that it is the same
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
    }
    return Response(content, media_type="text/html", headers=headers)


def is_for_people(request: Request) -> bool:
    """Return whether the caller prefers HTML to JSON, as browsers do; raise `not-acceptable` where it takes neither."""
    media_type = reply_media_type(request.headers, ("application/json", "text/html"), "application/json")
    return media_type == "text/html"


def marked_up(text: str) -> str:
    """Return a text as HTML, what stands between backticks as code."""
    return re.sub(r"`(.+?)`", r"<code>\1</code>", escape(text, quote=False))
