"""Every case of the golden pack put to the service, in JSON and in binary, and held by the rule of its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from .conftest import post
from .wire.safetensors_files import reply_of

pytestmark = pytest.mark.anyio

PACK = Path(__file__).parents[2] / "openapi" / "golden"
BINARY = "application/x-safetensors"
DTYPES = ("float32", "float64")
TENSORS = {dtype: load_file(PACK / f"{dtype}.safetensors") for dtype in DTYPES}

Case = dict[str, Any]
Answer = dict[str, Any]

CASES: list[Case] = json.loads((PACK / "manifest.json").read_bytes())["cases"]


async def post_json(http: httpx.AsyncClient, case: Case, dtype: str) -> httpx.Response:
    """The reply to a request as the manifest has it."""
    return await post(http, f"/{case['operation']}", case["request"] | {"dtype": dtype})


async def post_binary(http: httpx.AsyncClient, case: Case, dtype: str) -> httpx.Response:
    """The reply to a request whose arrays are the tensors of the pack."""
    names = {name: f"{case['id']}/{name}" for name in case["request"]}
    tensors = {name: TENSORS[dtype][path] for name, path in names.items() if path in TENSORS[dtype]}
    options = {name: value for name, value in case["request"].items() if name not in tensors}
    body = save(tensors, {"options": json.dumps(options)})
    return await post(http, f"/{case['operation']}", body, Content_Type=BINARY)


def read_json(reply: httpx.Response) -> Answer:
    """The outputs of a JSON reply, null read as −∞."""
    answer: Answer = json.loads(reply.content.replace(b"null", b"-Infinity"))
    return answer


def read_binary(reply: httpx.Response) -> Answer:
    """The outputs of a binary reply."""
    tensors, scalars = reply_of(reply.content)
    return tensors | scalars


FORMS = {"json": (post_json, read_json), "binary": (post_binary, read_binary)}


def ulps_off(found: NDArray[Any], expected: NDArray[Any], size: NDArray[Any]) -> NDArray[Any]:
    """How far numbers are from the expected ones, in ulp of the expected number, or of the size where it is larger."""
    with np.errstate(over="ignore", invalid="ignore"):
        unit = np.spacing(np.maximum(np.abs(expected), size)).astype(np.float64)
        errors = np.abs(found.astype(np.float64) - expected.astype(np.float64)) / unit
    return np.where(found == expected, 0.0, errors)


def misses(case: Case, dtype: str, answer: Answer) -> list[str]:
    """The outputs of an answer that break the rule, and by how much."""
    missed = [] if answer.get("summary", {}).items() >= case.get("summary", {}).items() else ["summary"]
    for name, told in case["expected"][dtype].items():
        expected = TENSORS[dtype][f"{case['id']}/expected/{name}"]
        found = np.array(answer[name], expected.dtype)
        if expected.dtype.kind in "iu":
            is_kept = np.array_equal(found, expected)
        else:
            size = TENSORS[dtype].get(f"{case['id']}/size/{name}", np.zeros_like(expected))
            is_kept = found.shape == expected.shape and (ulps_off(found, expected, size) <= told["ulp"] + 0.5).all()
        missed += [] if is_kept else [f"{name}: {found} for {expected}, bound {told['ulp']}"]
    return [f"{case['id']}, {miss}" for miss in missed]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
async def test_each_case_is_answered_within_its_bounds(http: httpx.AsyncClient, dtype: str, form: str) -> None:
    """Every answered case comes back within the ulp that the pack allows, exact parts to the last bit."""
    ask, read = FORMS[form]
    missed: list[str] = []
    for case in CASES:
        if dtype not in case["expected"] or (form == "json" and case["shape"][0] == 0):
            continue
        reply = await ask(http, case, dtype)
        missed += misses(case, dtype, read(reply)) if reply.status_code == 200 else [f"{case['id']}: {reply.text}"]
    assert missed == []


@pytest.mark.parametrize("form", FORMS)
async def test_each_refused_case_has_its_reason(http: httpx.AsyncClient, form: str) -> None:
    """A case without an answer is refused with the slug that the pack names."""
    refused = [(case, *reason) for case in CASES for reason in case.get("refused", {}).items()]
    assert {slug for _, _, slug in refused} == {"number-out-of-range", "infinite-loss", "undefined-row"}
    for case, dtype, slug in refused:
        reply = await FORMS[form][0](http, case, dtype)
        assert (case["id"], reply.status_code, reply.json()["type"]) == (case["id"], 422, f"/problems/{slug}")


async def test_json_refuses_cases_without_rows(http: httpx.AsyncClient) -> None:
    """JSON cannot say how many classes no rows have, so these cases are for binary alone."""
    cases = [case for case in CASES if case["shape"][0] == 0]
    assert len(cases) >= 4
    for case in cases:
        reply = await post_json(http, case, "float64")
        assert reply.json()["type"] == "/problems/empty-batch"


def test_the_rule_sees_a_last_digit() -> None:
    """Of a float32 result two neighbours away from the expected one the rule is broken."""
    case = next(case for case in CASES if case["id"] == "labels.normal_1")
    right = {name: TENSORS["float32"][f"labels.normal_1/expected/{name}"] for name in ("losses", "gradient")}
    off = np.nextafter(np.nextafter(right["gradient"], np.float32(9)), np.float32(9))
    told = {"summary": case["summary"]}
    assert misses(case, "float32", right | told) == []
    assert len(misses(case, "float32", right | {"gradient": off} | told)) == 1
    assert len(misses(case, "float32", right)) == 1
