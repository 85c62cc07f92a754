"""One trace from the caller through the client and the service to its stages, as a collector gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gradient_client import GradientClient, RejectedInputError, Retry, UnavailableError
from gradient_client._wire import WireName
from tests.service.server.collector import Collector, attributes, collecting
from tests.service.server.conftest import running

LOGITS, LABELS = [[1.0, 2.0, 3.0]], [0]
KINDS = {Span.SPAN_KIND_CLIENT: "client ", Span.SPAN_KIND_SERVER: "server "}
STAGES = ["read", "parse", "compute", "encode"]
CHAIN = ["caller", "gradient", "client POST /gradient", "server POST /gradient"]
INFER = {
    "inputs": [
        {"name": "logits", "shape": [1, 3], "datatype": "FP64", "data": LOGITS[0]},
        {"name": "labels", "shape": [1], "datatype": "INT64", "data": LABELS},
    ]
}


@dataclass(frozen=True)
class Traced:
    """A service of two workers and this process, which send what they do to one collector."""

    url: str
    collector: Collector
    tracer: trace.Tracer

    def spans_of(self, act: Callable[[], object]) -> dict[str, Span]:
        """The spans of the trace of something that is done, by their names and kinds, once all have arrived."""
        with self.tracer.start_as_current_span("caller") as caller:
            act()
        trace_id = caller.get_span_context().trace_id.to_bytes(16)

        def of_trace(spans: list[Span]) -> dict[str, Span]:
            return {f"{KINDS.get(span.kind, '')}{span.name}": span for span in spans if span.trace_id == trace_id}

        def is_whole(spans: list[Span]) -> bool:
            found = of_trace(spans)
            return "caller" in found and any(name.startswith("server ") for name in found)

        return of_trace(self.collector.wait_for(is_whole))


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, Collector]]:
    """The address of a service that sends its traces, and the collector."""
    with collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with running("--workers", "2", GRADIENT_MAX_IN_FLIGHT_BYTES="1000000", **variables) as process:
            yield f"http://127.0.0.1:{process.port}", collector


@pytest.fixture
def traced(service: tuple[str, Collector], monkeypatch: pytest.MonkeyPatch) -> Traced:
    """The same with the caller, which traces too."""
    url, collector = service
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector.url}/v1/traces")))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return Traced(url, collector, provider.get_tracer("caller"))


def check_chain(spans: dict[str, Span], *names: str) -> None:
    """Each of the named spans is the parent of the next, begins no later and ends no sooner.

    But for the service's: it ends once the reply is on its way, when the client may have it.
    """
    for above, below in pairwise(names):
        assert spans[below].parent_span_id == spans[above].span_id, (above, below)
        assert spans[above].start_time_unix_nano <= spans[below].start_time_unix_nano
        if not below.startswith("server "):
            assert spans[below].end_time_unix_nano <= spans[above].end_time_unix_nano


@pytest.mark.parametrize("wire", ["binary", "json"])
def test_one_trace_from_the_caller_to_the_stages(traced: Traced, wire: WireName) -> None:
    """In either format, for first calls and later ones, each is the child of the one before and lasts no longer."""

    def call() -> object:
        return client.gradient(LOGITS, LABELS)

    with GradientClient(traced.url, wire=wire) as client:
        for _ in range(3):
            spans = traced.spans_of(call)
            for stage in STAGES:
                check_chain(spans, *CHAIN, stage)
                assert spans[stage].end_time_unix_nano <= spans["client POST /gradient"].end_time_unix_nano
            request, own = attributes(spans["server POST /gradient"]), attributes(spans["gradient"])
            assert request["gradient.request_id"] == own["gradient.request_id"]
            assert (request["gradient.dialect"], request["http.response.status_code"]) == (wire, 200)


def test_any_client_that_names_its_span_is_followed(traced: Traced) -> None:
    """So is a call of the Open Inference Protocol, from another client."""

    def call() -> None:
        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers)
        httpx.post(f"{traced.url}/v2/models/gradient/infer", json=INFER, headers=headers).raise_for_status()

    for _ in range(3):
        spans = traced.spans_of(call)
        for stage in STAGES:
            check_chain(spans, "caller", "server POST /v2/models/{model}/infer", stage)
        assert attributes(spans["server POST /v2/models/{model}/infer"])["url.path"] == "/v2/models/gradient/infer"


@pytest.mark.parametrize(
    ("rows", "labels", "error", "slug"),
    [(1, [7], RejectedInputError, "label-out-of-range"), (10_000, [0] * 10_000, UnavailableError, "overloaded")],
)
def test_a_refusal_is_in_the_trace(
    traced: Traced, rows: int, labels: list[int], error: type[Exception], slug: str
) -> None:
    """Its span has the slug; it is an error of the service where that had no room, and of the client in any case."""

    def call() -> None:
        with GradientClient(traced.url, retry=Retry(0)) as client, pytest.raises(error):
            client.gradient(LOGITS * rows, labels)

    spans = traced.spans_of(call)
    server, client = spans["server POST /gradient"], spans["client POST /gradient"]
    check_chain(spans, *CHAIN)
    assert attributes(server)["gradient.problem"] == slug
    assert (server.status.code == Status.STATUS_CODE_ERROR) == (slug == "overloaded")
    assert client.status.code == Status.STATUS_CODE_ERROR
    assert attributes(spans["gradient"])["error.type"] == error.__name__
