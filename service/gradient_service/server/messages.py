"""Messages as the rules of HTTP have them, where the parser alone would take others, or leave some unread."""

import re
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gradient_service.server.receipt import Receipt

VERSIONS = frozenset({"1.0", "1.1"})
OF_MESSAGES = frozenset({b"connection", b"content-length", b"proxy-connection", b"transfer-encoding", b"upgrade"})
"""Fields that say where messages end, and connections."""
ABSOLUTE = re.compile(rb"[^:/?#]+://(?P<authority>[^/?#]*)(?P<rest>.*)")
"""A target with a host, by RFC 3986, appendix B; an empty path means `/`."""


class MessageProtocol(HttpToolsProtocol):
    """uvicorn's protocol, more careful with heads than its parser is."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._receipt = Receipt()

    def _feed(self, data: bytes | memoryview) -> None:
        """Parse; where the message asks for another protocol, parse it again as one that does not.

        The parser would leave the body unread. HTTP clients of Java ask for HTTP/2 in every first message.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if self.parser.get_method() == b"CONNECT":  # which asks for a tunnel, and names no path
                raise HttpParserError from None
            version = self.parser.get_http_version().encode()
            head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
            for name, value in self.headers:
                head += [name, b": ", value, b"\r\n"] if name != b"upgrade" else []
            self.parser = self.new_parser()
            self._feed(b"".join([*head, b"\r\n", data[upgrade.args[0] :]]))  # another may follow

    def new_parser(self) -> HttpRequestParser:
        """Return a parser like the one that the connection began with."""
        parser = HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    @property
    def _is_last(self) -> bool:
        """Whether the connection ends with the reply to the message: as asked for, or with any of an old version."""
        return self.parser.get_http_version() == "1.0" or not self.parser.should_keep_alive()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of a head, without the blanks around its value; those behind a body are not read.

        What they are and whether they may be there no caller can rely on, by RFC 9110, 6.5.1.
        """
        if self._receipt.phase != "body":
            super().on_header(name, value.strip(b" \t"))
        elif name.lower() in OF_MESSAGES:  # which the parser itself goes by
            raise HttpParserError

    def _check_target(self) -> None:
        """Raise unless the version is spoken, and the target is a path, `*`, or names the host that Host does.

        Of the last, what is behind the host stays.
        """
        if self.parser.get_http_version() not in VERSIONS:
            raise HttpParserError
        if self.url.startswith(b"/") or self.url == b"*":
            return
        absolute = ABSOLUTE.fullmatch(self.url)
        hosts = [value.lower() for name, value in self.headers if name == b"host"]
        if absolute is None or hosts != [absolute["authority"].lower()]:
            raise HttpParserError
        self.url = absolute["rest"] if absolute["rest"].startswith(b"/") else b"/" + absolute["rest"]
