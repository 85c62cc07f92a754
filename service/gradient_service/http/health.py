"""Whether the process lives, and whether it takes work."""

from dataclasses import dataclass

import orjson
from fastapi import Request, Response

from gradient_service.http.problems import HttpProblemError


@dataclass(slots=True)
class Lifecycle:
    """What the server has reached; changed by its start and its shutdown only."""

    is_started: bool = False
    is_draining: bool = False

    @property
    def parts(self) -> dict[str, bool]:
        """Each condition of readiness by name."""
        return {"started": self.is_started, "not_draining": not self.is_draining}


def check_ready(lifecycle: Lifecycle) -> None:
    """Raise `shutting-down` while no work is taken."""
    if not all(lifecycle.parts.values()):
        raise HttpProblemError("shutting-down", "The service is starting or draining.", {"Retry-After": "1"})


class Health:
    """The health endpoints of one application."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    async def livez(self, request: Request) -> Response:
        """Answer that the process lives."""
        return _status({"alive": True}, is_verbose="verbose" in request.query_params)

    async def readyz(self, request: Request) -> Response:
        """Answer that work is taken, or raise `shutting-down` while starting or draining."""
        check_ready(self._lifecycle)
        return _status(self._lifecycle.parts, is_verbose="verbose" in request.query_params)


def _status(parts: dict[str, bool], *, is_verbose: bool) -> Response:
    content: dict[str, object] = {"status": "ok"}
    if is_verbose:
        content["parts"] = parts
    return Response(orjson.dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})
