"""The gradient against central differences, and the identities that every gradient keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp

from tests.core.calls import SIGMOID, SOFTMAX, TEXTBOOK, Array, evaluated, output, softmax_of
from tests.reference import draws
from tests.reference.exact import evaluate
from tests.reference.rows import exact_array

SEED = 4711
STEP_BITS, WORKING_BITS = 80, 400
OBJECTIVES = (SOFTMAX, SIGMOID, TEXTBOOK)
OUTPUTS = ("losses", "gradient", "loss_wrt_probabilities", "gradient_diagonal_only", "jacobian")


def drawn(objective: str, seed: int = SEED, num_classes: int = 5) -> tuple[Array, dict[str, Any]]:
    """Three ordinary rows with every option that the objective has."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 2.0, (3, num_classes))
    options: dict[str, Any] = {
        "objective": objective,
        "temperature": 0.7,
        "class_weights": rng.random(num_classes) + 0.5,
        "sample_weights": rng.random(3) + 0.5,
    }
    if objective == SIGMOID:
        return logits, {**options, "targets": draws.binary_targets(rng, logits)}
    return logits, {**options, "targets": draws.dirichlet_targets(rng, logits), "label_smoothing": 0.1}


def central_difference(logits: Array, row: int, column: int, options: dict[str, Any]) -> float:
    """(E(x + h) − E(x − h)) / 2h of the exact loss, h = 2⁻⁸⁰."""
    losses = []
    with mp.workprec(WORKING_BITS):
        step = mp.ldexp(1, -STEP_BITS)
        for direction in (1, -1):
            moved = exact_array(logits)
            moved[row, column] += direction * step
            losses.append(evaluate(moved, include=("loss",), **options)["loss"].value)
        return float((losses[0] - losses[1]) / (2 * step))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradient_is_the_slope_of_the_loss(objective: str) -> None:
    """Each element of the gradient is the central difference of the exact loss."""
    logits, options = drawn(objective)
    gradient = output("gradient", logits, **options)
    slopes = [[central_difference(logits, row, column, options) for column in range(5)] for row in range(3)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-14, atol=2e-15)


