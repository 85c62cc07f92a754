"""The real client drives the real service over a socket: worked numbers, every output, every option, every array."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from gradient_client._options import (
    Curvature,
    Denominator,
    FloatDtype,
    GradientOutput,
    LossOutput,
    Objective,
    Precision,
    Reduction,
    SoftmaxOutput,
    TargetsSum,
)
from gradient_client._protocol import GRADIENT, LOSS, SOFTMAX
from gradient_service.schemas.requests import GradientRequest, LossRequest, SoftmaxRequest
from tests.reference.exact import evaluate

from .conftest import Ask

TEXTBOOK, SIGMOID = "softmax_binary_cross_entropy", "sigmoid_binary_cross_entropy"
PAIR = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]
ROW, TIES = PAIR[:1], PAIR[1:]
WEIGHTED: dict[str, Any] = {"class_weights": [1, 2, 3]}
SAMPLED: dict[str, Any] = {"sample_weights": [1, 3]}
SMOOTHED: dict[str, Any] = {**WEIGHTED, "label_smoothing": 0.1}
BATCH: dict[str, Any] = {"denominator": "batch"}

LOSSES: list[tuple[str, list[int], dict[str, Any], float]] = [
    ("plain", [2, 0], {}, 0.753109),
    ("class weights", [2, 0], WEIGHTED, 0.580358),
    ("class weights by batch", [2, 0], WEIGHTED | BATCH, 1.160715),
    ("sample weights", [2, 0], SAMPLED, 0.925861),
    ("sample weights by batch", [2, 0], SAMPLED | BATCH, 1.851721),
    ("smoothing", [2, 0], SMOOTHED, 0.630966),
    ("smoothing by batch", [2, 0], SMOOTHED | BATCH, 1.261932),
    ("other labels", [2, 2], SMOOTHED, 0.750228),
    ("other labels by batch", [2, 2], SMOOTHED | BATCH, 2.250683),
    ("all smoothing", [2, 0], {"label_smoothing": 1}, 1.253109),
    ("first ignored", [-1, 0], {"ignore_label": -1}, 1.098612),
]
GRADIENTS: list[tuple[str, Any, dict[str, Any], float, list[float]]] = [
    ("plain", ROW, {"labels": [2]}, 0.407606, [0.090031, 0.244728, -0.334759]),
    ("temperature", ROW, {"labels": [2], "temperature": 2}, 0.680270, [0.093162, 0.153598, -0.246760]),
    ("textbook", ROW, {"labels": [2], "objective": TEXTBOOK}, 0.782628, [0.150889, 0.465244, -0.616133]),
    ("sigmoid", ROW, {"targets": [[0, 0, 1]], "objective": SIGMOID}, 3.488777, [0.731059, 0.880797, -0.047426]),
    ("masked", [[9, 0, 0]], {"labels": [1], "mask": [False, True, True]}, 0.693147, [0, -0.5, 0.5]),
    ("masked one-hot", [[9, 0, 0]], {"targets": [[0, 1, 0]], "mask": [False, True, True]}, 0.693147, [0, -0.5, 0.5]),
    ("any sum", TIES, {"targets": [[2, 1, 1]], "targets_sum": "any", "reduction": "sum"}, 4.394449,
     [-0.666667, 0.333333, 0.333333]),
]  # fmt: skip
# Each option with a value that is not its default, and what else it needs.
OPTIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "targets": ([[0.5, 0.25, 0.25], [0, 0, 1]], {}),
    "targets_sum": ("any", {"targets": [[2, 1, 1], [0, 0, 3]]}),
    "objective": (TEXTBOOK, {"labels": [2, 0]}),
    "reduction": ("sum", {"labels": [2, 0]}),
    "denominator": ("batch", {"labels": [2, 0], "class_weights": [1, 2, 3]}),
    "denominator_value": (7.0, {"labels": [2, 0]}),
    "class_weights": ([1, 2, 3], {"labels": [2, 0]}),
    "sample_weights": ([1, 3], {"labels": [2, 0]}),
    "ignore_label": (0, {"labels": [2, 0]}),
    "label_smoothing": (0.1, {"labels": [2, 0]}),
    "class_mask": ([True, False, True], {"labels": [2, 0]}),
    "element_mask": ([[True, False, True], [True, True, False]], {"labels": [2, 0]}),
    "temperature": (3.0, {"labels": [2, 0]}),
    "upstream": ([2.0, -1.0], {"labels": [2, 0], "reduction": "none"}),
    "curvature": ("upper_bound", {"labels": [2, 0], "include": ["hessian_diagonal"]}),
    "precision": ("fast", {"labels": [2, 0]}),
    "dtype": ("float32", {"labels": [2, 0]}),
}
IMPRECISE = {"precision", "dtype"}


@pytest.mark.parametrize(("labels", "options", "loss"), [case[1:] for case in LOSSES], ids=[c[0] for c in LOSSES])
@pytest.mark.parametrize("method", ["loss", "gradient"])
def test_worked_losses(ask: Ask, method: str, labels: list[int], options: dict[str, Any], loss: float) -> None:
    """The worked losses arrive through both clients, from both calls."""
    assert ask(method, PAIR, labels, **options).loss == pytest.approx(loss, abs=5e-7)


@pytest.mark.parametrize(("logits", "options", "loss", "gradient"), [case[1:] for case in GRADIENTS],
                         ids=[case[0] for case in GRADIENTS])  # fmt: skip
def test_worked_gradients(ask: Ask, logits: Any, options: dict[str, Any], loss: float, gradient: list[float]) -> None:
    """The worked gradients arrive through both clients."""
    result = ask("gradient", logits, **options)
    assert result.loss == pytest.approx(loss, abs=5e-7)
    np.testing.assert_allclose(result.gradient, [gradient], atol=5e-7)


def test_worked_rows(ask: Ask) -> None:
    """The losses of the rows, the probabilities and the diagonal-only value are the worked ones."""
    losses = ask("loss", PAIR, [2, 0], reduction="none").losses
    np.testing.assert_allclose(losses, [0.407606, 1.098612], atol=5e-7)
    np.testing.assert_allclose(ask("softmax", ROW).probabilities, [[0.090031, 0.244728, 0.665241]], atol=5e-7)
    shortcut = ask("gradient", ROW, [2], objective=TEXTBOOK, include=["gradient_diagonal_only"])
    np.testing.assert_allclose(shortcut.gradient_diagonal_only, [[0.090031, 0.244728, -0.334759]], atol=5e-7)


def test_the_confident_row_to_its_last_digit(ask: Ask) -> None:
    """s = (40, 0) loses no digit on its way through both sides."""
    result = ask("gradient", [[40.0, 0.0]], [0])
    assert result.loss == 4.248354255291589e-18
    assert result.gradient.tolist() == [[-4.248354255291589e-18, 4.248354255291589e-18]]


@pytest.mark.parametrize("name", get_args(SoftmaxOutput))
def test_every_output_of_softmax(ask: Ask, name: str) -> None:
    """Each output that softmax can be asked for arrives alone and right."""
    result = ask("softmax", PAIR, include=[name])
    exact = evaluate(np.array(PAIR), include=(name,))[name].value
    np.testing.assert_allclose(getattr(result, name), exact.astype(float), rtol=1e-14)
    assert [other for other in get_args(SoftmaxOutput) if hasattr(result, other)] == [name]


@pytest.mark.parametrize("name", get_args(GradientOutput))
def test_every_output_of_gradient(ask: Ask, name: str) -> None:
    """Each output that gradient can be asked for arrives alone and right."""
    result = ask("gradient", PAIR, [2, 0], include=[name])
    assert [other for other in get_args(GradientOutput) if hasattr(result, other)] == [name]
    exact = evaluate(np.array(PAIR), labels=[2, 0], include=(name,))
    if name == "summary":
        assert exact.summary is not None
        assert result.summary.loss_sum == pytest.approx(float(exact.summary.loss_sum), rel=1e-15)
    else:
        value = np.asarray(exact[name].value, dtype=float)
        np.testing.assert_allclose(getattr(result, name), value, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("name", get_args(LossOutput))
def test_every_output_of_loss(ask: Ask, name: str) -> None:
    """Each output that loss can be asked for arrives alone, the same as from gradient."""
    result, other = (ask(method, PAIR, [2, 0], include=[name]) for method in ("loss", "gradient"))
    np.testing.assert_equal(getattr(result, name), getattr(other, name))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_reaches_the_numbers(ask: Ask, option: str) -> None:
    """Each option changes the answer as the exact reference says."""
    value, needs = OPTIONS[option]
    asked = needs | {option: value}
    name = asked.get("include", ["gradient"])[0]
    options = {field: given for field, given in asked.items() if field not in {"include", "targets_sum", *IMPRECISE}}
    exact = np.asarray(evaluate(np.array(PAIR), include=(name,), **options)[name].value, dtype=float)
    result = ask("gradient", PAIR, **asked | {"include": [name]})
    tolerance = 1e-6 if option in IMPRECISE else 1e-13
    np.testing.assert_allclose(getattr(result, name), exact, rtol=tolerance, atol=1e-16)


@pytest.mark.parametrize("option", [name for name in OPTIONS if np.ndim(OPTIONS[name][0]) == 0])
def test_every_scalar_option_is_told_back(ask: Ask, option: str) -> None:
    """`applied` holds each scalar option that was given."""
    value, needs = OPTIONS[option]
    assert ask("gradient", PAIR, **needs | {option: value}).applied[option] == value


def test_the_options_above_are_all() -> None:
    """Every field that gradient takes is in the table of options, or is an input or the list of outputs."""
    assert set(GradientRequest.model_fields) == {"logits", "labels", "include", *OPTIONS}


@pytest.mark.parametrize(("operation", "request_model"), [(SOFTMAX, SoftmaxRequest), (LOSS, LossRequest),
                                                          (GRADIENT, GradientRequest)])  # fmt: skip
def test_both_sides_know_the_same_fields(operation: Any, request_model: Any) -> None:
    """The client can say whatever the service reads; `mask` is its word for both masks."""
    assert set(operation.fields) - {"mask"} - ({"labels"} if operation is SOFTMAX else set()) == set(
        request_model.model_fields
    )


@pytest.mark.parametrize(("field", "words"), [
    ("objective", Objective), ("reduction", Reduction), ("denominator", Denominator), ("targets_sum", TargetsSum),
    ("curvature", Curvature), ("precision", Precision), ("dtype", FloatDtype),
])  # fmt: skip
def test_both_sides_know_the_same_words(field: str, words: Any) -> None:
    """The client's types list each word that the service takes."""
    annotation: Any = GradientRequest.model_fields[field].annotation
    choices = annotation if hasattr(annotation, "__members__") else get_args(annotation)[0]
    assert set(get_args(words)) == {choice.value for choice in choices}


