"""A scripted service in place of the network, two real sockets, and one way to run a case on every client."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gradient_client import AsyncGradientClient, GradientClient, HttpReply, HttpRequest
from gradient_client._wire import WireName

from .formats import BINARY, fields_of, in_binary

URL = "http://service.test"
SUMMARY = {
    "loss_sum": 1.5,
    "weight_sum": 2.0,
    "example_count": 2,
    "ignored_count": 0,
    "correct_count": 1,
    "loss_tail": [1e-17],
    "weight_tail": [],
}


class Script:
    """A transport that answers from a list, the last entry for ever, and keeps the requests."""

    def __init__(self, outcomes: Iterable[HttpReply | OSError]) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[HttpRequest] = []

    def __call__(self, request: HttpRequest) -> HttpReply:
        """Answer as the synchronous client wants it."""
        self.requests.append(request)
        outcome = self.outcomes[min(len(self.requests), len(self.outcomes)) - 1]
        if isinstance(outcome, OSError):
            raise outcome
        return in_binary(outcome) if request.headers["Accept"] == BINARY else outcome

    async def awaited(self, request: HttpRequest) -> HttpReply:
        """Answer as the asynchronous client wants it."""
        await anyio.lowlevel.checkpoint()
        return self(request)

    @property
    def sent(self) -> Any:
        """The fields of the last request, arrays as lists."""
        return fields_of(self.requests[-1])


def json_reply(document: object, **headers: str) -> HttpReply:
    """A successful reply."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(200, {"Content-Type": "application/json"} | named, json.dumps(document).encode())


def problem(status: int, slug: str, pointer: str = "", **headers: str) -> HttpReply:
    """A problem document."""
    body = {
        "type": f"/problems/{slug}",
        "title": slug,
        "status": status,
        "detail": "what is wrong",
        "request_id": "from-the-service",
        "errors": [{"pointer": pointer, "code": slug, "detail": "what is wrong"}],
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpReply(status, {"Content-Type": "application/problem+json"} | named, json.dumps(body).encode())


def report_reply(**changes: object) -> HttpReply:
    """The report of a gradient of two rows that is the sum where the mean was asked for."""
    errors = {kind: {"maximum": 1.0, "median": 0.5} for kind in ("ulp", "absolute", "relative")}
    report: dict[str, object] = {
        "verdict": "mismatch",
        "diagnoses": [{"code": "sum_instead_of_mean", "explanation": "gradient: it is the sum.", "residual": 1e-16}],
        "worst_rows": [{"output": "gradient", "row": 1, "class": 0, "claimed": 0.5, "reference": 0.25}],
        "statistics": {"gradient": {"claimed": errors, "plain": errors}},
        "invariants": [{"name": "finite", "holds": True, "value": 0.0}],
        "applied": {"dtype": "float64"},
    }
    return json_reply(report | changes)


def softmax_reply(**changes: object) -> HttpReply:
    """A softmax answer for two rows of two classes."""
    document = {
        "probabilities": [[0.25, 0.75], [1, 0]],
        "predicted_labels": [1, 0],
        "applied": {"dtype": "float64", "temperature": 1.0},
    }
    return json_reply({name: value for name, value in (document | changes).items() if value is not None})


def gradient_reply(**changes: object) -> HttpReply:
    """A gradient answer for two rows of two classes."""
    document = {
        "loss": 0.75,
        "gradient": [[0.5, -0.5], [-0.25, 0.25]],
        "summary": SUMMARY,
        "applied": {"dtype": "float64", "reduction": "mean"},
    }
    return json_reply({name: value for name, value in (document | changes).items() if value is not None})


Ask = Callable[..., Any]


@pytest.fixture(params=["binary", "json"])
def wire(request: pytest.FixtureRequest) -> WireName:
    """The format of bodies, one after the other."""
    name: WireName = request.param
    return name


@pytest.fixture(params=["sync", "asyncio", "trio"])
def ask(request: pytest.FixtureRequest, wire: WireName) -> Ask:
    """Run one method of a client of each kind, in each format, against a script."""
    kind: str = request.param

    def run(script: Script, method: str, *args: object, options: Any = None, **keywords: object) -> Any:
        settings = {"wire": wire, **(options or {})}
        if kind == "sync":
            with GradientClient(URL, transport=script, **settings) as client:
                return getattr(client, method)(*args, **keywords)

        async def run_async() -> Any:
            async with AsyncGradientClient(URL, transport=script.awaited, **settings) as client:
                return await getattr(client, method)(*args, **keywords)

        return anyio.run(run_async, backend=kind)

    return run


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the tests that are about connections; the shells run on both above."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GRADIENT_SERVICE_URL",
        "GRADIENT_API_KEY",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


BODY = b'{"max_elements": 64}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET with limits; the request id comes back, so that mixed-up replies would show."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or the kernel holds the second back for 40 ms

    def do_GET(self) -> None:
        """Send the limits."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("X-Request-ID", self.headers["X-Request-ID"])
        self.send_header("X-Peer", str(self.client_address[1]))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Takes as many connections at once as the tests open; after the usual five the rest wait a second."""

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A service that always answers."""
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


Conversation = Callable[[int, socket.socket], None]
RawService = Callable[[Conversation], str]


@pytest.fixture
def raw() -> Iterator[RawService]:
    """A socket that answers each connection as the test says."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(talk: Conversation) -> None:
        for number in range(1000):
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    talk(number, connection)
                except OSError:
                    continue

    def start(talk: Conversation) -> str:
        threads.append(threading.Thread(target=serve, args=(talk,), daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join(5)
