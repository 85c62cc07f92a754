"""Which fields of a request the code reads: those by which heads that are known are compared."""

import ast
from collections.abc import Iterator
from pathlib import Path

from gradient_service.server.known_heads import OWN, READ

SERVICE = Path(__file__).parents[2] / "service" / "gradient_service"
OF_REQUESTS = {
    *("accept", "accept-charset", "accept-encoding", "accept-language", "authorization", "connection"),
    *("content-digest", "content-encoding", "content-language", "content-length", "content-location", "content-md5"),
    *("content-range", "content-type", "cookie", "date", "digest", "dnt", "early-data", "expect", "forwarded", "from"),
    *("host", "idempotency-key", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
    *("inference-header-content-length", "keep-alive", "origin", "pragma", "prefer", "priority", "proxy-authorization"),
    *("proxy-connection", "range", "referer", "save-data", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "te"),
    *("traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade", "user-agent", "via", "want-digest"),
    *("x-api-key", "x-csrf-token", "x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto"),
    *("x-http-method-override", "x-real-ip", "x-request-deadline-ms", "x-request-id", "x-requested-with"),
}
"""Names of fields that requests have, by the registry and by custom."""
ELSEWHERE = {"date", "from", "host", "origin", "upgrade", "priority", "range", "digest", "via", "prefer", "expect"}
"""Of these the words that code uses for other things, and in strings of bytes for the field alone."""


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module that may name a field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes) and node.value.isascii():
            yield node.value.decode().lower()
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lower() not in ELSEWHERE:
            yield node.value.lower()


def test_what_is_read_of_a_head_is_compared() -> None:
    """Each field of requests that a module names settles something, or is looked at with each call."""
    read = {name.decode() for name in READ | OWN}
    modules = {
        file.relative_to(SERVICE): set(texts(ast.parse(file.read_text("utf-8")))) for file in SERVICE.rglob("*.py")
    }
    assert {module: found for module, named in modules.items() if (found := (named & OF_REQUESTS) - read)} == {}