def test_float32_in_float32_out(ask: Ask) -> None:
    """Results have the dtype of a floating input, and each is the exact number rounded once."""
    logits = np.array(PAIR, dtype=np.float32)
    result = ask("gradient", logits, [2, 0])
    assert (result.gradient.dtype, result.applied["dtype"]) == (np.float32, "float32")
    error = evaluate(logits, labels=[2, 0], include=("gradient",))["gradient"].ulp_error(result.gradient, "float32")
    assert error.max() <= 0.501


@pytest.mark.parametrize(("given", "asked", "expected"), [
    ("float64", None, "float64"), ("float32", "float64", "float64"), ("float64", "float32", "float32"),
    ("int64", None, "float64"), ("float16", None, "float32"), ("int8", "float32", "float32"),
])  # fmt: skip
def test_the_dtype_of_results(ask: Ask, given: str, asked: Any, expected: str) -> None:
    """What is asked for decides, else the logits' own dtype, half precision widened, integers as float64."""
    assert ask("softmax", np.array(PAIR, dtype=given), dtype=asked).probabilities.dtype == expected


def test_a_mask_of_one_rank_is_a_class_mask(ask: Ask) -> None:
    """A mask (K,) counts in every row."""
    assert ask("softmax", PAIR, mask=[False, True, True]).probabilities[:, 0].tolist() == [0, 0]


