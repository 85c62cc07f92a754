"""Requests and replies in both formats, safetensors by its own library."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from gradient_client import HttpReply, HttpRequest

BINARY = "application/x-safetensors"
INTEGERS = {"predicted_labels": np.int64, "one_hot": np.uint8}


def fields_of(request: HttpRequest) -> dict[str, Any]:
    """The fields of a request in either format, arrays as lists; safetensors bodies are read by their own library."""
    if request.headers["Content-Type"] != BINARY:
        return dict(json.loads(request.body))
    length = int.from_bytes(request.body[:8], "little")
    options: dict[str, Any] = json.loads(json.loads(request.body[8 : 8 + length])["__metadata__"]["options"])
    return {name: array.tolist() for name, array in load(request.body).items()} | options


def in_binary(reply: HttpReply) -> HttpReply:
    """A successful JSON reply as the service would write it in safetensors; any other reply as it is."""
    if reply.status != 200 or reply.header("Content-Type") == BINARY:
        return reply
    document = json.loads(reply.body)
    dtype = document.get("applied", {}).get("dtype", "float64")
    arrays = {
        name: np.array(json.loads(json.dumps(value).replace("null", "-Infinity")), INTEGERS.get(name, dtype))
        for name, value in document.items()
        if isinstance(value, list)
    }
    result = {name: value for name, value in document.items() if name not in arrays}
    body = save(arrays, {"result": json.dumps(result)})
    return HttpReply(200, {**reply.headers, "Content-Type": BINARY}, body)
