"""Which path under `/v2` answers what, as a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from gradient_service.http import code_samples, openapi
from gradient_service.http.endpoints import Path
from gradient_service.http.example_files import examples
from gradient_service.http.health import Readiness
from gradient_service.http.keys import Endpoint
from gradient_service.http.metrics import Metrics
from gradient_service.http.open_inference.endpoints import InferenceServer
from gradient_service.http.open_inference.exchange import BINARY_TYPE, JSON_BYTES
from gradient_service.http.openapi_components import headers, in_path, parameters
from gradient_service.schemas.open_inference import (
    InferenceReply,
    InferenceRequest,
    ModelConfigReply,
    ModelMetadataReply,
    ModelName,
    ModelReadyReply,
    ModelVersion,
    RepositoryIndex,
    ServerLiveReply,
    ServerMetadataReply,
    ServerReadyReply,
    StatisticsReply,
)
from gradient_service.settings import Settings

TAG = "v2"
MODEL = "/v2/models/{model}"
INFER_STATUSES = tuple(sorted((*openapi.CALL_STATUSES, 404, 501)))
BINARY_CONTENT = {BINARY_TYPE: openapi.BINARY_SCHEMA}
SHARED_MEMORIES = ("systemsharedmemory", "cudasharedmemory")
GET_AND_POST = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class Row:
    """A path that tells something."""

    path: str
    name: str
    endpoint: Endpoint
    reply: type[BaseModel]
    statuses: tuple[int, ...] = ()
    method: str = "GET"


def paths(settings: Settings, readiness: Readiness, metrics: Metrics) -> Iterator[Path]:
    """Yield every path; what is fixed comes before what is named by the caller."""
    server = InferenceServer(settings, readiness, metrics)
    for row in (*_of_the_server(server), *_of_a_model(server)):
        document = openapi.get_document(row.reply, *row.statuses)
        document = _with_parameters(row.path, document)
        is_open = row.path.startswith("/v2/health/")
        yield Path(row.path, row.name, row.endpoint, document, TAG, row.method, is_open=is_open)
    document = _infer_document()
    for path, name in ((f"{MODEL}/infer", "infer"), (f"{MODEL}/versions/{{version}}/infer", "infer_version")):
        yield Path(path, f"v2_{name}", server.infer, _with_parameters(path, document), TAG, "POST")
    for method, path in _not_offered():
        yield Path(path, "v2_not_offered", server.not_offered, None, TAG, method)


def _infer_document() -> dict[str, Any]:
    """Return what the document says of a call: its bodies are JSON, alone or with tensors behind it."""
    shown = examples("infer")
    samples = {name: code_samples.of_inference(example) for name, example in shown.items()}
    document = openapi.body_document(InferenceRequest, InferenceReply, shown, samples, INFER_STATUSES)
    document["parameters"] += parameters(JSON_BYTES)
    document["requestBody"]["content"] |= BINARY_CONTENT
    document["responses"]["200"]["content"] |= BINARY_CONTENT
    document["responses"]["200"]["headers"] |= headers(JSON_BYTES, "Content-Encoding")
    return document


def _of_the_server(server: InferenceServer) -> list[Row]:
    return [
        Row("/v2", "v2_metadata", server.metadata, ServerMetadataReply),
        Row("/v2/", "v2_metadata_slash", server.metadata, ServerMetadataReply),
        Row("/v2/health/live", "v2_live", server.live, ServerLiveReply),
        Row("/v2/health/ready", "v2_ready", server.ready, ServerReadyReply, (503,)),
        Row("/v2/models/stats", "v2_statistics", server.all_statistics, StatisticsReply),
        Row("/v2/repository/index", "v2_index", server.index, RepositoryIndex, (), "POST"),
    ]


def _of_a_model(server: InferenceServer) -> Iterator[Row]:
    for path, suffix in ((MODEL, ""), (MODEL + "/versions/{version}", "_version")):
        yield Row(path, f"v2_model_metadata{suffix}", server.model_metadata, ModelMetadataReply, (404,))
        yield Row(f"{path}/ready", f"v2_model_ready{suffix}", server.model_ready, ModelReadyReply, (404, 503))
        yield Row(f"{path}/config", f"v2_model_config{suffix}", server.model_config, ModelConfigReply, (404,))
        yield Row(f"{path}/stats", f"v2_model_statistics{suffix}", server.model_statistics, StatisticsReply, (404,))


def _not_offered() -> Iterator[tuple[str, str]]:
    """Yield method and path of what Triton has besides."""
    for verb in ("load", "unload"):
        yield "POST", f"/v2/repository/models/{{model}}/{verb}"
    for memory in SHARED_MEMORIES:
        yield "GET", f"/v2/{memory}/status"
        yield "GET", f"/v2/{memory}/region/{{region}}/status"
        yield "POST", f"/v2/{memory}/region/{{region}}/register"
        yield "POST", f"/v2/{memory}/region/{{region}}/unregister"
        yield "POST", f"/v2/{memory}/unregister"
    for method in GET_AND_POST:
        yield method, "/v2/trace/setting"
        yield method, f"{MODEL}/trace/setting"
        yield method, "/v2/logging"


def _with_parameters(path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a path with what its braces stand for."""
    models = {"model": ModelName, "version": ModelVersion}
    asked = [in_path(name, model) for name, model in models.items() if f"{{{name}}}" in path]
    return document | {"parameters": [*asked, *document["parameters"]]}
