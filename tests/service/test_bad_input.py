"""The catalogue of bad input: each body answers with its status, its slug and the pointer of its first fault."""

from __future__ import annotations

import httpx
import pytest

from .bad_bytes import BYTES
from .bad_fields import ARRAYS, FIELDS, GOOD, OPTIONS, TARGETED
from .bad_values import CONFLICTS, LABELLED, VALUES
from .conftest import JSON, check_problem, post

pytestmark = pytest.mark.anyio

CATALOGUE = [
    pytest.param(case[1], case[2], case[3:], id=f"{case[1]} {case[0]}".encode("ascii", "backslashreplace").decode())
    for case in (*BYTES, *FIELDS, *OPTIONS, *ARRAYS, *CONFLICTS, *VALUES)
]


@pytest.mark.parametrize(("path", "body", "expected"), CATALOGUE)
async def test_bad_input_is_refused(
    http: httpx.AsyncClient, path: str, body: object, expected: tuple[int, str, str]
) -> None:
    """A bad body is answered by a complete problem that names its first fault."""
    check_problem(await post(http, f"/{path}", body), *expected)


@pytest.mark.parametrize("path", GOOD)
async def test_what_the_catalogue_spoils_is_good(http: httpx.AsyncClient, path: str) -> None:
    """The requests that the catalogue changes are answered as they stand."""
    assert (await post(http, f"/{path}", GOOD[path])).status_code == 200


@pytest.mark.parametrize("body", [LABELLED, TARGETED])
async def test_what_the_catalogue_contradicts_is_good(http: httpx.AsyncClient, body: object) -> None:
    """The requests whose options the catalogue makes conflict are answered as they stand."""
    assert (await post(http, "/gradient", body)).status_code == 200


async def test_opposite_extremes_have_probabilities(http: httpx.AsyncClient) -> None:
    """Logits of ±1e308 are no bad input where no label asks for an infinite loss."""
    reply = await post(http, "/softmax", {"logits": [[1e308, -1e308]]})
    assert reply.json()["probabilities"] == [[1, 0]]


async def test_a_default_stated_is_no_conflict(http: httpx.AsyncClient) -> None:
    """An option that has its default value conflicts with nothing."""
    stated = {"denominator": "weights", "targets_sum": "one", "label_smoothing": 0, "curvature": "exact"}
    body = TARGETED | stated | {"reduction": "sum", "objective": "sigmoid_binary_cross_entropy"}
    assert (await post(http, "/gradient", body)).status_code == 200


@pytest.mark.parametrize("label", [2**63, 10**20, -(2**63) - 1])
async def test_a_distant_ignored_label_is_an_integer(http: httpx.AsyncClient, label: int) -> None:
    """An ignore_label that 64 bits do not hold is no wrong type: it is an integer, beyond any label."""
    check_problem(await post(http, "/loss", LABELLED | {"ignore_label": label}), 422, "out-of-range", "/ignore_label")


@pytest.mark.parametrize("label", [2**63 - 1, -(2**63)])
async def test_every_label_of_64_bits_can_be_ignored(http: httpx.AsyncClient, label: int) -> None:
    """The least and the largest integer of 64 bits are taken as an ignore_label."""
    assert (await post(http, "/loss", LABELLED | {"ignore_label": label})).status_code == 200


@pytest.mark.parametrize("depth", [9, 900, 1020, 100_000])
@pytest.mark.parametrize("field", ["logits", "include", "temperature", "class_mask", "element_mask", "nope"])
async def test_deep_nesting_in_any_field_is_told_as_such(http: httpx.AsyncClient, field: str, depth: int) -> None:
    """Nesting beyond the limit is 400 wherever it stands, before anything is said of fields and types."""
    body = '{"logits": [[1]], ' if field != "logits" else "{"
    body += f'"{field}": ' + "[" * depth + "]" * depth + "}"
    reply = await http.post("/softmax", content=body, headers=JSON)
    check_problem(reply, 400, "nesting-too-deep")
