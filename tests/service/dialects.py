"""A request's fields in each dialect: JSON, safetensors, and Open Inference with JSON data or with binary tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .wire.open_inference_bodies import binary_request, in_json
from .wire.safetensors_files import file_of, stored

Fields = dict[str, Any]
Sent = tuple[str, bytes, dict[str, str]]
"""Path, body and header fields."""

NUMBERS = ("logits", "targets", "class_weights", "sample_weights", "upstream")
INTEGERS = ("labels",)
BOOLEANS = ("class_mask", "element_mask")
TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(NUMBERS, (int, float)),
    **dict.fromkeys(INTEGERS, (int,)),
    **dict.fromkeys(BOOLEANS, (bool,)),
}


def is_tensor(name: str, value: object) -> bool:
    """Whether a value can be a tensor as it stands: nested lists of equal lengths, and scalars of the field's kind."""
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(row, list) for row in value):
        return len({len(row) for row in value}) == 1 and all(is_tensor(name, row) for row in value if row)
    return all(type(element) in TYPES[name] for element in value)


def is_portable(fields: Fields) -> bool:
    """Whether every array is a tensor, so that binary dialects can say the same; and `include` a list of names."""
    include = fields.get("include", [])
    is_list = isinstance(include, list) and all(isinstance(name, str) for name in include) and include != []
    arrays = [name for name in fields if name in TYPES]
    return all(is_tensor(name, fields[name]) for name in arrays) and ("include" not in fields or is_list)


def arrays_of(fields: Fields, number: str = "float64") -> dict[str, NDArray[Any]]:
    """The arrays among the fields."""
    dtypes = dict.fromkeys(NUMBERS, number) | dict.fromkeys(INTEGERS, "int64") | dict.fromkeys(BOOLEANS, "bool")
    return {name: np.array(value, dtypes[name]) for name, value in fields.items() if name in dtypes}


def _options_of(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if name not in TYPES}


def _members_of(fields: Fields) -> Fields:
    """The parameters and the outputs of an inference request."""
    options = _options_of(fields)
    include = options.pop("include", None)
    return {"parameters": options} | ({"outputs": [{"name": name} for name in include]} if include else {})


def as_json(path: str, fields: Fields, number: str = "float64") -> Sent:
    """Fields as a JSON body, whose numbers have no type."""
    del number
    return f"/{path}", json.dumps(fields).encode(), {"Content-Type": "application/json"}


def as_safetensors(path: str, fields: Fields, number: str = "float64") -> Sent:
    """Fields as a safetensors body."""
    tensors = {name: stored(array, array.dtype.name) for name, array in arrays_of(fields, number).items()}
    return f"/{path}", file_of(tensors, _options_of(fields)), {"Content-Type": "application/x-safetensors"}


def as_inference_json(path: str, fields: Fields, number: str = "float64") -> Sent:
    """Fields as an inference body whose tensors are JSON data."""
    inputs = [in_json(name, array, array.dtype.name) for name, array in arrays_of(fields, number).items()]
    return f"/v2/models/{path}/infer", json.dumps({"inputs": inputs, **_members_of(fields)}).encode(), {}


def as_inference_binary(path: str, fields: Fields, number: str = "float64") -> Sent:
    """Fields as an inference body whose tensors lie behind its JSON part."""
    body, headers = binary_request(arrays_of(fields, number), **_members_of(fields))
    return f"/v2/models/{path}/infer", body, headers


DIALECTS: dict[str, Callable[..., Sent]] = {
    "json": as_json,
    "safetensors": as_safetensors,
    "inference JSON": as_inference_json,
    "inference binary": as_inference_binary,
}