def test_a_mask_of_two_ranks_is_an_element_mask(ask: Ask) -> None:
    """A mask (N, K) counts element by element, and a masked class has log-probability −inf."""
    mask = [[False, True, True], [True, True, True]]
    result = ask("softmax", PAIR, mask=mask, include=["log_probabilities"])
    assert np.isneginf(result.log_probabilities).tolist() == [[True, False, False], [False] * 3]


def test_a_large_batch_comes_back_whole(ask: Ask) -> None:
    """Half a million numbers go there and back, and every row sums to 1."""
    logits = np.random.default_rng(3).normal(size=(5000, 100))
    probabilities = ask("softmax", logits).probabilities
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-13)
    assert probabilities.argmax(axis=1).tolist() == logits.argmax(axis=1).tolist()


def test_a_call_tells_about_itself(ask: Ask) -> None:
    """A result carries the request's id, its attempts, the service's stages and the sizes of both bodies."""
    meta = ask("softmax", PAIR).meta
    assert meta.request_id
    assert [attempt.status for attempt in meta.attempts] == [200]
    assert set(meta.server_timing) == {"read", "parse", "compute", "encode"}
    assert meta.request_bytes
    assert meta.reply_bytes


def test_a_check_names_the_mistake(ask: Ask) -> None:
    """A sum where the mean was asked for is named through each client and wire, and a right gradient is a match."""
    right = ask("gradient", PAIR, [2, 0]).gradient
    assert ask("check", PAIR, [2, 0], gradient=right).verdict == "match"
    report = ask("check", PAIR, [2, 0], gradient=2 * right)
    assert (report.verdict, report.diagnoses[0].code) == ("mismatch", "sum_instead_of_mean")
    assert report.applied["denominator_value"] == 2
