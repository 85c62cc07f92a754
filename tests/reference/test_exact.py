"""The exact reference against printed numbers, refusals, decisions and plain arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp

from tests.reference import draws
from tests.reference.exact import NoAnswerError, evaluate, product_of_factors
from tests.reference.families import FAMILIES

TEXTBOOK, SIGMOID = "softmax_binary_cross_entropy", "sigmoid_binary_cross_entropy"
PAIR = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
ROW = PAIR[:1]
WEIGHTED: dict[str, Any] = {"class_weights": [1.0, 2.0, 3.0]}
SAMPLED: dict[str, Any] = {"sample_weights": [1.0, 3.0]}
SMOOTHED: dict[str, Any] = {**WEIGHTED, "label_smoothing": 0.1}
MASKED: dict[str, Any] = {"class_mask": [False, True, True]}

LOSSES: list[tuple[str, dict[str, Any], float]] = [
    ("plain", {}, 0.753109),
    ("class weights", WEIGHTED, 0.580358),
    ("class weights by batch", {**WEIGHTED, "denominator": "batch"}, 1.160715),
    ("sample weights by batch", {**SAMPLED, "denominator": "batch"}, 1.851721),
    ("sample weights", SAMPLED, 0.925861),
    ("smoothing by batch", {**SMOOTHED, "denominator": "batch"}, 1.261932),
    ("smoothing", SMOOTHED, 0.630966),
    ("other labels by batch", {**SMOOTHED, "labels": [2, 2], "denominator": "batch"}, 2.250683),
    ("other labels", {**SMOOTHED, "labels": [2, 2]}, 0.750228),
    ("all smoothing", {"label_smoothing": 1.0}, 1.253109),
    ("first ignored", {"labels": [-1, 0], "ignore_label": -1}, 1.098612),
]

GRADIENTS: list[tuple[str, dict[str, Any], float, list[float]]] = [
    ("plain", {"labels": [2]}, 0.407606, [0.090031, 0.244728, -0.334759]),
    ("temperature", {"labels": [2], "temperature": 2.0}, 0.680270, [0.093162, 0.153598, -0.246760]),
    ("textbook", {"labels": [2], "objective": TEXTBOOK}, 0.782628, [0.150889, 0.465244, -0.616133]),
    (
        "sigmoid",
        {"targets": [[0, 0, 1]], "objective": SIGMOID},
        3.488777,
        [0.731059, 0.880797, -0.047426],
    ),
    ("masked", {"logits": PAIR[1:], "labels": [1], **MASKED}, 0.693147, [0, -0.5, 0.5]),
    ("masked one-hot", {"logits": PAIR[1:], "targets": [[0, 1, 0]], **MASKED}, 0.693147, [0, -0.5, 0.5]),
    (
        "targets of any sum",
        {"logits": PAIR[1:], "targets": [[2, 1, 1]], "reduction": "sum"},
        4.394449,
        [-0.666667, 0.333333, 0.333333],
    ),
]


def case_ids(cases: list[Any]) -> list[str]:
    """Names of the cases of a table."""
    return [case[0] for case in cases]


def floats(values: Any) -> Any:
    """Exact values as float64."""
    return np.asarray(values, dtype=object).astype(float)


@pytest.mark.parametrize(("name", "options", "loss"), LOSSES, ids=case_ids(LOSSES))
def test_worked_loss(name: str, options: dict[str, Any], loss: float) -> None:
    """A worked loss of the two example rows comes out to its printed digits."""
    answer = evaluate(PAIR, include=("loss",), **{"labels": [2, 0], **options})
    assert float(answer["loss"].value) == pytest.approx(loss, abs=5.01e-7), name


@pytest.mark.parametrize(("name", "options", "loss", "gradient"), GRADIENTS, ids=case_ids(GRADIENTS))
def test_worked_gradient(name: str, options: dict[str, Any], loss: float, gradient: list[float]) -> None:
    """A worked row's loss and gradient come out to their printed digits."""
    answer = evaluate(**{"logits": ROW, **options}, include=("loss", "gradient"))
    assert float(answer["loss"].value) == pytest.approx(loss, abs=5.01e-7), name
    np.testing.assert_allclose(floats(answer["gradient"].value)[0], gradient, rtol=0, atol=5.01e-7)