@pytest.mark.parametrize("objective", [SOFTMAX, SIGMOID])
def test_exact_curvature_is_the_slope_of_the_gradient(objective: str) -> None:
    """The exact curvature is the central difference of the gradient by its own score."""
    logits, options = drawn(objective)
    curvature = output("hessian_diagonal", logits, **options)
    step = 2.0**-17
    for column in range(5):
        ahead, behind = (
            output("gradient", logits + direction * step * np.eye(5)[column], **options)[:, column]
            for direction in (1, -1)
        )
        np.testing.assert_allclose((ahead - behind) / (2 * step), curvature[:, column], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("gap", [0.5, 40.0, 300.0])
def test_factors_multiply_to_the_gradient(objective: str, gap: float) -> None:
    """∂E/∂p times the Jacobian over T is the gradient, also where one class takes all."""
    logits, options = drawn(objective)
    logits[:, 1] = logits.max(axis=1) + gap
    factors = evaluated(logits, ["loss_wrt_probabilities", "jacobian", "gradient", "gradient_by_chain_rule"], **options)
    product = np.einsum("nj,nji->ni", factors.arrays["loss_wrt_probabilities"], factors.arrays["jacobian"]) / 0.7
    for found in (product, factors.arrays["gradient_by_chain_rule"]):
        np.testing.assert_allclose(found, factors.arrays["gradient"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("num_classes", [2, 5, 63, 64, 100])
@pytest.mark.parametrize("objective", [SOFTMAX, TEXTBOOK])
def test_labels_equal_one_hot_targets(objective: str, num_classes: int) -> None:
    """Hard labels give the bits of the same labels as one-hot targets, and gradients within one rounding."""
    rng = np.random.default_rng(SEED)
    logits = rng.normal(0.0, 20.0, (40, num_classes))
    labels = np.where(rng.random(40) < 1 / 2, logits.argmax(axis=1), rng.integers(0, num_classes, 40))
    targets = draws.one_hot_targets(labels, num_classes)
    names = [name for name in OUTPUTS if num_classes < 64 or name != "jacobian"]
    by_label = evaluated(logits, ["loss", *names], labels=labels, objective=objective)
    by_target = evaluated(logits, ["loss", *names], targets=targets, objective=objective)
    assert by_label.loss == by_target.loss
    for name in names:
        # Where the winner is not the label, a target row takes 1 − q and a label p; each is the other rounded.
        np.testing.assert_array_max_ulp(by_label.arrays[name], by_target.arrays[name], int(name == "gradient"))


@pytest.mark.parametrize("objective", [SOFTMAX, TEXTBOOK])
def test_gradient_rows_sum_to_zero(objective: str) -> None:
    """A softmax does not change when all scores move together, so the gradient of a row sums to 0."""
    logits, options = drawn(objective, num_classes=50)
    gradient = output("gradient", logits, **options)
    size = np.abs(gradient).sum(axis=1)
    np.testing.assert_array_less(np.abs(gradient.sum(axis=1)), 1e-14 * size)


@pytest.mark.parametrize("objective", [SOFTMAX, TEXTBOOK])
@pytest.mark.parametrize("shift", [1.0, -1024.0, 2.0**40])
def test_a_shift_of_all_scores_changes_nothing(objective: str, shift: float) -> None:
    """Adding one number to all scores, exactly, leaves every bit as it was."""
    logits, options = drawn(objective)
    logits = np.round(logits * 8) / 8
    here, there = (evaluated(logits + moved, OUTPUTS, **options) for moved in (0.0, shift))
    for name in OUTPUTS:
        np.testing.assert_array_equal(there.arrays[name], here.arrays[name], err_msg=name)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("num_classes", [5, 70])
def test_permuted_classes_give_permuted_answers(objective: str, num_classes: int) -> None:
    """Permuting the classes permutes gradients and factors, but for the order of roundings."""
    logits, options = drawn(objective, num_classes=num_classes)
    order = np.random.default_rng(SEED).permutation(num_classes)
    moved = {**options, **{name: options[name][..., order] for name in ("targets", "class_weights")}}
    here, there = evaluated(logits, OUTPUTS, **options), evaluated(logits[:, order], OUTPUTS, **moved)
    for name in OUTPUTS:
        value = here.arrays[name]
        expected = {1: lambda v: v, 2: lambda v: v[:, order], 3: lambda v: v[:, order][:, :, order]}[value.ndim](value)
        np.testing.assert_allclose(there.arrays[name], expected, rtol=3e-14, atol=3e-16, err_msg=name)


def test_softmax_of_two_is_the_sigmoid_of_the_difference() -> None:
    """With two classes, softmax cross-entropy is binary cross-entropy of the difference of the scores."""
    rng = np.random.default_rng(SEED)
    pairs = rng.integers(-400, 400, (200, 2)) / 8.0
    labels = rng.integers(0, 2, 200)
    two = evaluated(pairs, ["losses", "gradient", "probabilities"], labels=labels, reduction="sum")
    one = evaluated(
        pairs[:, 1:] - pairs[:, :1],
        ["losses", "gradient", "probabilities"],
        targets=labels[:, np.newaxis],
        objective=SIGMOID,
        reduction="sum",
    )
    np.testing.assert_array_max_ulp(two.arrays["losses"], one.arrays["losses"], 4)
    for name in ("gradient", "probabilities"):
        np.testing.assert_array_max_ulp(two.arrays[name][:, 1:], one.arrays[name], 6)


def test_inputs_are_left_unmodified() -> None:
    """No computation writes into the arrays that it is given."""
    for objective in OBJECTIVES:
        logits, options = drawn(objective, num_classes=64)
        given = {"logits": logits, "element_mask": np.ones(logits.shape, bool), **options}
        arrays = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
        copies = {name: value.copy() for name, value in arrays.items()}
        for value in arrays.values():
            value.flags.writeable = False
        evaluated(names=OUTPUTS, **given)
        softmax_of(logits, ["probabilities", "entropy"])
        for name, copy in copies.items():
            np.testing.assert_array_equal(arrays[name], copy, err_msg=name)
