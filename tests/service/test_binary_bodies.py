"""Binary bodies over the application: JSON and safetensors in and out, negotiated, limited, and equal to the bit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from gradient_service.app import create_app
from gradient_service.settings import Settings

from .conftest import check_problem, client_of
from .wire.safetensors_files import bits, reply_of

pytestmark = pytest.mark.anyio

JSON = "application/json"
BINARY = "application/x-safetensors"
OCTETS = "application/octet-stream"
MEDIA_TYPES = f"{JSON}, {BINARY}, {OCTETS}"
SUPERVISED = {"logits", "labels", "class_mask", "element_mask", "sample_weights", "class_weights", "upstream"}
FIELDS = {
    "/softmax": {"logits", "class_mask", "element_mask"},
    "/loss": SUPERVISED - {"upstream"},
    "/gradient": SUPERVISED,
}
PART_BYTES = 64 * 1024
LOGITS = np.array([[1, 2], [3, -4]], np.float32)
TENSORS = {"logits": LOGITS, "labels": np.array([0, 1])}

Tensors = dict[str, NDArray[Any]]
Answer = tuple[int, Any]


def body_of(media_type: str, tensors: Tensors, options: dict[str, Any]) -> bytes:
    """A request in a dialect; its fields stand in the same order in each."""
    if media_type == JSON:
        return json.dumps({name: array.tolist() for name, array in tensors.items()} | options).encode()
    return save(tensors, {"options": json.dumps(options)})


async def post(http: httpx.AsyncClient, path: str, body: object, given: str, wanted: str = "*/*") -> httpx.Response:
    """The reply to a body of one media type in another."""
    return await http.post(path, content=body, headers={"Content-Type": given, "Accept": wanted})  # type: ignore[arg-type]  # bytes, or an iterator of them


def for_path(path: str) -> Tensors:
    """The tensors that a path takes."""
    return {name: array for name, array in TENSORS.items() if name in FIELDS[path]}


def read(reply: httpx.Response, dtype: str) -> Answer:
    """The status and what was answered: arrays to the bit and scalars, or each problem's pointer and code."""
    if reply.status_code != 200:
        return reply.status_code, sorted((error["pointer"], error["code"]) for error in reply.json()["errors"])
    if reply.headers["content-type"] == BINARY:
        arrays, scalars = reply_of(reply.content)
    else:
        scalars = json.loads(reply.content)
        arrays = {name: array_of(name, scalars.pop(name), dtype) for name in [*scalars] if type(scalars[name]) is list}
    return 200, ({name: bits(array) for name, array in arrays.items()}, scalars)


def array_of(name: str, rows: list[Any], dtype: str) -> NDArray[Any]:
    """The array that a JSON reply holds, null read as −∞."""
    numbers = json.loads(json.dumps(rows).replace("null", "-Infinity"))
    return np.array(numbers, {"predicted_labels": "int64", "one_hot": "uint8"}.get(name, dtype))


@pytest.mark.parametrize("wanted", [JSON, BINARY])
@pytest.mark.parametrize("given", [JSON, BINARY, OCTETS])
@pytest.mark.parametrize("path", FIELDS)
async def test_each_pair_is_spoken(http: httpx.AsyncClient, path: str, given: str, wanted: str) -> None:
    """Each endpoint reads each dialect and writes each, always with the same answer."""
    tensors = for_path(path)
    options: dict[str, Any] = {"temperature": 0.7, "dtype": "float32"}
    reply = await post(http, path, body_of(given, tensors, options), given, wanted)
    reference = await post(http, path, body_of(JSON, tensors, options), JSON, JSON)
    assert (reply.status_code, reply.headers["content-type"]) == (200, wanted)
    assert reply.headers["content-length"] == str(len(reply.content))
    assert reply.headers["vary"] == "Accept"
    assert read(reply, "float32") == read(reference, "float32")


@pytest.mark.parametrize("given", [JSON, BINARY])
@pytest.mark.parametrize("rows", [1, 300, 3000])
async def test_the_length_is_declared(http: httpx.AsyncClient, given: str, rows: int) -> None:
    """A reply of any size has as many bytes as it declares."""
    tensors: Tensors = {"logits": np.zeros((rows, 100), np.float32), "labels": np.zeros(rows, np.int64)}
    reply = await post(http, "/gradient", body_of(given, tensors, {}), given, BINARY)
    assert reply.headers["content-length"] == str(len(reply.content))
    assert reply_of(reply.content)[0]["gradient"].shape == (rows, 100)


SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 1e-45, -1e-45, 1.1754942e-38, 2.2250738585072014e-308, 1.0, -1.0]


