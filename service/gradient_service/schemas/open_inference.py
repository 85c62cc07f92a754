"""Bodies of the Open Inference Protocol, in the form that Triton gives them. Nothing has a default."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, RootModel

from gradient_service.core.options import Choice
from gradient_service.schemas.fields import Absent, Body, Count

Dimension = Annotated[int, Field(ge=-1, json_schema_extra={"format": "int64"})]
Elements = Annotated[list[Any], Field(json_schema_extra={"items": {}})]
"""Numbers or booleans, flat or as rows; null is the log-probability of a masked class."""


class ModelName(Choice):
    """The models."""

    SOFTMAX = "softmax", "scores to probabilities and decisions, as POST `/softmax`"
    LOSS = "loss", "cross-entropy and its mergeable summary, as POST `/loss`"
    GRADIENT = "gradient", "loss and ∂loss/∂logits in one pass, as POST `/gradient`"


class ModelVersion(Choice):
    """The versions of a model."""

    ONE = "1", "the only one; a model without a version is this one"


class InferenceInput(Body):
    """A tensor to read: an array field of the model's native request."""

    name: str
    datatype: str
    """Numbers: FP16, FP32, FP64, and BF16 as binary data. Labels: any INT or UINT. Masks: BOOL."""
    shape: list[Count]
    data: Elements | Absent = None
    """Row-major, flat or nested."""
    parameters: dict[str, Any] | Absent = None
    """In place of `data`: `binary_data_size`."""


class WantedOutput(Body):
    """An output to answer."""

    name: str
    parameters: dict[str, Any] | Absent = None
    """`binary_data`: whether it is wanted as binary data."""


class InferenceRequest(Body):
    """Tensors by the names of the native array fields, and all other fields but `include` as parameters."""

    id: str | Absent = None
    """Echoed."""
    model_name: ModelName | Absent = None
    """The model of the path, which some clients say again; another one is refused."""
    model_version: ModelVersion | Absent = None
    """Likewise."""
    inputs: list[InferenceInput]
    outputs: list[WantedOutput] | Absent = None
    """What to answer, in place of the default."""
    parameters: dict[str, Any] | Absent = None
    """The scalar fields of the native request, and `binary_data_output`."""


class InferenceOutput(Body):
    """A tensor answered; a scalar has shape [1]."""

    name: str
    datatype: str
    shape: list[Count]
    data: Elements | Absent = None
    """Row-major and flat; null for the −∞ log-probability of a masked class."""
    parameters: dict[str, Any] | Absent = None
    """In place of `data`: `binary_data_size`."""


class InferenceReply(Body):
    """The outputs asked for."""

    model_name: ModelName
    model_version: ModelVersion
    id: str | Absent = None
    parameters: dict[str, str]
    """`applied` and, where asked for, `summary`, each a JSON object as text."""
    outputs: list[InferenceOutput]


class ServerLiveReply(Body):
    """The server lives."""

    live: bool


class ServerReadyReply(Body):
    """The server takes work."""

    ready: bool


class ModelReadyReply(Body):
    """The model takes work."""

    name: ModelName
    ready: bool


class ServerMetadataReply(Body):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(Body):
    """A tensor of a model; −1 stands for any length."""

    name: str
    datatype: str
    """The usual one; numbers are read in any floating-point datatype, labels in any integer one."""
    shape: list[Dimension]


class ModelMetadataReply(Body):
    """What a model reads and answers."""

    name: ModelName
    versions: list[ModelVersion]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputConfig(Body):
    """A tensor to read, as Triton configures it."""

    name: str
    data_type: str
    dims: list[Dimension]
    optional: bool


class OutputConfig(Body):
    """A tensor answered, as Triton configures it."""

    name: str
    data_type: str
    dims: list[Dimension]


class ModelConfigReply(Body):
    """What a model reads and answers, as Triton configures it."""

    name: ModelName
    platform: str
    backend: str
    max_batch_size: Count
    """0: rows are a dimension of the tensors."""
    input: list[InputConfig]
    output: list[OutputConfig]


class DurationStatistics(Body):
    """How often something was done, and how long that took in all."""

    count: Count
    ns: Count


class InferenceStatistics(Body):
    """Calls by their end, and the stages of those that succeeded."""

    success: DurationStatistics
    fail: DurationStatistics
    queue: DurationStatistics
    compute_input: DurationStatistics
    compute_infer: DurationStatistics
    compute_output: DurationStatistics


class ModelStatistics(Body):
    """What a model did since the service started."""

    name: ModelName
    version: ModelVersion
    last_inference: Count
    """Milliseconds since 1970; 0 before the first one."""
    inference_count: Count
    execution_count: Count
    inference_stats: InferenceStatistics
    batch_stats: list[DurationStatistics]
    """Empty: which calls were computed together is not told."""


class StatisticsReply(Body):
    """Statistics by model, of all workers of the service."""

    model_stats: list[ModelStatistics]


class RepositoryModel(Body):
    """A model in the repository."""

    name: ModelName
    version: ModelVersion
    state: str
    reason: str


class RepositoryIndex(RootModel[list[RepositoryModel]]):
    """Every model."""


BODIES: tuple[type[BaseModel], ...] = (
    InferenceRequest,
    InferenceReply,
    ServerLiveReply,
    ServerReadyReply,
    ServerMetadataReply,
    ModelReadyReply,
    ModelMetadataReply,
    ModelConfigReply,
    StatisticsReply,
    RepositoryIndex,
)
"""The bodies of all paths; the OpenAPI document describes them and what they refer to."""
