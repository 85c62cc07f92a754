"""FastAPI with nothing between it and the numbers: bytes in, a parser of tensors, bytes out; hardly a check."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import simdjson
from fastapi import FastAPI, Request, Response

from benchmarks.rivals.maths import Array, loss_and_gradient

JSON, BINARY = "application/json", "application/x-safetensors"
LENGTH_BYTES = 8
DTYPES: Mapping[str, np.dtype[Any]] = {
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "I64": np.dtype(np.int64),
}

app = FastAPI()


@app.post("/gradient")
async def gradient(request: Request) -> Response:
    """Answer in the form of the request."""
    body = await request.body()
    if request.headers["content-type"] == JSON:
        return Response(answer_json(body), media_type=JSON)
    return Response(answer_binary(body), media_type=BINARY)


def answer_json(body: bytes) -> bytes:
    """Numbers go through buffers, never through Python's own."""
    document: Any = simdjson.Parser().parse(body)
    rows = document["logits"]
    logits = np.frombuffer(rows.as_buffer(of_type="d")).reshape(len(rows), -1)
    labels = np.frombuffer(document["labels"].as_buffer(of_type="i"), np.int64)
    loss, computed = loss_and_gradient(logits, labels)
    return orjson.dumps({"loss": loss, "gradient": computed}, option=orjson.OPT_SERIALIZE_NUMPY)


def answer_binary(body: bytes) -> bytes:
    """Read and write safetensors."""
    end = LENGTH_BYTES + int.from_bytes(body[:LENGTH_BYTES], "little")
    header = json.loads(body[LENGTH_BYTES:end])
    loss, computed = loss_and_gradient(tensor(body, end, header["logits"]), tensor(body, end, header["labels"]))
    described = {"dtype": "F32", "shape": computed.shape, "data_offsets": [0, computed.nbytes]}
    head = json.dumps({"gradient": described, "__metadata__": {"result": json.dumps({"loss": loss})}}).encode()
    return b"".join((len(head).to_bytes(LENGTH_BYTES, "little"), head, computed.data))


def tensor(body: bytes, start: int, described: dict[str, Any]) -> Array:
    """A tensor where it lies in the body."""
    first, last = described["data_offsets"]
    data = memoryview(body)[start + first : start + last]
    return np.frombuffer(data, DTYPES[described["dtype"]]).reshape(described["shape"])
