"""Whether the process lives, and whether it takes work."""

from dataclasses import dataclass

import orjson
from fastapi import Request, Response

from gradient_service.http.admission import Admission, overloaded
from gradient_service.http.problems import HttpProblemError


@dataclass(slots=True)
class Lifecycle:
    """What the server has reached; changed by its start and its shutdown only."""

    is_started: bool = False
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether work is taken, as far as the server has come and as much as it has room for."""

    lifecycle: Lifecycle
    admission: Admission

    @property
    def parts(self) -> dict[str, bool]:
        """Each condition by name."""
        return {
            "started": self.lifecycle.is_started,
            "not_draining": not self.lifecycle.is_draining,
            "within_budget": self.admission.has_room,
        }

    def check(self) -> None:
        """Raise `shutting-down` while starting or draining, `overloaded` while calls are refused for lack of room."""
        is_running = self.lifecycle.is_started and not self.lifecycle.is_draining
        if not is_running:
            raise shutting_down("The service is starting or draining.")
        if not self.admission.has_room:
            raise overloaded("The calls under way leave no room for more.")

    def refuses(self, body_bytes: int, waited_seconds: float = 0.0, memory_per_byte: int = 1) -> bool:
        """Return whether a call with a body of this length can be refused before the application sees it.

        While draining the application answers, which also ends the connection.
        """
        return not self.lifecycle.is_draining and self.admission.refuses(body_bytes, waited_seconds, memory_per_byte)


class Health:
    """The health endpoints of one application."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def livez(self, request: Request) -> Response:
        """Answer that the process lives."""
        return _status({"alive": True}, is_verbose="verbose" in request.query_params)

    async def readyz(self, request: Request) -> Response:
        """Answer that work is taken, or raise shutting-down or overloaded."""
        self._readiness.check()
        return _status(self._readiness.parts, is_verbose="verbose" in request.query_params)


def shutting_down(detail: str) -> HttpProblemError:
    """Return the refusal that has the caller ask another process."""
    return HttpProblemError("shutting-down", detail, {"Retry-After": "1"})


def _status(parts: dict[str, bool], *, is_verbose: bool) -> Response:
    content: dict[str, object] = {"status": "ok"}
    if is_verbose:
        content["parts"] = parts
    return Response(orjson.dumps(content), media_type="application/json", headers={"Cache-Control": "no-store"})
