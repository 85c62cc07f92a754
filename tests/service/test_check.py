"""`/check` over HTTP: its examples, its refusals, both dialects, and what it is no part of."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import numpy as np
import pytest

from gradient_service.app import create_app
from gradient_service.core.checking.codes import DiagnosisCode
from gradient_service.settings import Settings

from .bad_claims import CLAIM, CLAIMED, CLAIMS, SHARED
from .bad_values import LABELLED
from .conftest import JSON, check_problem, client_of, post
from .stored_answers import has_widest_kernels, stored
from .wire.safetensors_files import file_of
from .wire.safetensors_files import stored as tensor

pytestmark = pytest.mark.anyio

EXAMPLES = stored("check")
BINARY = {"Content-Type": "application/x-safetensors"}
OTHER_TENSORS = {"logits": "float64", "labels": "int64"}
GRADIENT = [
    [0.045015286585190224, 0.12236423552739878, -0.16737952211258905],
    [-0.33333333333333337, 0.16666666666666666, 0.16666666666666666],
]


def ids(case: tuple[Any, ...]) -> str:
    """The name of a bad request."""
    return f"{case[0]} {case[5]}".encode("ascii", "backslashreplace").decode()


async def post_tensors(http: httpx.AsyncClient, members: dict[str, Any], **options: Any) -> httpx.Response:
    """The reply to the two rows with a claim of tensors, each as stored."""
    tensors = {name: tensor(LABELLED[name], dtype) for name, dtype in OTHER_TENSORS.items()}
    tensors |= {f"claimed.{name}": value for name, value in members.items()}
    return await http.post("/check", content=file_of(tensors, options), headers=BINARY)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_is_answered_as_stored(http: httpx.AsyncClient, name: str) -> None:
    """Status, verdict and codes are the stored ones, and everything is where the kernels are the same."""
    example = EXAMPLES[name]
    reply = await post(http, "/check", example["request"], X_Request_ID="example")
    assert reply.status_code == example["status"]
    answer, expected = reply.json(), example["answer"]
    assert answer.get("verdict") == expected.get("verdict")
    codes = [[each["code"] for each in one.get("diagnoses", [])] for one in (answer, expected)]
    assert codes[0] == codes[1]
    if has_widest_kernels():
        assert answer == expected


def test_the_first_examples_are_those_of_every_operation() -> None:
    """Everyday, two classes, confident row and refused lead the list."""
    assert list(EXAMPLES)[:4] == ["everyday", "two_classes", "confident_row", "refused"]


@pytest.mark.parametrize("case", CLAIMS, ids=ids)
async def test_a_bad_claim_is_refused(http: httpx.AsyncClient, case: tuple[Any, ...]) -> None:
    """A claim that is none, or does not fit, is named by field, member and element."""
    check_problem(await post(http, "/check", case[2]), *case[3:])


@pytest.mark.parametrize("case", SHARED, ids=ids)
async def test_what_gradient_refuses_is_refused(http: httpx.AsyncClient, case: tuple[Any, ...]) -> None:
    """The fields that both operations have obey the same rules in both."""
    check_problem(await post(http, "/check", case[2]), *case[3:])


async def test_what_the_catalogue_spoils_is_good(http: httpx.AsyncClient) -> None:
    """The request that it changes is answered."""
    assert (await post(http, "/check", CLAIMED)).status_code == 200


@pytest.mark.parametrize("text", ['{"loss": 1, "loss": 1}', '{"losses": [0, 0], "losses": [0, 0]}'])
async def test_a_member_given_twice_is_a_duplicate(http: httpx.AsyncClient, text: str) -> None:
    """Names are given once within the claim too."""
    body = json.dumps(LABELLED)[:-1] + f', "claimed": {text}}}'
    reply = await http.post("/check", content=body, headers=JSON)
    assert (reply.status_code, reply.json()["type"]) == (400, "/problems/duplicate-field")


@pytest.mark.parametrize("depth", [9, 1000])
async def test_deep_nesting_in_a_claim_is_told_as_such(http: httpx.AsyncClient, depth: int) -> None:
    """Nesting beyond the limit is 400 wherever it stands."""
    body = json.dumps(LABELLED)[:-1] + ', "claimed": {"gradient": ' + "[" * depth + "]" * depth + "}}"
    check_problem(await http.post("/check", content=body, headers=JSON), 400, "nesting-too-deep")


async def test_a_long_claim_is_as_good_as_a_short_one(http: httpx.AsyncClient) -> None:
    """A claim that another process decodes has the dtype asked for, and a fault in it has its place."""
    rows = 20_000
    body: dict[str, Any] = {"logits": [[0.5, 1.5, 2.5]] * rows, "labels": [0] * rows, "dtype": "float32"}
    gradient = (await post(http, "/gradient", body)).json()["gradient"]
    right = await post(http, "/check", body | {"claimed": {"gradient": gradient}})
    assert right.json()["verdict"] == "match"
    gradient[-1][2] = "1"
    wrong = await post(http, "/check", body | {"claimed": {"gradient": gradient}})
    check_problem(wrong, 422, "wrong-type", f"/claimed/gradient/{rows - 1}/2")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
async def test_a_binary_claim_has_its_own_dtype(http: httpx.AsyncClient, dtype: str) -> None:
    """A right gradient rounded to a type is a match in it, whatever the logits have."""
    reply = await post_tensors(http, {"gradient": tensor(GRADIENT, dtype)})
    assert (reply.status_code, reply.json()["verdict"]) == (200, "match")
    off = np.array(GRADIENT).astype(dtype) * np.array(1 + 400 * np.finfo(dtype).eps, dtype)
    reply = await post_tensors(http, {"gradient": tensor(off, dtype)})
    assert reply.json()["verdict"] == "mismatch"


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint64"])
async def test_labels_of_any_type_are_told_to_be_off(http: httpx.AsyncClient, dtype: str) -> None:
    """One below label 0 is no number of an unsigned type: the search for labels that are off once failed at it."""
    shifted = LABELLED | {"labels": [(label + 1) % 3 for label in LABELLED["labels"]]}
    gradient = (await post(http, "/gradient", shifted)).json()["gradient"]
    tensors = {"logits": tensor(LABELLED["logits"], "float64"), "labels": tensor(LABELLED["labels"], dtype)}
    body = file_of(tensors | {"claimed.gradient": tensor(gradient, "float64")})
    answer = (await http.post("/check", content=body, headers=BINARY)).json()
    assert [each["code"] for each in answer["diagnoses"]][:1] == ["labels_off_by_one"]


@pytest.mark.parametrize(
    ("claimed", "detail"),
    [
        ({"loss": "1"}, "claimed.loss: Input should be a valid number."),
        ({"loss": [1]}, "claimed.loss: Input should be a valid number."),
        (1, "claimed: Input should be an object."),
        ({}, "One of loss, losses, gradient, probabilities is required."),
        ({"los": 1}, "There is no field 'claimed.los' here. Did you mean claimed.loss?"),
        ({"x": 1}, "There is no field 'claimed.x' here."),
    ],
)
async def test_what_is_no_claim_is_told_in_words_of_json(http: httpx.AsyncClient, claimed: Any, detail: str) -> None:
    """Once an array of Python's was asked for in place of a number, and a field in place of its member."""
    problem = (await post(http, "/check", LABELLED | {"claimed": claimed})).json()
    assert [error["detail"] for error in problem["errors"]] == [detail]