def test_worked_row_losses_and_probabilities() -> None:
    """The two example rows' losses and the first one's probabilities come out to their printed digits."""
    answer = evaluate(PAIR, labels=[2, 0], include=("losses", "probabilities"))
    np.testing.assert_allclose(floats(answer["losses"].value), [0.407606, 1.098612], rtol=0, atol=5.01e-7)
    expected = [0.090031, 0.244728, 0.665241]
    np.testing.assert_allclose(floats(answer["probabilities"].value)[0], expected, rtol=0, atol=5.01e-7)


def test_worked_diagonal_shortcut() -> None:
    """Over softmax, the binary formula with only the diagonal of the Jacobian gives p − c."""
    name = "gradient_diagonal_only"
    answer = evaluate(ROW, labels=[2], objective=TEXTBOOK, include=(name,))
    expected = [0.090031, 0.244728, -0.334759]
    np.testing.assert_allclose(floats(answer[name].value)[0], expected, rtol=0, atol=5.01e-7)


def test_worked_confident_row() -> None:
    """Scores (40, 0) have the loss and gradient printed to seventeen digits."""
    answer = evaluate(np.array([[40.0, 0.0]]), labels=[0], include=("loss", "gradient"))
    assert float(answer["loss"].value) == 4.248354255291589e-18
    assert floats(answer["gradient"].value).tolist() == [[-4.248354255291589e-18, 4.248354255291589e-18]]


def test_textbook_gradient_beyond_the_range_of_its_factors() -> None:
    """Scores (800, 0, 0), label 1, give (2, −1.5, −0.5) under the textbook formula."""
    answer = evaluate(np.array([[800.0, 0.0, 0.0]]), labels=[1], objective=TEXTBOOK, include=("gradient",))
    assert floats(answer["gradient"].value).tolist() == [[2.0, -1.5, -0.5]]


def test_masked_classes_take_no_part() -> None:
    """A masked class has p = 0, log p = −∞ and gradient 0, and the others are as if it were absent."""
    include = ("probabilities", "log_probabilities", "gradient")
    answer = evaluate(ROW, labels=[2], include=include, class_mask=[True, False, True])
    alone = evaluate(ROW[:, ::2], labels=[1], include=include)
    assert floats(answer["log_probabilities"].value)[0, 1] == -np.inf
    for name in ("probabilities", "gradient"):
        assert not answer[name].value[0, 1]
        assert (answer[name].value[0, ::2] == alone[name].value[0]).all()


def test_minus_infinity_is_a_mask() -> None:
    """A logit of −∞ answers as a masked class does."""
    hidden = np.array([[1.0, -np.inf, 3.0]])
    masked = evaluate(ROW, labels=[2], include=("loss",), class_mask=[True, False, True])
    assert evaluate(hidden, labels=[2], include=("loss",))["loss"].value == masked["loss"].value


@pytest.mark.parametrize(
    ("slug", "options"),
    [
        ("infinite-loss", {"class_mask": [True, True, False]}),
        ("undefined-row", {"class_mask": [False] * 3}),
        ("infinite-loss", {"targets": [[0.5, 0, 0.5]], "labels": None, "class_mask": [True, True, False]}),
        ("number-out-of-range", {"class_weights": [1, 1, 0], "label_smoothing": 0.1}),
        (
            "infinite-loss",
            {"objective": TEXTBOOK, "targets": [[0.5, 0, 0]], "class_mask": [True, False, False]},
        ),
    ],
)
def test_questions_without_an_answer(slug: str, options: dict[str, Any]) -> None:
    """An infinite loss, a row without classes and a mean over nothing are refused under their names."""
    with pytest.raises(NoAnswerError) as refusal:
        evaluate(ROW, include=("loss",), **{"labels": [2], **options})
    assert refusal.value.slug == slug


def test_a_mean_over_no_weight_is_zero() -> None:
    """With every row ignored, loss and gradient are 0 and the summary says why."""
    answer = evaluate(PAIR, labels=[9, 9], ignore_label=9, include=("loss", "gradient"))
    assert answer["loss"].value == 0
    assert not answer["gradient"].value.any()
    assert answer.summary is not None
    assert (answer.summary.example_count, answer.summary.ignored_count) == (0, 2)


