"""Replies of the three dialects taken apart: arrays by name, scalars by name; what is no such reply raises."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fuzz.calls.asgi import Reply
from tests.fuzz.calls.messages import JSON_BYTES
from tests.fuzz.calls.questions import Array
from tests.fuzz.calls.readers import INFERENCE_TYPES, SAFETENSORS_TYPES
from tests.fuzz.calls.rules import Case

INTEGERS = {"predicted_labels": "int64", "one_hot": "uint8"}


@dataclass(frozen=True)
class Answered:
    """What a reply says."""

    arrays: dict[str, Array]
    scalars: dict[str, Any]
    """`loss`, `summary` and `applied`."""


def read(reply: Reply, case: Case) -> Answered:
    """Read a reply by its media type; an inference reply is told by its members."""
    if reply.header("content-type") == "application/x-safetensors" or (
        reply.header("content-type") == "application/octet-stream" and not reply.header(JSON_BYTES)
    ):
        return _safetensors(reply.body)
    length = reply.header(JSON_BYTES)
    document = json.loads(reply.body[: int(length)] if length else reply.body)
    if "outputs" in document:
        return _inference(document, reply.body[int(length) :] if length else b"")
    names = set(document) - {"loss", "summary", "applied"}
    arrays = {name: _array(document.pop(name), INTEGERS.get(name, case.dtype.name)) for name in names}
    return Answered(arrays, document)


def _array(value: Any, dtype: str) -> Array:
    """Return nested lists as an array; null is −∞."""
    array = np.array(value, dtype=object)
    return np.asarray(np.where(array == None, -np.inf, array).astype(dtype))  # noqa: E711  element by element


def _safetensors(body: bytes) -> Answered:
    length = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + length])
    scalars = json.loads(header.pop("__metadata__")["result"])
    data, arrays, end = body[8 + length :], {}, 0
    for name, entry in header.items():
        begin, stop = entry["data_offsets"]
        if begin != end:
            raise ValueError("a gap")
        arrays[name] = np.frombuffer(data[begin:stop], SAFETENSORS_TYPES[entry["dtype"]]).reshape(entry["shape"])
        end = stop
    if end != len(data):
        raise ValueError("bytes behind")
    return Answered(arrays, scalars)


def _inference(document: dict[str, Any], data: bytes) -> Answered:
    arrays, begin = {}, 0
    for output in document["outputs"]:
        dtype, shape = INFERENCE_TYPES[output["datatype"]], output["shape"]
        if "data" in output:
            arrays[output["name"]] = _array(output["data"], dtype).reshape(shape)
        else:
            end = begin + output["parameters"]["binary_data_size"]
            arrays[output["name"]] = np.frombuffer(data[begin:end], dtype).reshape(shape)
            begin = end
    if begin != len(data):
        raise ValueError("bytes behind")
    scalars = {name: json.loads(value) for name, value in document["parameters"].items()}
    if "loss" in arrays:
        (scalars["loss"],) = arrays.pop("loss").tolist()
    return Answered(arrays, scalars)
