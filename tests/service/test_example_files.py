"""The binary examples: committed as they are made, readable by the format's library, and answered as stored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from safetensors.numpy import load

from gradient_service.http.example_files import binary_files

from .conftest import check_problem, post
from .stored_answers import has_widest_kernels, stored, without_fractions
from .wire.safetensors_files import bits, header_of, reply_of

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "openapi" / "examples"
FILES = {file.name: file.read_bytes() for file in sorted(FOLDER.iterdir())}
NAMES = [name.removesuffix(".answer.safetensors") for name in FILES if name.endswith(".answer.safetensors")]
CHECKS = [name.removesuffix(".request.safetensors") for name in FILES if name.startswith("check.")]
CALLS = ("softmax", "loss", "gradient")
BINARY = "application/x-safetensors"
INTEGERS = {"predicted_labels": "int64", "one_hot": "uint8"}


def of_json(name: str) -> tuple[str, dict[str, Any]]:
    """The path and the JSON example that two files were made from."""
    operation, example = name.split(".")
    return f"/{operation}", stored(operation)[example]


async def answer_to(http: httpx.AsyncClient, name: str) -> bytes:
    """What the service answers to a request file, which must be a safetensors file."""
    content = FILES[f"{name}.request.safetensors"]
    reply = await http.post(of_json(name)[0], content=content, headers={"Content-Type": BINARY})
    assert (reply.status_code, reply.headers["content-type"]) == (200, BINARY)
    return reply.content


def array_of(rows: list[Any], dtype: str) -> NDArray[Any]:
    """The array that a JSON answer holds, null read as −∞."""
    return np.array(json.loads(json.dumps(rows).replace("null", "-Infinity")), dtype)


def test_the_committed_files_are_current() -> None:
    """openapi/examples/ holds the files that the examples make, and no other; if not, run `make openapi`."""
    assert binary_files() == FILES


def test_every_answered_example_has_its_files() -> None:
    """Each JSON example but the refusals has a request and an answer of the same name."""
    names = {
        f"{operation}.{name}"
        for operation in CALLS
        for name, example in stored(operation).items()
        if example["status"] == 200
    }
    assert set(NAMES) == names
    checks = {f"check.{name}" for name, example in stored("check").items() if example["status"] == 200}
    requests = {f"{name}.request.safetensors" for name in names | checks}
    assert set(FILES) == requests | {f"{name}.answer.safetensors" for name in names}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_each_file_is_one_of_the_format(content: bytes) -> None:
    """The safetensors library reads each file, and its data begins on a 64-byte boundary."""
    assert set(load(content)) == set(header_of(content)) - {"__metadata__"}
    assert (8 + int.from_bytes(content[:8], "little")) % 64 == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_request_file_asks_what_the_json_example_does(name: str) -> None:
    """Tensors and options together are the fields of the JSON example."""
    content = FILES[f"{name}.request.safetensors"]
    options = json.loads(header_of(content)["__metadata__"]["options"])
    tensors = {field: array.tolist() for field, array in load(content).items()}
    assert tensors | options == of_json(name)[1]["request"]


@pytest.mark.parametrize("name", CHECKS)
async def test_a_check_of_a_file_is_answered_as_its_json_example(http: httpx.AsyncClient, name: str) -> None:
    """A claim in tensors has the verdict of the same claim in JSON, unless its dtype is its own: float64 here."""
    path, example = of_json(name)
    content = FILES[f"{name}.request.safetensors"]
    reply = await http.post(path, content=content, headers={"Content-Type": BINARY})
    assert reply.headers["content-type"] == "application/json"
    if "dtype" not in example["request"]:
        assert reply.json() == (await post(http, path, example["request"])).json()


@pytest.mark.parametrize("name", NAMES)
async def test_the_answer_is_the_stored_one(http: httpx.AsyncClient, name: str) -> None:
    """A request file is answered by its answer file, byte for byte where the kernels are the same."""
    answer, expected = await answer_to(http, name), FILES[f"{name}.answer.safetensors"]
    (arrays, scalars), (stored_arrays, stored_scalars) = reply_of(answer), reply_of(expected)
    assert without_fractions(scalars) == without_fractions(stored_scalars)
    kinds, stored_kinds = (
        {field: bits(array)[:2] for field, array in tensors.items()} for tensors in (arrays, stored_arrays)
    )
    assert kinds == stored_kinds
    if has_widest_kernels():
        assert answer == expected


@pytest.mark.parametrize("name", NAMES)
async def test_the_answer_has_the_bits_of_json(http: httpx.AsyncClient, name: str) -> None:
    """On any machine a request file and its JSON example are answered by the same numbers."""
    path, example = of_json(name)
    fields = (await post(http, path, example["request"])).json()
    arrays, scalars = reply_of(await answer_to(http, name))
    dtype = scalars["applied"]["dtype"]
    expected = {field: array_of(fields.pop(field), INTEGERS.get(field, dtype)) for field in arrays}
    assert [(field, bits(array)) for field, array in arrays.items()] == [
        (field, bits(array)) for field, array in expected.items()
    ]
    assert scalars == fields


@pytest.mark.parametrize("name", FILES)
async def test_each_file_is_served(http: httpx.AsyncClient, name: str) -> None:
    """The service has the files beside its document, as the repository does."""
    reply = await http.get(f"/examples/{name}")
    assert (reply.status_code, reply.headers["content-type"]) == (200, BINARY)
    assert reply.content == FILES[name]


def test_the_links_of_the_document_lead_to_files(app: FastAPI) -> None:
    """Each link is an address relative to the document, and one of a request and one of an answer are in each call."""
    described = [app.openapi()["paths"][f"/{call}"]["post"]["requestBody"]["description"] for call in CALLS]
    links = [re.findall(r"\]\(examples/(.*?)\)", text) for text in described]
    assert [len(names) for names in links] == [2, 2, 2]
    assert {name for names in links for name in names} <= set(FILES)


@pytest.mark.parametrize("name", ["none.safetensors", "gradient.refused.request.safetensors", "softmax.json", "..%2Fa"])
async def test_no_other_file_is_served(http: httpx.AsyncClient, name: str) -> None:
    """Under /examples there is nothing but these files."""
    reply = await http.get(f"/examples/{name}")
    check_problem(reply, 404, "not-found")
