"""What the paths under `/v2` answer."""

from functools import partial

from fastapi import Request, Response
from pydantic import BaseModel

from gradient_service import __version__
from gradient_service.http.admission import Admission
from gradient_service.http.calls import Call
from gradient_service.http.catalogue import MODELS, Operation
from gradient_service.http.health import Readiness
from gradient_service.http.metrics import Metrics
from gradient_service.http.open_inference.exchange import negotiate
from gradient_service.http.open_inference.models import config_of, metadata_of
from gradient_service.http.open_inference.statistics import ModelCounters
from gradient_service.http.problems import HttpProblemError
from gradient_service.http.timing import StageTiming
from gradient_service.schemas.open_inference import (
    ModelName,
    ModelReadyReply,
    ModelVersion,
    RepositoryIndex,
    RepositoryModel,
    ServerLiveReply,
    ServerMetadataReply,
    ServerReadyReply,
    StatisticsReply,
)
from gradient_service.settings import Settings
from gradient_service.wire import json_body

NAME = "gradient-service"
EXTENSIONS = ["binary_tensor_data", "model_configuration", "parameters", "statistics"]


class Model:
    """One operation as a model."""

    def __init__(self, operation: Operation, settings: Settings, admission: Admission, counters: ModelCounters) -> None:
        self.name = ModelName(operation.name)
        self.metadata = metadata_of(operation)
        self.config = config_of(operation)
        self._counters = counters
        self._call = Call(operation, settings, negotiate, admission, partial(counters.succeeded, self.name))

    async def infer(self, request: Request) -> Response:
        """Answer a request, and count it where it fails."""
        timing = StageTiming()
        try:
            return await self._call.answer_timed(request, timing)
        except BaseException:
            self._counters.failed(self.name, timing)
            raise


class InferenceServer:
    """The endpoints of one application; each first line says in the OpenAPI document what it answers."""

    def __init__(self, settings: Settings, readiness: Readiness, metrics: Metrics) -> None:
        self._readiness = readiness
        admission = readiness.admission
        self._counters = counters = ModelCounters(metrics)
        self._models = {each.name: Model(each, settings, admission, counters) for each in MODELS}

    async def live(self, request: Request) -> Response:
        """Answer that the server lives."""
        return _told(ServerLiveReply(live=True))

    async def ready(self, request: Request) -> Response:
        """Answer that the server takes work."""
        self._readiness.check()
        return _told(ServerReadyReply(ready=True))

    async def metadata(self, request: Request) -> Response:
        """Answer the server's name, version and the protocol's extensions that it speaks."""
        return _told(ServerMetadataReply(name=NAME, version=__version__, extensions=EXTENSIONS))

    async def index(self, request: Request) -> Response:
        """Answer every model with its state."""
        return _told(
            RepositoryIndex(
                [
                    RepositoryModel(name=ModelName(name), version=ModelVersion.ONE, state="READY", reason="")
                    for name in self._models
                ]
            )
        )

    async def all_statistics(self, request: Request) -> Response:
        """Answer the statistics of every model."""
        return _told(StatisticsReply(model_stats=self._counters.told(*(model.name for model in self._models.values()))))

    async def model_metadata(self, request: Request) -> Response:
        """Answer the tensors that a model reads and answers."""
        return _told(self._model(request).metadata)

    async def model_ready(self, request: Request) -> Response:
        """Answer that a model takes work."""
        model = self._model(request)
        self._readiness.check()
        return _told(ModelReadyReply(name=model.metadata.name, ready=True))

    async def model_config(self, request: Request) -> Response:
        """Answer a model's configuration in Triton's form."""
        return _told(self._model(request).config)

    async def model_statistics(self, request: Request) -> Response:
        """Answer the statistics of a model."""
        return _told(StatisticsReply(model_stats=self._counters.told(self._model(request).name)))

    async def infer(self, request: Request) -> Response:
        """Answer what a model computes from tensors.

        Inputs are the array fields of the native request of the same name, parameters its other fields, outputs its
        `include`. Data can be binary, both ways: with `Inference-Header-Content-Length` the body is so many bytes of
        JSON and the tensors behind it, little-endian, back to back, each with the parameter `binary_data_size` in
        place of `data`; outputs are binary where `binary_data`, or for all `binary_data_output`, is true. Bodies may
        be coded by gzip or deflate; replies are where `Accept-Encoding` prefers one of these to all else.
        """
        return await self._model(request).infer(request)

    async def not_offered(self, request: Request) -> Response:
        """Refuse what the protocol has and this service has not."""
        raise HttpProblemError("not-implemented", "This part of the protocol is not offered here.")

    def _model(self, request: Request) -> Model:
        """Return the model that the path names.

        Raises:
            HttpProblemError: `not-found`: there is no such model, or no such version of it.
        """
        model = self._models.get(request.path_params["model"])
        if model is None:
            raise HttpProblemError("not-found", f"There is no such model; there are {', '.join(self._models)}.")
        if request.path_params.get("version", ModelVersion.ONE) != ModelVersion.ONE:
            raise HttpProblemError("not-found", "There is no such version of the model; there is version 1.")
        return model


def _told(reply: BaseModel) -> Response:
    return Response(reply.model_dump_json(exclude_unset=True), media_type=json_body.MEDIA_TYPE)
