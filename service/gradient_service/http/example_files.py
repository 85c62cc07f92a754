"""The examples of the OpenAPI document: JSON as stored, and the same questions and answers as safetensors files.

The files are made from the JSON, answers too: so they are the same on every machine, and tests hold them against what
the service computes.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from gradient_service.http.catalogue import OPERATIONS, Operation
from gradient_service.schemas.members import flat
from gradient_service.schemas.tensor import tensor_fields
from gradient_service.wire import safetensors_body
from gradient_service.wire.json_writer import dump

EXAMPLES = files("gradient_service.http") / "examples"
Examples = dict[str, dict[str, Any]]
REQUEST_DTYPES = {"number": "float64", "integer": "int64", "boolean": "bool"}
ANSWER_DTYPES = {"predicted_labels": "int64", "one_hot": "uint8"}
"""Of the outputs that have not the dtype of the reply."""


@cache
def examples(operation: str) -> Examples:
    """Return the named examples of an operation: summary, request, status and answer."""
    content: Examples = orjson.loads((EXAMPLES / f"{operation}.json").read_bytes())
    return content


def answered(shown: Examples) -> Examples:
    """Return the examples that have a binary form: those that are no refusals, which are JSON whatever was asked."""
    return {name: example for name, example in shown.items() if example["status"] == 200}  # noqa: PLR2004  success


def file_name(operation: str, name: str, part: str) -> str:
    """Return the name of the file of an example's `request` or `answer`."""
    return f"{operation}.{name}.{part}.safetensors"


@cache
def binary_files() -> dict[str, bytes]:
    """Return the bytes of every file by name."""
    made: dict[str, bytes] = {}
    for operation in OPERATIONS:
        for name, example in answered(examples(operation.name)).items():
            made[file_name(operation.name, name, "request")] = _request(operation, example["request"])
            if operation.answers_tensors:
                made[file_name(operation.name, name, "answer")] = _answer(operation, example["answer"])
    return made


def _request(operation: Operation, request: dict[str, Any]) -> bytes:
    kinds = {name: tensor.kind for name, tensor in tensor_fields(operation.request).items()}
    fields = flat(request, operation.request)
    tensors = {name: np.array(fields[name], REQUEST_DTYPES[kinds[name]]) for name in fields if name in kinds}
    options = {name: value for name, value in fields.items() if name not in tensors}
    return b"".join(safetensors_body.encode_file(tensors, {"options": dump(options).decode()}))


def _answer(operation: Operation, answer: dict[str, Any]) -> bytes:
    dtype = answer["applied"]["dtype"]
    arrays = {
        name: _array(answer[name], ANSWER_DTYPES.get(name, dtype))
        for name in answer
        if name in tensor_fields(operation.reply)
    }
    return b"".join(safetensors_body.encode(operation.reply.model_validate(answer | arrays)))


def _array(rows: list[Any], dtype: str) -> NDArray[Any]:
    """Return the numbers of an answer; null, which NumPy reads as NaN, is −∞."""
    array = np.array(rows, np.float64)
    return np.where(np.isnan(array), -np.inf, array).astype(dtype)
