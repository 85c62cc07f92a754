"""The limits that a caller can run into, as numbers of the running configuration."""

import orjson
from fastapi import Request, Response

from gradient_service.schemas.replies import LimitsReply
from gradient_service.settings import Settings

NARROW_SPACE = "\u202f"


def limits_of(settings: Settings) -> dict[str, int]:
    """Return the limits by name."""
    return {name: getattr(settings, name) for name in LimitsReply.model_fields}


def shown_limits(settings: Settings) -> dict[str, str]:
    """Return the limits by name, as they are written in texts."""
    return {name: grouped(limit) for name, limit in limits_of(settings).items()}


def grouped(number: int) -> str:
    """Return a whole number with its digits in groups of three."""
    return f"{number:,}".replace(",", NARROW_SPACE)


class Limits:
    """The endpoint that tells them."""

    def __init__(self, settings: Settings) -> None:
        self._content = orjson.dumps(limits_of(settings))

    async def limits(self, request: Request) -> Response:
        """Answer the limits by name."""
        return Response(self._content, media_type="application/json")
