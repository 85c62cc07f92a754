"""The catalogue again in every dialect that can say the same: one status, one slug, one pointer for one fault."""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import pytest

from .bad_fields import ARRAYS, FIELDS, GOOD, OPTIONS, TARGETED
from .bad_values import CONFLICTS, LABELLED, VALUES
from .conftest import check_problem
from .dialects import DIALECTS, is_portable

pytestmark = pytest.mark.anyio

OTHERS = [name for name in DIALECTS if name != "json"]
CASES = [
    case
    for case in (*FIELDS, *OPTIONS, *ARRAYS, *CONFLICTS, *VALUES)
    if isinstance(case[2], dict) and is_portable(case[2])
]
CATALOGUE = [
    pytest.param(*case[1:3], case[3:], id=f"{case[1]} {case[0]}".encode("ascii", "backslashreplace").decode())
    for case in CASES
]


@pytest.mark.parametrize("dialect", OTHERS)
@pytest.mark.parametrize(("path", "fields", "expected"), CATALOGUE)
async def test_bad_input_is_refused_alike(
    http: httpx.AsyncClient, path: str, fields: dict[str, Any], expected: tuple[int, str, str], dialect: str
) -> None:
    """What JSON is refused for is refused in another dialect too, by the same status, slug and pointer."""
    url, body, headers = DIALECTS[dialect](path, fields)
    check_problem(await http.post(url, content=body, headers=headers), *expected)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("path", "fields"), [*GOOD.items(), ("gradient", LABELLED), ("loss", TARGETED)])
async def test_what_is_spoiled_is_good(
    http: httpx.AsyncClient, path: str, fields: dict[str, Any], dialect: str
) -> None:
    """The requests that the catalogue spoils are answered in every dialect."""
    url, body, headers = DIALECTS[dialect](path, fields)
    assert (await http.post(url, content=body, headers=headers)).status_code == 200


FLOATS: dict[str, Any] = {
    "logits": [[1.0, 2.0], [3.0, 4.0]],
    "targets": [[0.0, 1.0], [1.0, 0.0]],
    "class_weights": [1.0, 1.0],
    "sample_weights": [1.0, 1.0],
    "upstream": [1.0, 1.0],
}


@pytest.mark.parametrize("dialect", ["safetensors", "inference binary"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", FLOATS)
async def test_only_finite_numbers_are_read(http: httpx.AsyncClient, field: str, value: float, dialect: str) -> None:
    """NaN and infinities, which binary tensors can hold, are named by their place; a logit of −∞ masks its class."""
    last = [*FLOATS[field][:-1], [FLOATS[field][-1][0], value] if field in {"logits", "targets"} else value]
    url, body, headers = DIALECTS[dialect]("gradient", FLOATS | {field: last, "reduction": "none"})
    reply = await http.post(url, content=body, headers=headers)
    if (field, value) == ("logits", -math.inf):
        assert reply.status_code == 200
        return
    place = f"/{field}/1/1" if field in {"logits", "targets"} else f"/{field}/1"
    check_problem(reply, 422, "non-finite", place)


@pytest.mark.parametrize("dialect", ["safetensors", "inference binary"])
async def test_a_signalling_nan_is_a_nan(http: httpx.AsyncClient, dialect: str) -> None:
    """A NaN that signals when it is widened, as the fuzzer drew it, is refused without a warning."""
    fields = {"logits": [[1.0, 2.0]], "dtype": "float64"}
    url, body, headers = DIALECTS[dialect]("softmax", fields, "float32")
    signalling = body.replace(np.float32(2).tobytes(), b"\x01\x00\x80\x7f")
    check_problem(await http.post(url, content=signalling, headers=headers), 422, "non-finite", "/logits/0/1")
