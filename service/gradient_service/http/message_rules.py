"""What a request must be as an HTTP message, before its path is looked at: the first check of all, on every route."""

import re
from asyncio import CancelledError
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradient_service.http.body import declared_length
from gradient_service.http.health import Lifecycle, shutting_down
from gradient_service.http.problems import HttpProblemError, refusal
from gradient_service.settings import Settings

# RFC 3986, 3.2.2 and 3.2.3, as RFC 9110, 7.2 asks: a name or an address, and a port.
HOST = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+))(?::(?P<port>[0-9]{0,5}))?"
)
MAX_PORT = 65535
FIELD_OVERHEAD = 4  # a colon, a space, a line end
SWALLOWED_BYTES = 1024 * 1024
"""A refused request's body is read this far, to keep the connection; a larger one closes it."""


@dataclass(frozen=True, slots=True)
class MessageRules:
    """The bounds on a message, and the names it may be addressed to."""

    max_header_bytes: int
    max_header_fields: int
    is_loopback_only: bool

    @classmethod
    def of(cls, settings: Settings) -> "MessageRules":
        """Return the rules that the settings make."""
        return cls(settings.max_header_bytes, settings.max_header_fields, is_loopback(settings.host))

    def check(self, scope: Scope) -> None:
        """Raise for the first rule that a message breaks.

        Raises:
            HttpProblemError: `uri-too-long`, `headers-too-large`, `malformed-http`, `misdirected-request`,
                `expectation-failed`.
        """
        for error in self._broken(scope):
            raise error

    def _broken(self, scope: Scope) -> Iterator[HttpProblemError]:
        headers = Headers(scope=scope)
        if len(scope["raw_path"]) + len(scope["query_string"]) > self.max_header_bytes:
            yield HttpProblemError("uri-too-long", f"The limit is {self.max_header_bytes} bytes.")
        if len(headers.raw) > self.max_header_fields:
            yield HttpProblemError("headers-too-large", f"The limit is {self.max_header_fields} header fields.")
        if sum(len(name) + len(value) + FIELD_OVERHEAD for name, value in headers.raw) > self.max_header_bytes:
            yield HttpProblemError("headers-too-large", f"The limit is {self.max_header_bytes} bytes of header fields.")
        yield from self._broken_by_host(headers.getlist("host"), scope["http_version"])
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            yield HttpProblemError("malformed-http", "The only transfer coding that is read is chunked.")
        if any(each.lower() != "100-continue" for each in headers.getlist("expect")):
            yield HttpProblemError("expectation-failed", "The only expectation that is met is 100-continue.")

    def _broken_by_host(self, hosts: list[str], http_version: str) -> Iterator[HttpProblemError]:
        if not hosts and http_version == "1.0":
            return
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            yield HttpProblemError("malformed-http", "One Host field is needed, a name or an address and a port.")
        elif self.is_loopback_only and not is_loopback(name):
            detail = "This service listens for its own machine only, and answers to that machine's names only."
            yield HttpProblemError("misdirected-request", detail)


@lru_cache(maxsize=64)
def host_name(field: str) -> str | None:
    """Return the name or the address that Host tells, None where it is malformed; callers send the same few again."""
    match = HOST.fullmatch(field)
    if match is None or int(match["port"] or 0) > MAX_PORT:
        return None
    try:
        return match["name"] or str(IPv6Address(match["address"]))
    except ValueError:
        return None


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether a name or an address is one of the machine itself."""
    name = host.lower().removesuffix(".")
    *labels, last = name.split(".")
    if last == "localhost":
        return all(labels)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


class MessageRulesMiddleware:
    """Refuses messages that break the rules, and closes connections whose body is not worth reading to its end.

    Calls that the server cancels, as they outlast its end, are refused too.
    """

    def __init__(self, app: ASGIApp, rules: MessageRules, lifecycle: Lifecycle) -> None:
        self.app = app
        self._rules = rules
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = ClosingExchange(scope, receive, send, self._lifecycle)
        try:
            self._rules.check(scope)
            await self.app(scope, exchange.receive, exchange.send)
        except HttpProblemError as error:
            await refusal(Request(scope), error)(scope, exchange.receive, exchange.send)
        except CancelledError:
            if exchange.is_begun or not self._lifecycle.is_draining:
                raise
            ended = shutting_down("The service ended before the call did.")
            await refusal(Request(scope), ended)(scope, exchange.receive, exchange.send)


class ClosingExchange:
    """One request and its reply, the last of its connection if it comes before the body, or the service is to end."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._headers = Headers(scope=scope)
        self._receive = receive
        self._send = send
        self._is_read = False
        self.is_begun = False
        """Whether the reply is."""

    async def receive(self) -> Message:
        """Receive a part of the body, or its end."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._is_read = True
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the reply."""
        if message["type"] == "http.response.start":
            self.is_begun = True
            is_left_unread = not self._is_read and self._has_much_to_read
            if is_left_unread or self._lifecycle.is_draining:
                MutableHeaders(scope=message)["Connection"] = "close"
        await self._send(message)

    @property
    def _has_much_to_read(self) -> bool:
        """Whether the body is long, of unknown length, or will not come because the caller waits to be asked for it."""
        is_open_ended = "transfer-encoding" in self._headers or "expect" in self._headers
        return is_open_ended or declared_length(self._headers) > SWALLOWED_BYTES
