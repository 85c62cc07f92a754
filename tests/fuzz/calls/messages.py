"""Requests as an ASGI server hands them on, and the four ways in which a question becomes one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from tests.fuzz.calls.questions import Array, Question

NATIVE_TYPES = ("application/x-safetensors", "application/octet-stream")
NUMBERS = ("float64", "float64", "float32", "float16")
JSON_BYTES = "inference-header-content-length"
KINDS = {"f": "FP", "i": "INT", "u": "UINT", "b": "BOOL"}


@dataclass(frozen=True)
class Message:
    """A request; the names of its header fields are in small letters."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_plain: bool = False
    """Whether it must be answered by 200."""

    def header(self, name: str) -> str | None:
        """The first value of a header field."""
        return next((value for given, value in self.headers if given == name), None)


def written(random: Random, question: Question) -> Message:
    """Write a question in one of the dialects."""
    write: Callable[[Random, Question], Message] = random.choice([_as_json, _as_safetensors, _as_inference])
    if question.operation == "check" and write is _as_inference:
        write = _as_json  # there is no such model
    return write(random, question)


def _text(value: Any) -> str:
    return json.dumps(value)


def _as_json(random: Random, question: Question) -> Message:
    fields = {name: array.tolist() for name, array in question.arrays.items()}
    claim = {name.removeprefix("claimed."): fields.pop(name) for name in list(fields) if name.startswith("claimed.")}
    members = [*fields.items(), *question.options.items(), *([("claimed", claim)] if claim else [])]
    body = _text(dict(random.sample(members, len(members)))).encode()
    headers = (("content-type", "application/json"),)
    return Message("POST", f"/{question.operation}", headers, body, is_plain=question.is_plain)


def _typed(random: Random, name: str, array: Array) -> Array:
    """Return an array in one of the types that a binary body may have it in."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return array.astype("float64" if name == "targets" else random.choice(NUMBERS))
    if array.dtype.kind == "i" and random.random() < 0.5:
        kind = random.choice([kind for kind in ("int8", "int16", "uint8", "uint64") if _fits(array, kind)] or ["int64"])
        return array.astype(kind)
    return array


def _fits(array: Array, dtype: str) -> bool:
    return not array.size or (np.iinfo(dtype).min <= array.min() and array.max() <= np.iinfo(dtype).max)


def _stays_plain(question: Question, arrays: dict[str, Array]) -> bool:
    """Whether a question must be answered in other types as well: only where none of its numbers was rounded."""
    return question.is_plain and all(np.array_equal(question.arrays[name], array) for name, array in arrays.items())


def _as_safetensors(random: Random, question: Question) -> Message:
    arrays = {name: _typed(random, name, array) for name, array in question.arrays.items()}
    header: dict[str, Any] = {"__metadata__": {"options": _text(question.options)}} if question.options else {}
    data = b""
    for name, array in arrays.items():
        kind = "BOOL" if array.dtype.kind == "b" else array.dtype.kind.upper() + str(8 * array.itemsize)
        end = len(data) + array.nbytes
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = _text(header).encode() + b" " * random.choice([0, 0, 7])
    headers = (("content-type", random.choice(NATIVE_TYPES)),)
    body = len(text).to_bytes(8, "little") + text + data
    return Message("POST", f"/{question.operation}", headers, body, is_plain=_stays_plain(question, arrays))


def _as_inference(random: Random, question: Question) -> Message:
    """Write inputs as JSON data or behind the JSON part, each as it falls, and options as parameters."""
    arrays = {name: _typed(random, name, array) for name, array in question.arrays.items()}
    binary_share = random.choice([0.0, 0.5, 1.0])
    inputs, parts = [], []
    for name, array in arrays.items():
        kind = KINDS[array.dtype.kind] + ("" if array.dtype.kind == "b" else str(8 * array.itemsize))
        entry = {"name": name, "datatype": kind, "shape": array.shape}
        if random.random() < binary_share:
            parts.append(array.tobytes())
            inputs.append(entry | {"parameters": {"binary_data_size": array.nbytes}})
        else:
            inputs.append(entry | {"data": (array if random.random() < 0.5 else array.ravel()).tolist()})
    document: dict[str, Any] = {"inputs": inputs} | random.choice([{}, {}, {"model_name": question.operation}])
    options = dict(question.options)
    include = options.pop("include", None)
    if include:
        document["outputs"] = [{"name": name, **_wanted(random)} for name in include]
    parameters = options | random.choice([{}, {}, {"binary_data_output": True}, {"timeout": 5, "content_type": "np"}])
    if parameters:
        document["parameters"] = parameters
    text = _text(document).encode()
    has_length = bool(parts) or random.random() < 0.3
    headers = ((JSON_BYTES, str(len(text))),) if has_length else ()
    path = f"/v2/models/{question.operation}/{random.choice(['infer', 'infer', 'versions/1/infer'])}"
    return Message("POST", path, headers, text + b"".join(parts), is_plain=_stays_plain(question, arrays))


def _wanted(random: Random) -> dict[str, Any]:
    return random.choice(
        [{}, {"parameters": {"binary_data": True}}, {"parameters": {"binary_data": False, "content_type": "np"}}]
    )
