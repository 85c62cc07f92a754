"""A service that refuses calls for want of room, without having any."""

import pytest

from gradient_service.http.admission import Admission
from gradient_service.server import resting

from .conftest import Talk

BODY = b'{"logits": [[1, 2]], "labels": [0]}'


def call(body: bytes) -> bytes:
    """A message with this body."""
    head = [b"POST /loss HTTP/1.1", b"Host: localhost", b"Content-Type: application/json"]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", body])


CALL = call(BODY)


def make_busy(patched: pytest.MonkeyPatch) -> None:
    """Have every call find no room, and calls wait; rests do not end by themselves."""
    patched.setattr(resting, "REST_SECONDS", 60.0)
    patched.setattr(resting, "AT_ONCE_PER_SECOND", 0.0)
    patched.setattr(Admission, "is_idle", property(lambda _: False))
    patched.setattr(Admission, "wants_more", property(lambda _: False))
    patched.setattr(Admission, "refuses", lambda *_: True)


async def status(talk: Talk) -> bytes:
    """That of the next answer."""
    head, _ = await talk.answer()
    return head[9:12]
