"""The examples of the OpenAPI document: executed, compared with what is stored, and held against exact answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.reference.exact import Exact, evaluate, product_of_factors
from tests.reference.ulp import expand

from .conftest import post
from .stored_answers import has_widest_kernels, stored, without_fractions

pytestmark = pytest.mark.anyio

OPERATIONS = ("softmax", "loss", "gradient")
NOT_OF_THE_QUESTION = {"include", "dtype", "precision", "targets_sum"}
# The bounds of the accuracy contract in ulp; each multiplying option in use adds one.
BOUNDS = {"jacobian": 8.0, "hessian_diagonal": 8.0, "gradient_by_chain_rule": 16.0}
DECISIONS = {"predicted_labels", "one_hot"}
MULTIPLYING = {"class_weights", "sample_weights", "upstream", "temperature"}


EXAMPLES = [
    (f"{operation}-{name}", operation, example)
    for operation in OPERATIONS
    for name, example in stored(operation).items()
]


def cases(*examples: tuple[str, str, dict[str, Any]]) -> pytest.MarkDecorator:
    """Run a test on some examples."""
    params = [pytest.param(operation, example, id=name) for name, operation, example in examples]
    return pytest.mark.parametrize(("operation", "example"), params)


ANSWERED = [example for example in EXAMPLES if example[2]["status"] == 200]
SUMMED = [example for example in ANSWERED if "summary" in example[2]["answer"]]


def exact_answer(request: dict[str, Any], names: set[str]) -> Exact:
    """The exact outputs of a request."""
    options = {name: value for name, value in request.items() if name not in NOT_OF_THE_QUESTION | {"logits"}}
    logits = np.asarray(request["logits"], dtype=request.get("dtype", "float64"))
    return evaluate(logits, include=tuple(names), **options)


def bound_of(name: str, request: dict[str, Any]) -> float:
    """The most ulps by which an output may err."""
    if request.get("dtype") == "float32":
        return 0.501
    factors: int = len(MULTIPLYING & set(request)) + (request.get("reduction", "mean") == "mean")
    return BOUNDS.get(name, 5.0) + factors


def check_right(name: str, output: Any, exact: Exact, request: dict[str, Any]) -> None:
    """Raise unless an output is within its bound; null stands for −∞, and decisions are exact."""
    if name in DECISIONS:
        assert output == exact[name].value.tolist()
        return
    dtype = request.get("dtype", "float64")
    computed = np.array(json.loads(json.dumps(output).replace("null", "-Infinity")), dtype)
    assert exact[name].ulp_error(computed, dtype).max() <= bound_of(name, request), name


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_has_the_four_first_examples(operation: str) -> None:
    """Everyday, two classes, confident row and refused lead the list of each operation."""
    assert list(stored(operation))[:4] == ["everyday", "two_classes", "confident_row", "refused"]


@cases(*EXAMPLES)
async def test_the_answer_is_the_stored_one(http: httpx.AsyncClient, operation: str, example: dict[str, Any]) -> None:
    """An example answers with its status and its stored document, to the last bit where the kernels are the same."""
    reply = await post(http, f"/{operation}", example["request"], X_Request_ID="example")
    assert reply.status_code == example["status"]
    assert without_fractions(reply.json()) == without_fractions(example["answer"])
    if has_widest_kernels():
        assert reply.json() == example["answer"]


@cases(*ANSWERED)
async def test_the_answer_is_right(http: httpx.AsyncClient, operation: str, example: dict[str, Any]) -> None:
    """Every output of an example is within the bound of the exact answer, as computed and as stored."""
    request = example["request"]
    reply = await post(http, f"/{operation}", request)
    for answer in (reply.json(), example["answer"]):
        names = set(answer) - {"applied", "summary"}
        exact = exact_answer(request, names)
        for name in names:
            check_right(name, answer[name], exact, request)


@cases(*SUMMED)
def test_the_summary_is_right(operation: str, example: dict[str, Any]) -> None:
    """A stored summary counts exactly, its sums are right to the last bits, and its tails are remainders of them."""
    assert operation in {"loss", "gradient"}
    summary = example["answer"]["summary"]
    exact = exact_answer(example["request"], {"losses"}).summary
    assert exact is not None
    for name in ("example_count", "ignored_count", "correct_count"):
        assert summary[name] == getattr(exact, name)
    for name in ("loss", "weight"):
        sums = [summary[f"{name}_sum"], *summary[f"{name}_tail"]]
        assert sums[0] == pytest.approx(float(getattr(exact, f"{name}_sum")), rel=1e-15)
        assert expand(sums) == sums


def test_the_product_is_that_of_the_factors_shown() -> None:
    """The jacobian example multiplies out: ∂E/∂p times ∂p/∂s gives the product, which is the gradient."""
    answer = stored("gradient")["jacobian"]["answer"]
    product = product_of_factors(np.array(answer["loss_wrt_probabilities"]), np.array(answer["jacobian"]))
    assert product.ulp_error(np.array(answer["gradient_by_chain_rule"]), "float64").max() <= 16
    np.testing.assert_allclose(answer["gradient_by_chain_rule"], answer["gradient"], rtol=1e-14)