async def test_json_claims_have_the_dtype_of_the_answer(http: httpx.AsyncClient) -> None:
    """With dtype float32 an error of float32 is none, and without it is."""
    off = [[number * (1 + 1e-7) for number in row] for row in GRADIENT]
    body = LABELLED | {"claimed": {"gradient": off}}
    assert (await post(http, "/check", body)).json()["verdict"] == "mismatch"
    assert (await post(http, "/check", body | {"dtype": "float32"})).json()["verdict"] == "match"


async def test_the_description_explains_every_code(http: httpx.AsyncClient) -> None:
    """Whoever reads what the call does meets each diagnosis: ten of them were once left out."""
    described = (await http.get("/openapi.json")).json()["paths"]["/check"]["post"]["description"]
    assert [code.value for code in DiagnosisCode if f"`{code.value}`" not in described] == []


async def test_limits_hold() -> None:
    """A batch beyond the limit of elements is refused, and one whose gradient would be too large to send is not."""
    app = create_app(Settings.model_construct(max_elements=5))
    async with client_of(app) as client:
        check_problem(await post(client, "/check", CLAIMED), 422, "output-too-large", "/logits")
    app = create_app(Settings.model_construct(max_reply_bytes=1))
    async with client_of(app) as client:
        assert (await post(client, "/check", LABELLED | {"claimed": {"gradient": GRADIENT}})).status_code == 200


async def test_options_in_force_are_told(http: httpx.AsyncClient) -> None:
    """The reply says what was applied: no precision, which a check has not, and a tolerance that was given."""
    reply = await post(http, "/check", LABELLED | {"claimed": CLAIM, "rtol": 0.5})
    assert reply.json()["applied"] == {
        "temperature": 1.0,
        "dtype": "float64",
        "objective": "softmax_cross_entropy",
        "reduction": "mean",
        "denominator": "weights",
        "denominator_value": 2.0,
        "label_smoothing": 0.0,
        "rtol": 0.5,
    }