def batch(seed: int, dtype: str) -> Tensors:
    """A random batch: masks, weights, one class or more, and numbers from −0.0 to the largest."""
    generator = np.random.default_rng(seed)
    rows, columns = int(generator.integers(1, 6)), int(generator.choice([1, 2, 3, 17]))
    logits = generator.normal(scale=generator.choice([1, 30, 1000]), size=(rows, columns)).astype(dtype)
    largest = np.finfo(dtype).max
    special = np.array([*SPECIAL, largest, -largest] if seed % 2 else SPECIAL).astype(dtype)
    logits = np.where(generator.random(logits.shape) < 0.3, generator.choice(special, logits.shape), logits)
    mask = generator.random(logits.shape) < 0.8
    labels = generator.integers(0, columns, rows)
    mask[np.arange(rows), labels] = True
    optional: Tensors = {
        "element_mask": mask,
        "class_mask": np.isin(np.arange(columns), labels) | (generator.random(columns) < 0.7),
        "sample_weights": generator.random(rows).astype(dtype),
        "class_weights": generator.random(columns).astype(dtype),
    }
    return {"logits": logits, "labels": labels} | {
        name: array for name, array in optional.items() if generator.random() < 0.5
    }


OUTPUTS = {
    "/softmax": ["probabilities", "predicted_labels", "log_probabilities", "one_hot", "entropy", "log_normalizer"],
    "/loss": ["losses", "loss", "summary"],
    "/gradient": ["loss", "gradient", "summary", "jacobian", "hessian_diagonal", "gradient_diagonal_only"],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("path", FIELDS)
@pytest.mark.parametrize("start", [0, 30, 60], ids=str)
async def test_dialects_agree_to_the_bit(http: httpx.AsyncClient, path: str, dtype: str, start: int) -> None:
    """Random batches have the same tensors and scalars, or the same faults, through all four pairs."""
    statuses = []
    for seed in range(start, start + 30):
        tensors = {name: array for name, array in batch(seed, dtype).items() if name in FIELDS[path]}
        options = {"include": OUTPUTS[path], "dtype": dtype}
        answers = [
            read(await post(http, path, body_of(given, tensors, options), given, wanted), dtype)
            for given in (JSON, BINARY)
            for wanted in (JSON, BINARY)
        ]
        assert [(seed, answer) for answer in answers] == [(seed, answers[0])] * 4
        statuses.append(answers[0][0])
    assert statuses.count(200) >= 15


@pytest.mark.parametrize("dtype", ["float32", "float64"])
async def test_minus_infinity_is_the_mask_of_json(http: httpx.AsyncClient, dtype: str) -> None:
    """What binary logits say by −∞ JSON says by a mask, with the same bits."""
    for seed in range(20):
        tensors = batch(2 * seed, dtype) | {"element_mask": np.ones(1, np.bool_)}
        mask = np.random.default_rng(seed).random(tensors["logits"].shape) < 0.7
        mask[np.arange(len(mask)), tensors["labels"]] = True
        said = {name: array for name, array in tensors.items() if name not in {"element_mask", "class_mask"}}
        infinite = said | {"logits": np.where(mask, said["logits"], -np.inf).astype(dtype)}
        options = {"dtype": dtype, "include": ["loss", "gradient", "probabilities"]}
        reply = await post(http, "/gradient", body_of(BINARY, infinite, options), BINARY)
        wanted = await post(http, "/gradient", body_of(JSON, said | {"element_mask": mask}, options), JSON)
        assert (seed, read(reply, dtype)) == (seed, read(wanted, dtype))


NEGOTIATION = [
    (BINARY, None, BINARY), (BINARY, "*/*", BINARY), (BINARY, "application/*", BINARY), (BINARY, "", BINARY),
    (OCTETS, None, BINARY), (OCTETS, "*/*", BINARY), (OCTETS, "application/*", BINARY),
    (JSON, None, JSON), (JSON, "*/*", JSON), (JSON, "application/*", JSON),
    (JSON, OCTETS, OCTETS), (BINARY, OCTETS, OCTETS), (OCTETS, OCTETS, OCTETS), (OCTETS, JSON, JSON),
    (OCTETS, BINARY, BINARY), (BINARY, f"{JSON};q=0.5, {BINARY};q=0.6", BINARY),
    (BINARY, f"{JSON};q=0.6, {BINARY};q=0.5", JSON), (JSON, f"{JSON};q=0.5, {BINARY};q=0.6", BINARY),
    (JSON, f"{JSON}, {BINARY}", JSON), (BINARY, f"{JSON}, {BINARY}", BINARY),
    (BINARY, f"{JSON}, */*;q=0.5", JSON), (JSON, f"{BINARY}, */*;q=0.5", BINARY),
    (BINARY, f"{JSON}, */*;q=0.1, text/html", JSON), (BINARY, f"{BINARY};q=0, */*", JSON),
    (JSON, f"{JSON};q=0, {BINARY}", BINARY), (JSON, f"{JSON};q=0, application/*;q=0.1, {OCTETS};q=0", BINARY),
    (BINARY, "application/*;q=0.3, */*", BINARY), (BINARY, "text/html, */*;q=0.001", BINARY),
    (BINARY, f"{BINARY};q=0.001, {JSON};q=0", BINARY), (BINARY, "Application/X-SafeTensors", BINARY),
    (BINARY, f"{JSON};charset=utf-8", JSON), (JSON, f"text/html, {BINARY};q=0.2, {OCTETS};q=0.1", BINARY),
    ("APPLICATION/X-SAFETENSORS; version=1", "*/*", BINARY), (f"{OCTETS};", "*/*", BINARY),
]  # fmt: skip


@pytest.mark.parametrize(("given", "accept", "expected"), NEGOTIATION)
async def test_the_reply_is_negotiated(http: httpx.AsyncClient, given: str, accept: str | None, expected: str) -> None:
    """The most wanted type is written; the request's own where several are equal or none is named."""
    body = body_of(JSON if given == JSON else BINARY, {"logits": LOGITS}, {})
    request = http.build_request("POST", "/softmax", content=body, headers={"Content-Type": given})
    request.headers.pop("Accept")
    if accept is not None:
        request.headers["Accept"] = accept
    reply = await http.send(request)
    assert (reply.status_code, reply.headers["content-type"]) == (200, expected)
    assert reply.content[:1] == b"{" if expected == JSON else reply_of(reply.content)[0]["probabilities"].any()


@pytest.mark.parametrize("accept", [
    "text/html", "application/x-safetensor", f"{BINARY};q=0", "application/*;q=0", "*/*;q=0",
    f"{BINARY};q=0, {JSON};q=0, {OCTETS};q=0, */*", "application/vnd.safetensors",
])  # fmt: skip
@pytest.mark.parametrize("given", [JSON, BINARY, OCTETS])
async def test_nothing_else_is_written(http: httpx.AsyncClient, given: str, accept: str) -> None:
    """Where no type spoken is accepted the reply is 406 and lists what is."""
    reply = await post(http, "/softmax", body_of(given, {"logits": LOGITS}, {}), given, accept)
    check_problem(reply, 406, "not-acceptable")
    assert reply.headers["accept"] == MEDIA_TYPES


@pytest.mark.parametrize("given", ["application/safetensors", "application/vnd.apache.arrow.stream", "image/png"])
async def test_other_binary_types_are_not_read(http: httpx.AsyncClient, given: str) -> None:
    """A binary type that is not spoken is 415, and the reply lists what is."""
    reply = await post(http, "/softmax", body_of(BINARY, {"logits": LOGITS}, {}), given)
    check_problem(reply, 415, "unsupported-media-type")
    assert reply.headers["accept"] == MEDIA_TYPES


async def test_problems_of_binary_bodies_are_json(http: httpx.AsyncClient) -> None:
    """A problem is a JSON document even where the reply would be binary."""
    reply = await post(http, "/loss", body_of(BINARY, {"logits": LOGITS}, {}), BINARY, BINARY)
    check_problem(reply, 422, "missing-field", "/labels")


@pytest.mark.parametrize("given", [BINARY, OCTETS])
@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "in chunks"])
@pytest.mark.parametrize("num_classes", [2, 100_000], ids=["small", "large"])
async def test_binary_bodies_have_their_own_limit(given: str, is_declared: bool, num_classes: int) -> None:
    """A binary body at its limit is read and one byte more is 413, whatever the limit of JSON."""
    body = body_of(BINARY, {"logits": np.zeros((1, num_classes), np.float32)}, {})

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), PART_BYTES):
            yield body[start : start + PART_BYTES]

    for max_bytes in (len(body), len(body) - 1):
        settings = Settings.model_construct(None, max_binary_body_bytes=max_bytes, max_json_body_bytes=1)
        async with client_of(create_app(settings)) as http:
            reply = await post(http, "/softmax", body if is_declared else parts(), given)
        assert ("content-length" in reply.request.headers) is is_declared
        if max_bytes == len(body):
            assert reply.status_code == 200
        else:
            check_problem(reply, 413, "body-too-large")
            assert reply.headers["connection"] == "close"
