"""Every line of the worked numbers: small questions whose answers can be checked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.core.calls import SIGMOID, TEXTBOOK, evaluated, output, softmax_of

PAIR = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]
ROW, ZEROS = PAIR[:1], PAIR[1:]
WEIGHTED: dict[str, Any] = {"class_weights": [1, 2, 3]}
SAMPLED: dict[str, Any] = {"sample_weights": [1, 3]}
SMOOTHED: dict[str, Any] = {**WEIGHTED, "label_smoothing": 0.1}
BATCH: dict[str, Any] = {"denominator": "batch"}
MASKED: dict[str, Any] = {"class_mask": [False, True, True]}
OTHER: dict[str, Any] = {"labels": [2, 2]}

LOSSES: dict[str, tuple[dict[str, Any], float]] = {
    "plain": ({}, 0.753109),
    "class weights": (WEIGHTED, 0.580358),
    "class weights by batch": ({**WEIGHTED, **BATCH}, 1.160715),
    "sample weights by batch": ({**SAMPLED, **BATCH}, 1.851721),
    "sample weights": (SAMPLED, 0.925861),
    "smoothing and weights by batch": ({**SMOOTHED, **BATCH}, 1.261932),
    "smoothing and weights": (SMOOTHED, 0.630966),
    "other labels by batch": ({**SMOOTHED, **OTHER, **BATCH}, 2.250683),
    "other labels": ({**SMOOTHED, **OTHER}, 0.750228),
    "all smoothing": ({"label_smoothing": 1.0}, 1.253109),
    "first row ignored": ({"labels": [-1, 0], "ignore_label": -1}, 1.098612),
}
ROWS: dict[str, tuple[list[list[float]], dict[str, Any], float, list[float]]] = {
    "plain": (ROW, {"labels": [2]}, 0.407606, [0.090031, 0.244728, -0.334759]),
    "temperature": (ROW, {"labels": [2], "temperature": 2.0}, 0.680270, [0.093162, 0.153598, -0.246760]),
    "textbook": (ROW, {"labels": [2], "objective": TEXTBOOK}, 0.782628, [0.150889, 0.465244, -0.616133]),
    "sigmoid": (ROW, {"targets": [[0, 0, 1]], "objective": SIGMOID}, 3.488777, [0.731059, 0.880797, -0.047426]),
    "masked label": (ZEROS, {"labels": [1], **MASKED}, 0.693147, [0, -0.5, 0.5]),
    "masked one-hot": (ZEROS, {"targets": [[0, 1, 0]], **MASKED}, 0.693147, [0, -0.5, 0.5]),
    "targets of any sum": (
        ZEROS,
        {"targets": [[2, 1, 1]], "targets_sum": "any", "reduction": "sum"},
        4.394449,
        [-0.666667, 0.333333, 0.333333],
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_worked_losses(name: str) -> None:
    """The loss of the two example rows is the printed one."""
    options, loss = LOSSES[name]
    assert output("loss", PAIR, **{"labels": [2, 0], **options}) == pytest.approx(loss, abs=5.01e-7)


@pytest.mark.parametrize("name", ROWS)
def test_worked_rows(name: str) -> None:
    """A worked row's loss and gradient are the printed ones."""
    logits, options, loss, gradient = ROWS[name]
    evaluation = evaluated(logits, ["loss", "gradient"], **options)
    assert evaluation.loss == pytest.approx(loss, abs=5.01e-7)
    np.testing.assert_allclose(evaluation.arrays["gradient"][0], gradient, rtol=0, atol=5.01e-7)


def test_worked_row_losses() -> None:
    """The two example rows have the printed losses."""
    np.testing.assert_allclose(output("losses", PAIR, labels=[2, 0]), [0.407606, 1.098612], rtol=0, atol=5.01e-7)


def test_worked_probabilities() -> None:
    """The first example row has the printed probabilities."""
    expected = [0.090031, 0.244728, 0.665241]
    np.testing.assert_allclose(softmax_of(ROW, ["probabilities"])["probabilities"][0], expected, rtol=0, atol=5.01e-7)


def test_worked_diagonal_shortcut() -> None:
    """The binary formula over softmax gives p − c when only the diagonal of the Jacobian is kept."""
    name = "gradient_diagonal_only"
    expected = [0.090031, 0.244728, -0.334759]
    found = output(name, ROW, labels=[2], objective=TEXTBOOK)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=5.01e-7)


def test_a_masked_class_hides_its_score() -> None:
    """Whatever the score of a masked class, loss and gradient stay the same."""
    for hidden in (0.0, 1e300, -5.0):
        evaluation = evaluated([[hidden, 0.0, 0.0]], ["loss", "gradient"], labels=[1], **MASKED)
        assert evaluation.loss == np.log(2.0)
        assert evaluation.arrays["gradient"].tolist() == [[0.0, -0.5, 0.5]]


def test_a_confident_row_keeps_every_digit() -> None:
    """Scores (40, 0) give the printed loss and gradient to the last digit."""
    evaluation = evaluated([[40.0, 0.0]], ["loss", "gradient"], labels=[0])
    assert evaluation.loss == 4.248354255291589e-18
    assert evaluation.arrays["gradient"].tolist() == [[-4.248354255291589e-18, 4.248354255291589e-18]]


def test_textbook_gradient_beyond_the_range_of_its_factors() -> None:
    """Scores (800, 0, 0) with label 1 give (2, −1.5, −0.5) under the textbook formula."""
    gradient = output("gradient", [[800.0, 0.0, 0.0]], labels=[1], objective=TEXTBOOK)
    assert gradient.tolist() == [[2.0, -1.5, -0.5]]
