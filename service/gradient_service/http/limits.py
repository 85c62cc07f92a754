"""The limits that a caller can run into, as numbers of the running configuration."""

import orjson
from fastapi import Request, Response

from gradient_service.schemas.replies import LimitsReply
from gradient_service.settings import Settings


def limits_of(settings: Settings) -> dict[str, int]:
    """Return the limits by name."""
    return {name: getattr(settings, name) for name in LimitsReply.model_fields}


class Limits:
    """The endpoint that tells them."""

    def __init__(self, settings: Settings) -> None:
        self._content = orjson.dumps(limits_of(settings))

    async def limits(self, request: Request) -> Response:
        """Answer the limits by name."""
        return Response(self._content, media_type="application/json")
