"""The same batches through JSON, safetensors and the Open Inference Protocol: the same bits, or the same faults."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from .test_binary_bodies import BINARY, JSON, OUTPUTS, array_of, batch, body_of, post
from .wire.open_inference_bodies import binary_request, json_request, reply_of
from .wire.safetensors_files import bits
from .wire.safetensors_files import reply_of as safetensors_reply_of

pytestmark = pytest.mark.anyio

Tensors = dict[str, NDArray[Any]]
FIELDS = {
    "/softmax": {"logits", "class_mask", "element_mask"},
    "/loss": {"logits", "labels", "class_mask", "element_mask", "sample_weights", "class_weights"},
    "/gradient": {"logits", "labels", "class_mask", "element_mask", "sample_weights", "class_weights"},
}
FORMS = ((True, True), (True, False), (False, True), (False, False))
"""Request and outputs of the protocol, binary or not."""
SEEDS_EACH = 25


def arrays_of(path: str) -> list[str]:
    """The outputs of a path that are tensors in every dialect."""
    return [name for name in OUTPUTS[path] if name not in {"loss", "summary"}]


async def native(http: httpx.AsyncClient, path: str, given: str, tensors: Tensors, dtype: str) -> Any:
    """The bits of each array, and the loss, of a native reply in the dialect of its request; or its faults."""
    options = {"include": OUTPUTS[path], "dtype": dtype}
    reply = await post(http, path, body_of(given, tensors, options), given)
    if reply.status_code != 200:
        return faults(reply)
    if given == BINARY:
        arrays, result = safetensors_reply_of(reply.content)
    else:
        result = reply.json()
        arrays = {name: array_of(name, result[name], dtype).reshape(shape(tensors, name)) for name in arrays_of(path)}
    return {name: bits(array) for name, array in arrays.items()}, scalar(result.get("loss"), dtype)


async def inferred(http: httpx.AsyncClient, path: str, forms: tuple[bool, bool], tensors: Tensors, dtype: str) -> Any:
    """The same of a reply of the protocol, its request and its outputs binary or not."""
    binary_in, binary_out = forms
    members = {
        "outputs": [{"name": name} for name in OUTPUTS[path]],
        "parameters": {"binary_data_output": binary_out, "dtype": dtype},
    }
    body, headers = (binary_request if binary_in else json_request)(tensors, **members)
    reply = await http.post(f"/v2/models{path}/infer", content=body, headers=headers)
    if reply.status_code != 200:
        return faults(reply)
    arrays, _ = reply_of(reply)
    loss = arrays.pop("loss", None)
    return {name: bits(array) for name, array in arrays.items()}, None if loss is None else loss.tobytes()


def faults(reply: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    """The status, and each pointer with its code."""
    return reply.status_code, sorted((error["pointer"], error["code"]) for error in reply.json()["errors"])


def scalar(value: float | None, dtype: str) -> bytes | None:
    """The bits of a loss that JSON tells."""
    return None if value is None else np.array([value], dtype).tobytes()


def shape(tensors: Tensors, name: str) -> tuple[int, ...]:
    """The shape of an output, which JSON does not tell of an empty one."""
    rows, columns = tensors["logits"].shape
    ranks = {"predicted_labels": 1, "entropy": 1, "log_normalizer": 1, "losses": 1, "jacobian": 3}
    return (rows, columns, columns)[: ranks.get(name, 2)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("start", [1000, 2000], ids=str)
async def test_every_dialect_gives_the_same_bits(http: httpx.AsyncClient, path: str, dtype: str, start: int) -> None:
    """Random batches, with −0.0, subnormals, the largest floats, masks and one class, agree in all six forms."""
    answered = 0
    for seed in range(start, start + SEEDS_EACH):
        tensors = {name: array for name, array in batch(seed, dtype).items() if name in FIELDS[path]}
        answers = [await native(http, path, given, tensors, dtype) for given in (JSON, BINARY)]
        answers += [await inferred(http, path, forms, tensors, dtype) for forms in FORMS]
        assert [(seed, answer) for answer in answers] == [(seed, answers[0])] * 6
        answered += answers[0][0] != 422
    assert answered >= SEEDS_EACH // 2


@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
async def test_empty_batches_agree(http: httpx.AsyncClient, path: str, dtype: str) -> None:
    """No rows of three classes give the same empty arrays wherever a shape can say so."""
    tensors: Tensors = {"logits": np.zeros((0, 3), dtype), "labels": np.zeros(0, np.int64)}
    given = {name: array for name, array in tensors.items() if name in FIELDS[path]}
    answers = [await native(http, path, BINARY, given, dtype)]
    answers += [await inferred(http, path, forms, given, dtype) for forms in FORMS]
    assert answers == [answers[0]] * 5
    assert answers[0][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
async def test_minus_infinity_is_the_mask_of_binary_data(http: httpx.AsyncClient, dtype: str) -> None:
    """What binary logits say by −∞ a mask says, with the same bits."""
    for seed in range(20):
        given = batch(2 * seed, dtype)
        said = {name: given[name] for name in ("logits", "labels")}
        mask = np.random.default_rng(seed).random(said["logits"].shape) < 0.7
        mask[np.arange(len(mask)), said["labels"]] = True
        infinite = said | {"logits": np.where(mask, said["logits"], -np.inf).astype(dtype)}
        answers = [
            await inferred(http, "/gradient", (True, True), infinite, dtype),
            await inferred(http, "/gradient", (True, True), said | {"element_mask": mask}, dtype),
            await native(http, "/gradient", JSON, said | {"element_mask": mask}, dtype),
        ]
        assert [(seed, answer) for answer in answers] == [(seed, answers[0])] * 3


@pytest.mark.parametrize("dtype", ["float16", "float32"])
async def test_json_data_have_their_datatype(http: httpx.AsyncClient, dtype: str) -> None:
    """JSON logits of a small datatype, and targets within its roundoff, are computed as their bytes are."""
    generator = np.random.default_rng(7)
    targets = generator.dirichlet(np.ones(5), 8).astype(dtype)
    tensors: Tensors = {"logits": generator.normal(size=(8, 5)).astype(dtype), "targets": targets}
    answers = []
    for request in (json_request, binary_request):
        body, headers = request(tensors, parameters={"binary_data_output": True})
        arrays, _ = reply_of(await http.post("/v2/models/gradient/infer", content=body, headers=headers))
        answers.append({name: bits(array) for name, array in arrays.items()})
    assert answers[0] == answers[1]
    assert answers[0]["gradient"][0] == "float32"
