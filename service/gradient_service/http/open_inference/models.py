"""What the models read and answer, derived from the fields of the native requests and replies."""

from pydantic import BaseModel

from gradient_service.http.catalogue import Operation
from gradient_service.schemas.open_inference import (
    InputConfig,
    ModelConfigReply,
    ModelMetadataReply,
    ModelName,
    ModelVersion,
    OutputConfig,
    TensorMetadata,
)
from gradient_service.schemas.tensor import Kind, Tensor, tensor_fields

PLATFORM = "gradient_service"
DATATYPES: dict[Kind, str] = {"number": "FP32", "integer": "INT64", "boolean": "BOOL"}
ONE_HOT = "one_hot"
ANY_LENGTH = -1


def metadata_of(operation: Operation) -> ModelMetadataReply:
    """Return what a model reads and answers."""
    return ModelMetadataReply(
        name=ModelName(operation.name),
        versions=[ModelVersion.ONE],
        platform=PLATFORM,
        inputs=_inputs(operation),
        outputs=_outputs(operation),
    )


def config_of(operation: Operation) -> ModelConfigReply:
    """Return the same in the form of Triton's model configuration."""
    required = {name for name, field in operation.request.model_fields.items() if field.is_required()}
    inputs, outputs = _inputs(operation), _outputs(operation)
    return ModelConfigReply(
        name=ModelName(operation.name),
        platform=PLATFORM,
        backend=PLATFORM,
        max_batch_size=0,
        input=[
            InputConfig(
                name=each.name,
                data_type=f"TYPE_{each.datatype}",
                dims=each.shape,
                optional=each.name not in required,
            )
            for each in inputs
        ],
        output=[OutputConfig(name=each.name, data_type=f"TYPE_{each.datatype}", dims=each.shape) for each in outputs],
    )


def _inputs(operation: Operation) -> list[TensorMetadata]:
    return _tensors(operation.request)


def _outputs(operation: Operation) -> list[TensorMetadata]:
    scalars = ["loss"] if "loss" in operation.reply.model_fields else []
    return [TensorMetadata(name=name, datatype="FP32", shape=[1]) for name in scalars] + _tensors(operation.reply)


def _tensors(model: type[BaseModel]) -> list[TensorMetadata]:
    return [
        TensorMetadata(name=name, datatype=_datatype(name, tensor), shape=[ANY_LENGTH] * tensor.rank)
        for name, tensor in tensor_fields(model).items()
    ]


def _datatype(name: str, tensor: Tensor) -> str:
    return "UINT8" if name == ONE_HOT else DATATYPES[tensor.kind]
