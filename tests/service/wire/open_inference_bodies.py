"""Open Inference bodies made part by part, also ones that no client writes, and replies taken apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

JSON_BYTES = "Inference-Header-Content-Length"
DATATYPES = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"} | {
    f"{kind}{size}": f"{kind}{size}".upper() for kind in ("int", "uint") for size in (8, 16, 32, 64)
}
DTYPES = {name: dtype for dtype, name in DATATYPES.items()}

Entry = dict[str, Any]


def in_json(name: str, array: object, dtype: str = "float32", *, is_flat: bool = False) -> Entry:
    """An input whose elements are JSON data."""
    values: NDArray[Any] = np.array(array, dtype)
    data = values.ravel().tolist() if is_flat else values.tolist()
    return {"name": name, "datatype": DATATYPES[dtype], "shape": list(values.shape), "data": data}


def in_binary(name: str, array: object, dtype: str = "float32") -> tuple[Entry, bytes]:
    """An input whose elements lie behind the JSON part, and these."""
    values: NDArray[Any] = np.array(array, np.dtype(dtype).newbyteorder("<"))
    return sized(name, DATATYPES[dtype], values.shape, values.nbytes), values.tobytes()


def sized(name: str, datatype: str, shape: object, size: object) -> Entry:
    """An input that says how many bytes it has."""
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def body_of(document: object, data: bytes = b"") -> tuple[bytes, dict[str, str]]:
    """A body and the header that says where its JSON part ends."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return text + data, {JSON_BYTES: str(len(text))}


def binary_request(arrays: Mapping[str, NDArray[Any]], **members: object) -> tuple[bytes, dict[str, str]]:
    """A body whose tensors all lie behind the JSON part."""
    parts = [in_binary(name, array, array.dtype.name) for name, array in arrays.items()]
    return body_of({"inputs": [entry for entry, _ in parts], **members}, b"".join(data for _, data in parts))


def json_request(arrays: Mapping[str, NDArray[Any]], **members: object) -> tuple[bytes, dict[str, str]]:
    """A body whose tensors are all JSON data, without the header."""
    inputs = [in_json(name, array, array.dtype.name, is_flat=bool(array.size % 2)) for name, array in arrays.items()]
    return json.dumps({"inputs": inputs, **members}).encode(), {}


def reply_of(reply: httpx.Response) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The tensors of a reply, and its JSON part."""
    end = int(reply.headers.get(JSON_BYTES, len(reply.content)))
    document: dict[str, Any] = json.loads(reply.content[:end])
    arrays, begin = {}, end
    for output in document["outputs"]:
        dtype = np.dtype(DTYPES[output["datatype"]])
        if "data" in output:
            numbers = [-np.inf if number is None else number for number in output["data"]]
            array = np.array(numbers, dtype)
        else:
            size = output["parameters"]["binary_data_size"]
            array = np.frombuffer(reply.content[begin : begin + size], dtype.newbyteorder("<"))
            begin += size
        arrays[output["name"]] = array.reshape(output["shape"]).astype(dtype)
    assert begin == len(reply.content)
    return arrays, document