async def test_a_row_that_lost_digits_is_told_by_its_own_distance(http: httpx.AsyncClient) -> None:
    """Not by that of another one, which the tolerance lets pass however far it is from nothing."""
    body = {"logits": [[40, 0], [1, 0]], "labels": [0, 1], "ignore_label": 1, "reduction": "sum"}
    reply = (await post(http, "/check", body | {"claimed": {"losses": [0, 5]}, "atol": 10})).json()
    (diagnosis,) = reply["diagnoses"]
    assert (reply["verdict"], diagnosis["code"]) == ("match", "cancellation")
    assert 0 < diagnosis["residual"] < 1e-15


@pytest.mark.parametrize(("claimed", "verdict"), [(4.25e7, "match"), (9.7e7, "mismatch")])
async def test_losses_next_to_the_range_are_judged(http: httpx.AsyncClient, claimed: float, verdict: str) -> None:
    """What is tolerated of their mean is no more than of any other, also where sums on the way leave the range."""
    body = {"logits": [[0, -700, -1.7e308]], "targets": [[0.5, 0.25, 0.25]], "denominator_value": 1e300}
    reply = (await post(http, "/check", body | {"claimed": {"loss": claimed}})).json()
    assert (reply["verdict"], reply["diagnoses"]) == (verdict, [])


UNNORMALISED = [
    ({"targets": [[16.2, 1.9], [0, 43.2]]}, {"gradient": [[-1.1, 0.1], [-0.1, -1.9]]}),
    ({"targets": [[57.8, 12.4], [745, 48.4]], "label_smoothing": 1}, {"losses": [3e10, 2e10]}),
]


@pytest.mark.parametrize(("options", "claimed"), UNNORMALISED)
async def test_targets_above_one_explain_nothing_by_themselves(
    http: httpx.AsyncClient, options: dict[str, Any], claimed: dict[str, Any]
) -> None:
    """1 − c is negative there, in formulas that were not asked for too; what is tolerated is not."""
    body = options | {"logits": [[0, 32], [17.8, 0]], "targets_sum": "any", "claimed": claimed}
    reply = (await post(http, "/check", body)).json()
    assert (reply["verdict"], reply["diagnoses"]) == ("mismatch", [])


@pytest.mark.parametrize("claimed", [{"gradient": [[1.1], [-0.3]]}, {"loss": 3}])
@pytest.mark.parametrize("weight", [5e-324, 1e-310])
async def test_weights_next_to_nothing_let_nothing_pass(
    http: httpx.AsyncClient, claimed: dict[str, Any], weight: float
) -> None:
    """1 / D leaves the range there, of which the weights make an ordinary number again."""
    body = {"logits": [[-1], [49.5]], "targets": [[1], [1]], "class_weights": [weight]}
    reply = (await post(http, "/check", body | {"claimed": claimed})).json()
    assert (reply["verdict"], reply["diagnoses"]) == ("mismatch", [])


@pytest.mark.parametrize(("share", "verdict"), [(1.0, "match"), (1.05, "mismatch"), (0.6, "mismatch")])
@pytest.mark.parametrize("weight", [1.0, 1e290, 1e300])
async def test_parts_beyond_the_range_change_no_verdict(
    http: httpx.AsyncClient, weight: float, share: float, verdict: str
) -> None:
    """A weight of 1e300 times one of 1e10 leaves the range, which over the denominator is no matter."""
    question = {
        "logits": [[34, 0]],
        "labels": [1],
        "objective": "softmax_binary_cross_entropy",
        "class_weights": [weight, weight],
        "sample_weights": [1e10],
        "denominator_value": 1e20,
        "claimed": {"loss": share * 68e-10 * weight},
    }
    assert (await post(http, "/check", question)).json()["verdict"] == verdict


@pytest.mark.parametrize("weight", [1.0, 1e290, 1e300])
async def test_a_usual_error_beyond_the_range_is_usual(http: httpx.AsyncClient, weight: float) -> None:
    """What plain float64 leaves of the loss of a confident row is a match, however large the weights on the way are."""
    question = {
        "logits": [[33, 0]],
        "labels": [0],
        "class_weights": [weight, weight],
        "sample_weights": [1e10],
        "denominator_value": 1e20,
        "claimed": {"loss": -math.log(1 / (1 + math.exp(-33))) * weight / 1e10},
    }
    assert (await post(http, "/check", question)).json()["verdict"] == "match"
