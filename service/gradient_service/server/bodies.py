"""Bodies of declared length go past the parser: what is large and read, and what nobody reads."""

from asyncio import CancelledError
from typing import Any

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gradient_service.http.body import LARGE_BYTES
from gradient_service.server.arriving import ArrivingBody, Discard, Unparsed
from gradient_service.server.refusing import DISCARDED_BYTES
from gradient_service.server.timed import TimedProtocol


class BodyProtocol(TimedProtocol):
    """A connection of whose bodies some go past the parser."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unparsed: Unparsed | None = None
        """The rest of a body that the parser does not see."""

    @property
    def place(self) -> memoryview | None:
        """Where to put what arrives next; None where it does not matter."""
        return None if self._unparsed is None else self._unparsed.place

    def _take(self, body: Unparsed, data: bytes | memoryview) -> bytes | memoryview:
        """Take what belongs to a body that is not parsed; return what lies behind it, of the next message."""
        behind = body.take(data)
        self._receipt.body_bytes += len(data) - len(behind)  # of one that is passed over some is not read at all
        if body.is_whole:
            self._unparsed = None
            self._end_unparsed()
        return behind

    def _end_unparsed(self) -> None:
        """Expect the next message behind a body that was not parsed."""
        self.parser = self.new_parser()  # the one before knows the head, and waits for its body
        self.on_message_complete()

    def _begin_discard(self) -> None:
        """Begin to pass over what is left of a body that nobody reads, where it is known how much that is."""
        declared = self._receipt.declared_bytes
        if declared is None or declared > DISCARDED_BYTES or self._closing.is_closing():
            return
        self._unparsed = Discard(self.transport, declared - self._receipt.body_bytes)
        self._take(self._unparsed, b"")

    async def _receive(self, cycle: RequestResponseCycle) -> Message:
        """Return what a request's application receives next: a large body whole, where its length is declared."""
        message: Message = dict(await cycle.receive())
        declared = self._receipt.declared_bytes or 0
        if not message.get("more_body") or cycle is not self.cycle or declared <= LARGE_BYTES:
            return message
        self._unparsed = body = ArrivingBody(declared, message["body"])
        try:
            while not body.is_whole and message["type"] == "http.request":
                message = dict(await cycle.receive())
        except CancelledError:
            if self._unparsed is body:
                self._unparsed = Discard(self.transport, declared - self._receipt.body_bytes)
            raise
        finally:
            if self._unparsed is body:
                self._unparsed = None
            if not body.is_whole:
                cycle.scope["state"]["arrived_bytes"] = body.arrived
        return message if message["type"] == "http.disconnect" else {**message, "body": body.content}
