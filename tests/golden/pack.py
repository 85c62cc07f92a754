"""The files of the golden pack: a manifest with everything as JSON, and the same arrays as tensors of each dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from safetensors.numpy import save

from tests.core.calls import ARRAYS, NUMBERS, Array
from tests.golden.answers import Answer, Expected

FORMAT = 1
MANIFEST = "manifest.json"
DTYPES = ("float32", "float64")


def files_of(answers: list[Answer]) -> dict[str, bytes]:
    """The bytes of each file by its name."""
    tensors = {f"{dtype}.safetensors": save(_tensors(answers, dtype)) for dtype in DTYPES}
    return {MANIFEST: _manifest(answers)} | tensors


def _manifest(answers: list[Answer]) -> bytes:
    """One case a line, so that a change shows which ones it touches."""
    lines = b",\n".join(orjson.dumps(entry_of(answer), option=orjson.OPT_SERIALIZE_NUMPY) for answer in answers)
    return b'{"format":%d,"cases":[\n%s\n]}\n' % (FORMAT, lines)


def entry_of(answer: Answer) -> dict[str, Any]:
    """A case as the manifest tells it."""
    case = answer.case
    entry = {
        "id": case.id,
        "covers": case.covers,
        "operation": case.operation,
        "shape": case.logits.shape,
        "request": _request(answer),
        "expected": {
            dtype: {name: _told(expected) for name, expected in outputs.items()}
            for dtype, outputs in answer.outputs.items()
        },
    }
    if answer.refused:
        entry["refused"] = answer.refused
    return entry if answer.summary is None else entry | {"summary": answer.summary}


def _request(answer: Answer) -> dict[str, Any]:
    """The body of a request, but for its `dtype`: numbers widened to float64, which changes none."""
    case = answer.case
    arrays = {name: array.astype(np.float64) if name in NUMBERS else array for name, array in _arrays(answer).items()}
    options = {name: value for name, value in case.options.items() if name not in arrays}
    include = answer.names if answer.summary is None else (*answer.names, "summary")
    return {"logits": case.logits.astype(np.float64), **arrays, **options, "include": include}


def _arrays(answer: Answer) -> dict[str, Array]:
    return {name: value for name, value in answer.case.options.items() if name in NUMBERS | ARRAYS.keys()}


def _told(expected: Expected) -> dict[str, Any]:
    size = {} if expected.size is None else {"size": _json(expected.size)}
    return {"values": _json(expected.values), "ulp": expected.ulp} | size


def _json(array: Array) -> Any:
    """An array, or the number that one without dimensions holds, in its own dtype."""
    return array if array.ndim else array[()]


def _tensors(answers: list[Answer], dtype: str) -> dict[str, Array]:
    """The arrays of the cases that the dtype holds, as `id/field`, `id/expected/output` and `id/size/output`."""
    tensors: dict[str, Array] = {}
    for answer in answers:
        case = answer.case
        if dtype not in case.dtypes:
            continue
        tensors[f"{case.id}/logits"] = case.logits.astype(dtype)
        for name, array in _arrays(answer).items():
            tensors[f"{case.id}/{name}"] = array.astype(dtype) if name in NUMBERS else array
        for name, expected in answer.outputs.get(dtype, {}).items():
            tensors[f"{case.id}/expected/{name}"] = expected.values
            if expected.size is not None:
                tensors[f"{case.id}/size/{name}"] = expected.size
    return tensors
