"""Values that only binary bodies can hold: −∞, NaN, half precision, 64-bit labels, and a batch of no rows."""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.service.conftest import check_problem

from .safetensors_files import Stored, bits, file_of, reply_of, stored, stored_bfloat16

pytestmark = pytest.mark.anyio

HEADERS = {"Content-Type": "application/x-safetensors"}
LABELS = stored([0, 1], "int64")
LOGITS = stored([[1, 2], [3, 4]])
FLOATS = ["float16", "float32", "float64"]
NAN, INF = math.nan, math.inf
HALVES = {"F16": lambda values: stored(values, "float16"), "BF16": stored_bfloat16}
# 1/255 and 1/2047 lie a little above the middle of two numbers: rounding up moves their sum by a whole roundoff.
WORST_COUNTS = {"F16": 2047, "BF16": 255}


async def post(http: httpx.AsyncClient, path: str, tensors: dict[str, Stored], **options: Any) -> httpx.Response:
    """The reply to tensors and options."""
    return await http.post(path, content=file_of(tensors, options), headers=HEADERS)


async def answer(
    http: httpx.AsyncClient, path: str, tensors: dict[str, Stored], **options: Any
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and scalars of a reply that must be a success."""
    reply = await post(http, path, tensors, **options)
    assert (reply.status_code, reply.headers["content-type"]) == (200, HEADERS["Content-Type"])
    return reply_of(reply.content)


@pytest.mark.parametrize("dtype", FLOATS)
async def test_a_logit_of_minus_infinity_masks_its_class(http: httpx.AsyncClient, dtype: str) -> None:
    """−∞ has probability 0, log-probability −∞ and gradient 0, as a class that the mask takes out."""
    infinite, finite = [[1, -INF, 2], [-INF, 0, 3]], [[1, 9, 2], [9, 0, 3]]
    mask = stored(np.isfinite(infinite), "bool")
    ask = {"include": ["probabilities", "log_probabilities", "entropy", "predicted_labels"]}
    found, _ = await answer(http, "/softmax", {"logits": stored(infinite, dtype)}, **ask)
    assert found["probabilities"][0, 1] == found["probabilities"][1, 0] == 0
    assert found["log_probabilities"][0, 1] == found["log_probabilities"][1, 0] == -INF
    masked, _ = await answer(http, "/softmax", {"logits": stored(finite, dtype), "element_mask": mask}, **ask)
    assert {name: bits(array) for name, array in found.items()} == {name: bits(array) for name, array in masked.items()}
    labels = stored([0, 2], "uint8")
    given, scalars = await answer(http, "/gradient", {"logits": stored(infinite, dtype), "labels": labels})
    assert given["gradient"][0, 1] == given["gradient"][1, 0] == 0
    tensors = {"logits": stored(finite, dtype), "element_mask": mask, "labels": labels}
    wanted, wanted_scalars = await answer(http, "/gradient", tensors)
    assert (bits(given["gradient"]), scalars) == (bits(wanted["gradient"]), wanted_scalars)


@pytest.mark.parametrize(("logits", "expected"), [
    pytest.param([[0, 1], [-INF, -INF]], ("undefined-row", "/logits/1"), id="a row of -inf"),
    pytest.param([[-INF], [0]], ("undefined-row", "/logits/0"), id="the only class"),
    pytest.param([[0, 1], [2, NAN]], ("non-finite", "/logits/1/1"), id="NaN"),
    pytest.param([[0, INF], [2, 3]], ("non-finite", "/logits/0/1"), id="+inf"),
    pytest.param([[-INF, 1], [2, NAN]], ("non-finite", "/logits/1/1"), id="NaN behind -inf"),
    pytest.param([[-INF, 1], [INF, 2]], ("non-finite", "/logits/1/0"), id="+inf behind -inf"),
    pytest.param([[-INF, -INF], [NAN, 0]], ("undefined-row", "/logits/0"), id="a row of -inf before NaN"),
    pytest.param([[-INF, NAN], [0, 1]], ("non-finite", "/logits/0/1"), id="NaN beside -inf"),
])  # fmt: skip
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("path", ["/softmax", "/loss", "/gradient"])
async def test_other_logits_are_refused(
    http: httpx.AsyncClient, path: str, dtype: str, logits: list[list[float]], expected: tuple[str, str]
) -> None:
    """NaN and +∞ are named by row and column, a row without a class by its row."""
    tensors = {"logits": stored(logits, dtype)} | ({} if path == "/softmax" else {"labels": stored([0, 0], "int8")})
    check_problem(await post(http, path, tensors), 422, *expected)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize(("field", "pointer"), [
    ("class_weights", "/class_weights/1"), ("sample_weights", "/sample_weights/1"), ("upstream", "/upstream/1"),
    ("targets", "/targets/1/1"),
])  # fmt: skip
async def test_other_numbers_are_finite(http: httpx.AsyncClient, field: str, pointer: str, value: float) -> None:
    """NaN and infinities elsewhere are named by their place."""
    array = stored([[1.0, 0.0], [1.0, value]]) if field == "targets" else stored([1.0, value])
    tensors = {"logits": LOGITS, field: array} | ({} if field == "targets" else {"labels": LABELS})
    check_problem(await post(http, "/gradient", tensors, reduction="none"), 422, "non-finite", pointer)


async def test_a_label_on_minus_infinity_is_an_infinite_loss(http: httpx.AsyncClient) -> None:
    """The loss of a class that −∞ takes out has no value."""
    tensors = {"logits": stored([[0.0, 1.0], [0.0, -INF]]), "labels": LABELS}
    check_problem(await post(http, "/loss", tensors), 422, "infinite-loss", "/labels/1")


@pytest.mark.parametrize(("value", "dtype"), [(2**63, "uint64"), (2**64 - 1, "uint64"), (2, "uint64"), (-1, "int64"),
                                              (-(2**63), "int64"), (2**63 - 1, "int64"), (-128, "int8"),
                                              (255, "uint8"), (2**31 - 1, "int32")])  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"ignore_label": -100}, {"ignore_label": -(2**62)}], ids=str)
async def test_labels_are_compared_exactly(
    http: httpx.AsyncClient, value: int, dtype: str, options: dict[str, int]
) -> None:
    """A label that is no class is out of range in every integer type, none wraps around."""
    tensors = {"logits": LOGITS, "labels": stored([0, value], dtype)}
    check_problem(await post(http, "/loss", tensors, **options), 422, "label-out-of-range", "/labels/1")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
async def test_every_integer_type_labels(http: httpx.AsyncClient, dtype: str) -> None:
    """The gradient is the same whatever integers the labels are, with more classes than a byte can count."""
    logits = stored(np.linspace(-1, 1, 900).reshape(3, 300), "float64")
    wanted, _ = await answer(http, "/gradient", {"logits": logits, "labels": stored([0, 100, 127], "int64")})
    found, _ = await answer(http, "/gradient", {"logits": logits, "labels": stored([0, 100, 127], dtype)})
    assert bits(found["gradient"]) == bits(wanted["gradient"])


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
@pytest.mark.parametrize("count", [3, 7, 10, 0], ids=["3", "7", "10", "worst"])
async def test_rounded_targets_are_accepted(http: httpx.AsyncClient, dtype: str, count: int) -> None:
    """Rows that summed to 1 before they were rounded to half precision are taken; the same numbers in F32 are not."""
    count = count or WORST_COUNTS[dtype]
    targets = HALVES[dtype](np.full((1, count), 1 / count))
    half = np.frombuffer(targets[2], "<f2" if dtype == "F16" else "<u2")
    widened = half.astype("<f4") if dtype == "F16" else (half.astype("<u4") << 16).view("<f4")
    assert abs(widened.sum(dtype=float) - 1) > 1e-6
    tensors = {"logits": HALVES[dtype](np.zeros((1, count)))}
    await answer(http, "/loss", tensors | {"targets": targets})
    reply = await post(http, "/loss", tensors | {"targets": stored([widened])})
    check_problem(reply, 422, "invalid-distribution", "/targets/0")


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
async def test_half_targets_have_a_sum_too(http: httpx.AsyncClient, dtype: str) -> None:
    """Rows that miss 1 by more than rounding does are refused in half precision as well."""
    tensors = {"logits": HALVES[dtype]([[0, 0]]), "targets": HALVES[dtype]([[0.5, 0.515625]])}
    check_problem(await post(http, "/loss", tensors), 422, "invalid-distribution", "/targets/0")


@pytest.mark.parametrize(("logits", "dtype"), [
    pytest.param(stored([[1, 2]], "float16"), "float32", id="F16"),
    pytest.param(stored_bfloat16([[1, 2]]), "float32", id="BF16"),
    pytest.param(stored([[1, 2]]), "float32", id="F32"),
    pytest.param(stored([[1, 2]], "float64"), "float64", id="F64"),
])  # fmt: skip
@pytest.mark.parametrize("asked", [None, "float32", "float64"])
async def test_results_have_the_type_of_the_logits(
    http: httpx.AsyncClient, logits: Stored, dtype: str, asked: str | None
) -> None:
    """Results have the logits' own type, half precision widened to float32, unless a type is asked for."""
    options = {} if asked is None else {"dtype": asked}
    found, scalars = await answer(http, "/softmax", {"logits": logits}, **options)
    assert found["probabilities"].dtype.name == scalars["applied"]["dtype"] == (asked or dtype)


async def test_numbers_beyond_float32_are_named(http: httpx.AsyncClient) -> None:
    """A float64 that float32 does not hold is named, −∞ beside it is none of these."""
    tensors = {"logits": stored([[-INF, 0, 1e39]], "float64")}
    reply = await post(http, "/softmax", tensors, dtype="float32")
    check_problem(reply, 422, "number-out-of-range", "/logits/0/2")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", FLOATS)
async def test_no_rows_have_loss_0(http: httpx.AsyncClient, dtype: str, reduction: str) -> None:
    """The loss of an empty batch is 0, its gradient (0, K)."""
    tensors = {"logits": stored(np.zeros((0, 3)), dtype), "labels": stored([], "int32")}
    found, scalars = await answer(http, "/gradient", tensors, reduction=reduction)
    assert (scalars["loss"], found["gradient"].shape) == (0, (0, 3))


@pytest.mark.parametrize("num_classes", [2**20, 2**40, 2**60], ids=["2**20", "2**40", "2**60"])
async def test_no_rows_of_many_classes_are_no_fault(http: httpx.AsyncClient, num_classes: int) -> None:
    """Every output of an empty batch is (0, …), or refused, however many classes it names."""
    tensors: dict[str, Stored] = {"logits": ("F32", (0, num_classes), b""), "labels": ("U8", (0,), b"")}
    for output in ("gradient", "probabilities", "jacobian", "gradient_by_chain_rule", "hessian_diagonal"):
        reply = await post(http, "/gradient", tensors, include=[output])
        assert (output, reply.status_code) in {(output, 200), (output, 400), (output, 422)}
