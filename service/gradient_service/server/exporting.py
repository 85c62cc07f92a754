"""Where traces go: to a collector, as OpenTelemetry's own variables say, once one of them asks for it.

The SDK is an extra and takes a while to import, so nothing of it is loaded before it is asked for. It is imported
before the workers are forked, and what has a thread is made behind the fork.
"""

import logging
from collections.abc import Callable, Mapping

from gradient_service import __version__
from gradient_service.http.traces import Traces

NAME = "gradient-service"
DISABLED, EXPORTER = "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
OTLP, NONE, HTTP = "otlp", "none", "http/protobuf"

UNSENT = "no traces are sent: %s"

logger = logging.getLogger("gradient_service.traces")


def exporting(environ: Mapping[str, str]) -> Callable[[], Traces | None] | None:
    """Return what makes the traces of a worker; None where none are asked for.

    A wish that cannot be met is told in the log, and the service goes on: it does without traces before it does
    without answers.
    """
    given = {name: value.strip() for name, value in environ.items() if name.startswith("OTEL_") and value.strip()}
    is_pointed = any(name in given for name in ENDPOINTS)
    exporter = given.get(EXPORTER, OTLP if is_pointed else NONE)
    if exporter == NONE or given.get(DISABLED, "").lower() == "true":
        return None
    hindrance = _hindrance(exporter, next((given[name] for name in PROTOCOLS if name in given), HTTP))
    if hindrance is None:
        try:
            return _otlp()
        except ImportError:
            hindrance = f"{NAME}[traces] is not installed"
    logger.warning(UNSENT, hindrance)
    return None


def _hindrance(exporter: str, protocol: str) -> str | None:
    if exporter != OTLP:
        return f"{EXPORTER} is {OTLP} or {NONE} here"
    if protocol != HTTP:
        return f"{PROTOCOLS[-1]} is {HTTP} here"
    return None


def _otlp() -> Callable[[], Traces | None]:
    """Return what makes traces that are sent by OTLP over HTTP; the SDK reads where to, how many, and the rest."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same

    def make() -> Traces | None:
        try:
            return traces()
        except Exception as error:  # noqa: BLE001  what the SDK makes of its variables is no reason to answer nobody
            logger.warning(UNSENT, error)
            return None

    def traces() -> Traces:
        own = Resource.create({"service.name": NAME, "service.version": __version__})
        resource = own.merge(OTELResourceDetector().detect())  # what the variables say comes before what goes without
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return Traces(provider.get_tracer(NAME, __version__), provider.shutdown)

    return make
