"""The same question in the form of each server, and its answer as numbers again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

JSON, SAFETENSORS = "application/json", "application/x-safetensors"
HEADER_LENGTH = "Inference-Header-Content-Length"
DATATYPES = {np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64", np.dtype(np.int64): "INT64"}
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Message:
    """A body and what its head says."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Dialect:
    """How a question becomes a message, and a message an answer."""

    path: str
    dtype: np.dtype[Any]
    ask: Callable[[Arrays], Message]
    """From `logits` and `labels`."""
    read: Callable[[Message], Arrays] = field(repr=False)
    """To `loss` and `gradient`."""


def native_json(path: str = "/gradient") -> Dialect:
    """Fields by name, rows as lists."""

    def ask(arrays: Arrays) -> Message:
        body = json.dumps({name: array.tolist() for name, array in arrays.items()}).encode()
        return Message({"Content-Type": JSON}, body)

    def read(reply: Message) -> Arrays:
        document = json.loads(reply.body)
        return {name: np.array(document[name]) for name in ("loss", "gradient")}

    return Dialect(path, np.dtype(np.float64), ask, read)


def safetensors(path: str = "/gradient") -> Dialect:
    """Tensors by name; the loss is in the header of the reply."""

    def read(reply: Message) -> Arrays:
        header = json.loads(reply.body[8 : 8 + int.from_bytes(reply.body[:8], "little")])
        loss = json.loads(header["__metadata__"]["result"])["loss"]
        return load(reply.body) | {"loss": np.array(loss)}

    return Dialect(
        path, np.dtype(np.float32), lambda arrays: Message({"Content-Type": SAFETENSORS}, save(dict(arrays))), read
    )


def open_inference_json(model: str) -> Dialect:
    """The Open Inference Protocol, numbers in one flat list."""

    def ask(arrays: Arrays) -> Message:
        inputs = [_described(name, array) | {"data": array.ravel().tolist()} for name, array in arrays.items()]
        return Message({"Content-Type": JSON}, json.dumps({"inputs": inputs}).encode())

    def read(reply: Message) -> Arrays:
        outputs = json.loads(reply.body)["outputs"]
        return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in outputs}

    return Dialect(f"/v2/models/{model}/infer", np.dtype(np.float64), ask, read)


def open_inference_binary(model: str) -> Dialect:
    """The same with tensors as bytes behind the JSON."""

    def ask(arrays: Arrays) -> Message:
        inputs = [
            _described(name, array) | {"parameters": {"binary_data_size": array.nbytes}}
            for name, array in arrays.items()
        ]
        head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        tensors = b"".join(array.tobytes() for array in arrays.values())
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        return Message(headers, head + tensors)

    def read(reply: Message) -> Arrays:
        end = int(reply.headers[HEADER_LENGTH])
        answer: dict[str, NDArray[Any]] = {}
        for each in json.loads(reply.body[:end])["outputs"]:
            size = each["parameters"]["binary_data_size"]
            data = np.frombuffer(reply.body[end : end + size], np.float32)
            answer[each["name"]] = data.reshape(each["shape"])
            end += size
        return answer

    return Dialect(f"/v2/models/{model}/infer", np.dtype(np.float32), ask, read)


def nothing(dialect: Dialect) -> Dialect:
    """Ask as another dialect does, of a server that computes nothing."""
    return Dialect(dialect.path, dialect.dtype, dialect.ask, lambda _: {})


def _described(name: str, array: NDArray[Any]) -> dict[str, Any]:
    return {"name": name, "shape": array.shape, "datatype": DATATYPES[array.dtype]}
