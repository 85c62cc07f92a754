"""Who may call, where the operator gave out keys: `Authorization: Bearer` and one of them."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from hmac import compare_digest

from fastapi import Request, Response

from gradient_service.http.problems import HttpProblemError
from gradient_service.settings import Settings

Endpoint = Callable[[Request], Awaitable[Response]]

SCHEME = b"bearer"


class Keys:
    """The keys that are accepted; several, so that one can be replaced while another still works."""

    def __init__(self, settings: Settings) -> None:
        keys = settings.api_keys.get_secret_value().split(",")
        self._digests = [_digest(key.strip().encode()) for key in keys if key.strip()]

    def guard(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint behind the check; the endpoint itself where no keys were given out."""
        if not self._digests:
            return endpoint

        async def guarded(request: Request) -> Response:
            self.check(request)
            return await endpoint(request)

        guarded.__doc__ = endpoint.__doc__
        return guarded

    def check(self, request: Request) -> None:
        """Raise `unauthenticated` unless the request carries one of the keys.

        Digests are compared, all of them and whole, so that the time tells nothing of a key, not even its length.
        """
        given = [value for name, value in request.scope["headers"] if name == b"authorization"]
        scheme, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        digest = _digest(key.strip())
        matches = [compare_digest(digest, known) for known in self._digests]
        if not (any(matches) and scheme.lower() == SCHEME):
            raise HttpProblemError(
                "unauthenticated",
                "A key is needed: Authorization: Bearer and the key.",
                {"WWW-Authenticate": 'Bearer realm="gradient-service"'},
            )


def _digest(key: bytes) -> bytes:
    return sha256(key).digest()
