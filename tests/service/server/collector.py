"""A collector of traces on a loopback port, which reads what OTLP exporters send by the protocol's own messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What has arrived."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Span] = []
        self.services: set[str] = set()
        """Names of those that sent it."""

    def take(self, body: bytes) -> None:
        """Read one message."""
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {attribute.key: attribute.value.string_value for attribute in each.resource.attributes}
            self.services.add(told["service.name"])
            self.spans += [span for scope in each.scope_spans for span in scope.spans]

    def wait_for(self, is_there: Callable[[list[Span]], bool], seconds: float = 30.0) -> list[Span]:
        """The spans, once those that are waited for are among them."""
        deadline = time.monotonic() + seconds
        while not is_there(list(self.spans)):
            assert time.monotonic() < deadline, [span.name for span in self.spans]
            time.sleep(0.02)
        return list(self.spans)


def attributes(span: Span) -> dict[str, Any]:
    """What a span says."""
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collect while the block runs."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        """Takes what is sent to the path of traces."""

        def do_POST(self) -> None:
            """Read a message and say that it has arrived."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_known = (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            if is_known:
                collector.take(body)
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
