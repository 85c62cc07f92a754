"""Which media type a body is read as and a reply written as."""

import re
from collections.abc import Collection

from starlette.datastructures import Headers

from gradient_service.http.problems import HttpProblemError
from gradient_service.wire import json_body

# RFC 9110, 5.6.6; the parameters that count here (charset, q) hold no semicolon, so quoted ones need no care.
PARAMETER = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?P<value>[^\s\";]*|\"[^\"]*\")")
NUMBER = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")
UTF_8_NAMES = frozenset({"utf-8", "utf8"})


def request_media_type(headers: Headers, spoken: Collection[str]) -> str:
    """Return the media type of the body.

    Raises:
        HttpProblemError: `unsupported-media-type` for one that is not spoken, for none, and for JSON in a charset
            other than UTF-8; bytes have none, whatever is said.
    """
    accept = {"Accept": ", ".join(spoken)}
    given = headers.getlist("content-type")
    if len(given) != 1:
        raise HttpProblemError("unsupported-media-type", f"One Content-Type is needed: {accept['Accept']}.", accept)
    media_type, parameters = parse_media_type(given[0])
    if media_type not in spoken:
        raise HttpProblemError("unsupported-media-type", f"Bodies are read as {accept['Accept']}.", accept)
    if media_type == json_body.MEDIA_TYPE and parameters.get("charset", "utf-8").lower() not in UTF_8_NAMES:
        raise HttpProblemError("unsupported-media-type", "Text is read as UTF-8 only.", accept)
    return media_type


def reply_media_type(headers: Headers, spoken: Collection[str], preferred: str) -> str:
    """Return the media type to answer in: the most wanted one spoken; `preferred` where several are, or none is named.

    Raises:
        HttpProblemError: `not-acceptable` when none that is spoken is accepted.
    """
    accepted = [
        parse_media_type(part) for line in headers.getlist("accept") for part in line.split(",") if part.strip()
    ]
    if not accepted:
        return preferred
    wanted = {media_type: _quality(media_type, accepted) for media_type in (preferred, *spoken)}
    best = max(wanted, key=wanted.__getitem__)
    if wanted[best] == 0:
        detail = f"Replies are written as {', '.join(spoken)}."
        raise HttpProblemError("not-acceptable", detail, {"Accept": ", ".join(spoken), "Vary": "Accept"})
    return best


def parse_media_type(text: str) -> tuple[str, dict[str, str]]:
    """Return the media type and its parameters, names in lower case; what is no parameter is passed over."""
    media_type, *parts = text.split(";")
    matches = (PARAMETER.fullmatch(part.strip()) for part in parts)
    parameters = {match["name"].lower(): match["value"].strip('"') for match in matches if match}
    return media_type.strip().lower(), parameters


def _quality(media_type: str, accepted: list[tuple[str, dict[str, str]]]) -> float:
    """Return the weight of the most specific range that covers a media type; 0 when none does."""
    family = media_type.split("/", maxsplit=1)[0] + "/*"
    for wanted in (media_type, family, "*/*", "*"):  # the last one as Java's own client writes it
        for accepted_range, parameters in accepted:
            if accepted_range == wanted:
                return weight(parameters.get("q", "1"))
    return 0.0


def weight(text: str) -> float:
    """Return a quality value, 1 at the most.

    Clients write `.2` and `0.3333`, which RFC 9110, 12.4.2 does not have: only zero refuses, not a number written
    freely, and a text that is none weighs as much as nothing said.
    """
    return min(float(text), 1.0) if NUMBER.fullmatch(text) else 1.0
