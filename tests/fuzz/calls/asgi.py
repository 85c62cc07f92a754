"""One request put to the application itself, with nothing between: what a server would hand it, and what it sends."""

from __future__ import annotations

from asyncio import Event
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI

from tests.fuzz.calls.messages import Message

HOST = ("host", "service.test")


@dataclass
class Reply:
    """What the application sent."""

    status: int = 0
    headers: dict[str, str] | None = None
    body: bytes = b""
    failure: Exception | None = None
    """What the application raised, as a server would log it."""

    def header(self, name: str) -> str:
        """A header field by its name in small letters; empty if it is absent."""
        return (self.headers or {}).get(name, "")


def scope_of(message: Message) -> dict[str, Any]:
    """The request as a server describes it; the length is the body's where the message says none."""
    path, _, query = message.path.partition("?")
    given = {name for name, _ in message.headers}
    fields = [*message.headers]
    if "host" not in given:
        fields.append(HOST)
    if given.isdisjoint({"content-length", "transfer-encoding"}):
        fields.append(("content-length", str(len(message.body))))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": message.method,
        "scheme": "http",
        "path": unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "replace"),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }


async def ask(app: FastAPI, message: Message) -> Reply:
    """The reply of the application to a message."""
    reply, parts = Reply(), []
    is_sent = False

    async def receive() -> dict[str, Any]:
        nonlocal is_sent
        if is_sent:
            await Event().wait()  # the caller stays until the reply has come
        is_sent = True
        return {"type": "http.request", "body": message.body, "more_body": False}

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            reply.status = event["status"]
            reply.headers = {name.decode().lower(): value.decode("latin-1") for name, value in event["headers"]}
        else:
            parts.append(event.get("body", b""))

    try:
        await app(scope_of(message), receive, send)
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the fuzzer looks for
        reply.failure = error
    reply.body = b"".join(parts)
    return reply