def test_decisions_take_the_first_unmasked_maximum() -> None:
    """Predicted labels are the first largest unmasked logits."""
    logits = np.array([[5.0, 5.0, 1.0], [0.0, -0.0, 0.0], [9.0, 2.0, 3.0]])
    mask = np.array([[True] * 3, [False, True, True], [False, True, True]])
    answer = evaluate(logits, include=("predicted_labels", "one_hot"), element_mask=mask)
    assert answer["predicted_labels"].value.tolist() == [0, 1, 2]
    assert answer["one_hot"].value.argmax(axis=1).tolist() == [0, 1, 2]


def test_sigmoid_decisions_count_whole_rows() -> None:
    """A sigmoid row is correct where every positive score stands on a target above one half."""
    logits = np.array([[1.0, -1.0], [1.0, 1.0], [0.0, -3.0]])
    targets = [[0.6, 0.5], [1.0, 0.0], [0.0, 0.0]]
    answer = evaluate(logits, targets=targets, objective=SIGMOID, include=("loss",))
    assert answer.summary is not None
    assert answer.summary.correct_count == 2


def test_weight_sum_is_exact_over_the_whole_range() -> None:
    """Weights of 1e300 and 1e-300 both survive in the weight sum."""
    answer = evaluate(PAIR, labels=[2, 0], sample_weights=[1e300, 1e-300], include=("summary",))
    assert answer.summary is not None
    with mp.workprec(4000):
        assert answer.summary.weight_sum - mp.mpf(1e300) == mp.mpf(1e-300)


def test_hard_labels_are_measured_by_the_exact_gradient() -> None:
    """A hard label's size is its gradient, as label or one-hot; a smoothed target's is max(W p, w c)."""
    labels, one_hot, smoothed = (
        evaluate(np.array([[40.0, 0.0]]), include=("gradient",), **options)["gradient"]
        for options in ({"labels": [0]}, {"targets": [[1.0, 0]]}, {"labels": [0], "label_smoothing": 0.1})
    )
    assert float(labels.size[0, 0]) == float(one_hot.size[0, 0]) == 4.248354255291589e-18
    assert float(smoothed.size[0, 0]) == 1.0


def test_log_normalizer_is_measured_by_the_largest_score() -> None:
    """Where log Σ exp(s) is nearly 0, its ulp is that of the largest score."""
    normalizer = evaluate(np.full((1, 3), -np.log(3.0)), include=("log_normalizer",))["log_normalizer"]
    assert abs(normalizer.value[0]) < 1e-15
    assert float(normalizer.size[0]) == np.log(3.0)


def test_reported_factors_multiply_out() -> None:
    """The product of factors as floats is exact in those floats."""
    product = product_of_factors(np.array([[0.1, -3.0]]), np.array([[[0.5, 0.25], [0.125, 1.0]]]), temperature=2.0)
    with mp.workprec(200):
        assert product.value[0, 0] == mp.mpf(0.1) / 4 - mp.mpf(3) / 16
    assert float(product.size[0, 1]) == pytest.approx(0.1 * 0.125 + 1.5)


def test_every_plain_answer_is_near_its_exact_one() -> None:
    """Textbook float64 arithmetic on ordinary rows agrees to 1e-12 with the exact losses and gradients."""
    logits = FAMILIES["normal_1"](np.random.default_rng(5))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = draws.dirichlet_targets(np.random.default_rng(6), logits)
    answer = evaluate(logits, targets=targets, reduction="sum", include=("loss", "gradient"))
    assert float(answer["loss"].value) == pytest.approx(-(targets * np.log(probabilities)).sum(), rel=1e-12)
    np.testing.assert_allclose(floats(answer["gradient"].value), probabilities - targets, atol=1e-12)


def test_an_empty_batch_has_empty_answers() -> None:
    """No rows of three classes have loss 0 and an empty gradient."""
    shapes = {"gradient": (0, 3), "jacobian": (0, 3, 3), "probabilities": (0, 3), "entropy": (0,)}
    answer = evaluate(np.empty((0, 3)), labels=[], include=("loss", *shapes))
    assert answer["loss"].value == 0
    assert {name: answer[name].value.shape for name in shapes} == shapes


def test_float32_logits_are_taken_as_they_are() -> None:
    """A float32 logit answers as the float64 of the same value."""
    narrow = ROW.astype(np.float32) / 3
    here, there = (evaluate(rows, labels=[1], include=("loss",)) for rows in (narrow, narrow.astype(float)))
    assert here["loss"].value == there["loss"].value
