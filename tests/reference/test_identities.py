"""The exact reference against identities, finite differences and the plain formulas at brute precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp

from tests.reference import draws
from tests.reference.exact import Exact, evaluate
from tests.reference.families import FAMILIES, families_up_to
from tests.reference.rows import exact_array

TEXTBOOK, SIGMOID = "softmax_binary_cross_entropy", "sigmoid_binary_cross_entropy"
SMALL = families_up_to(16)
SIXTY_DIGITS = mp.mpf(10) ** -60
BRUTE_BITS = 6000
PAIR = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
ROW = PAIR[:1]
WEIGHTED: dict[str, Any] = {"class_weights": [1.0, 2.0, 3.0]}
SAMPLED: dict[str, Any] = {"sample_weights": [1.0, 3.0]}
SMOOTHED: dict[str, Any] = {**WEIGHTED, "label_smoothing": 0.1}
MASKED: dict[str, Any] = {"class_mask": [False, True, True]}

MIXES: list[tuple[str, dict[str, Any]]] = [
    ("labels", {"labels": [2, 0]}),
    ("soft", {"targets": [[0.2, 0.5, 0.3], [0.0, 0.9, 0.1]], "temperature": 0.7, **WEIGHTED}),
    ("smoothed", {"labels": [1, 2], "reduction": "sum", "temperature": 3.0, **SMOOTHED, **SAMPLED}),
    ("upstream", {"labels": [1, 2], "reduction": "none", "upstream": [0.5, -2.0], **SAMPLED}),
    ("ignored", {"labels": [1, 7], "ignore_label": 7, "denominator": "batch"}),
    ("masked", {"labels": [1, 2], "label_smoothing": 0.2, "denominator_value": 3.5, **MASKED}),
    ("any sum", {"targets": [[2.0, 0.0, 0.5], [0.1, 0.0, 0.0]], "denominator": "examples"}),
    ("textbook labels", {"labels": [2, 0], "objective": TEXTBOOK, "temperature": 2.0}),
    ("textbook smoothed", {"labels": [2, 0], "objective": TEXTBOOK, **SMOOTHED, **SAMPLED}),
    ("textbook soft", {"targets": [[0.0, 0.8, 0.2], [0.0, 0.5, 0.5]], "objective": TEXTBOOK, **MASKED}),
    ("sigmoid hard", {"targets": [[1, 1, 0], [0, 0, 1]], "objective": SIGMOID, **WEIGHTED, **SAMPLED}),
    ("sigmoid soft", {"targets": [[0.2, 0.8, 0.0], [0.1, 0.5, 1]], "objective": SIGMOID, "temperature": 0.5}),
]


def case_ids(cases: list[Any]) -> list[str]:
    """Names of the cases of a table."""
    return [case[0] for case in cases]


def floats(values: Any) -> Any:
    """Exact values as float64."""
    return np.asarray(values, dtype=object).astype(float)


def scalar_loss(logits: Any, options: dict[str, Any]) -> Any:
    """What a gradient derives: the reduced loss, or the losses weighed by upstream."""
    answer = evaluate(logits, include=("loss",), **options)
    with mp.workprec(512):
        if options.get("reduction") == "none":
            return mp.fsum(answer["losses"].value * exact_array(options["upstream"]))
        return answer["loss"].value


def moved(logits: Any, place: tuple[int, int], step: Any) -> Any:
    """The logits as exact numbers, one of them moved."""
    with mp.workprec(512):
        exact = exact_array(logits)
        exact[place] += step
    return exact


def hard_row(name: str, objective: str, *include: str) -> Exact:
    """A family's rows with labels at their maxima."""
    logits = FAMILIES[name](np.random.default_rng(11))
    labels = draws.best_labels(np.random.default_rng(0), logits)
    return evaluate(logits, labels=labels, objective=objective, include=include)


def brute_answer(logits: Any, label: int, objective: str) -> tuple[Any, Any]:
    """Loss and gradient of one row by the printed formulas alone, at a precision that forgives everything."""
    target = [mp.mpf(int(place == label)) for place in range(len(logits))]
    exponentials = [mp.exp(mp.mpf(score)) for score in logits.tolist()]
    p = [exponential / mp.fsum(exponentials) for exponential in exponentials]
    if objective == SIGMOID:
        p = [1 / (1 + mp.exp(-mp.mpf(score))) for score in logits.tolist()]
    pairs = list(zip(p, target, strict=True))
    if objective == "softmax_cross_entropy":
        return -mp.log(p[label]), [q - c for q, c in pairs]
    loss = -mp.fsum(c * mp.log(q) + (1 - c) * mp.log(1 - q) for q, c in pairs)
    slopes = [-c / q + (1 - c) / (1 - q) for q, c in pairs]
    if objective == SIGMOID:
        return loss, [slope * q * (1 - q) for slope, q in zip(slopes, p, strict=True)]
    shared = mp.fsum(slope * q for slope, q in zip(slopes, p, strict=True))
    return loss, [q * (slope - shared) for slope, q in zip(slopes, p, strict=True)]


@pytest.mark.parametrize("name", ["dominant_40", "dominant_800", "arithmetic_ladder", "very_wide_range"])
@pytest.mark.parametrize("objective", ["softmax_cross_entropy", TEXTBOOK, SIGMOID])
def test_plain_formulas_at_brute_precision_agree(name: str, objective: str) -> None:
    """With 6000 bits for what cancels, the plain formulas give the same sixty digits."""
    logits = FAMILIES[name](np.random.default_rng(11))
    labels = draws.best_labels(np.random.default_rng(0), logits)
    targets = draws.one_hot_targets(labels, logits.shape[1])
    include = ("losses", "gradient")
    answer = evaluate(logits, targets=targets, objective=objective, reduction="none", include=include)
    with mp.workprec(BRUTE_BITS):
        for n, label in enumerate(labels.tolist()):
            loss, gradient = brute_answer(logits[n], label, objective)
            assert abs(answer["losses"].value[n] - loss) <= loss * SIXTY_DIGITS
            errors = np.abs(answer["gradient"].value[n] - np.array(gradient))
            assert (errors <= answer["gradient"].size[n] * SIXTY_DIGITS).all()


@pytest.mark.parametrize("family", SMALL, ids=lambda family: family.name)
@pytest.mark.parametrize("objective", ["softmax_cross_entropy", TEXTBOOK])
def test_softmax_gradient_rows_sum_to_zero(family: Any, objective: str) -> None:
    """A gradient row of a softmax objective sums to 0, to sixty digits of its size."""
    gradient = hard_row(family.name, objective, "gradient")["gradient"]
    with mp.workprec(2400):
        for row, sizes in zip(gradient.value, gradient.size, strict=True):
            assert abs(mp.fsum(row)) <= mp.fsum(sizes) * SIXTY_DIGITS


@pytest.mark.parametrize("family", SMALL, ids=lambda family: family.name)
@pytest.mark.parametrize("objective", ["softmax_cross_entropy", TEXTBOOK])
def test_product_of_exact_factors_is_the_gradient(family: Any, objective: str) -> None:
    """Multiplying the chain rule's exact factors out gives the fused gradient."""
    answer = hard_row(family.name, objective, "gradient", "gradient_by_chain_rule")
    product = answer["gradient_by_chain_rule"]
    with mp.workprec(2400):
        difference = np.abs(product.value - answer["gradient"].value)
        assert (difference <= product.size * SIXTY_DIGITS).all()


@pytest.mark.parametrize(("name", "options"), MIXES, ids=case_ids(MIXES))
def test_gradient_is_the_central_difference_of_the_loss(name: str, options: dict[str, Any]) -> None:
    """Every element of the gradient agrees with a central difference of the exact loss to 40 digits."""
    gradient = evaluate(PAIR, include=("gradient",), **options)["gradient"].value
    step = mp.mpf(2) ** -80
    for place in np.ndindex(PAIR.shape):
        with mp.workprec(512):
            up, down = (scalar_loss(moved(PAIR, place, sign * step), options) for sign in (1, -1))
            assert abs((up - down) / (2 * step) - gradient[place]) < mp.mpf(10) ** -40, name


@pytest.mark.parametrize("which", [0, 1, 2, 6, 10, 11])
def test_exact_curvature_is_the_second_difference(which: int) -> None:
    """The exact Hessian diagonal agrees with a second difference of the exact loss to 20 digits."""
    options = MIXES[which][1]
    hessian = evaluate(PAIR, include=("hessian_diagonal",), **options)["hessian_diagonal"].value
    step = mp.mpf(2) ** -40
    for place in np.ndindex(PAIR.shape):
        with mp.workprec(512):
            up, middle, down = (scalar_loss(moved(PAIR, place, sign * step), options) for sign in (1, 0, -1))
            assert abs((up - 2 * middle + down) / step**2 - hessian[place]) < mp.mpf(10) ** -20


@pytest.mark.parametrize("place", [(0, 0), (0, 2)])
def test_jacobian_column_is_a_difference_of_probabilities(place: tuple[int, int]) -> None:
    """Column j of the Jacobian is how all probabilities move with score j."""
    step = mp.mpf(2) ** -80
    jacobian = evaluate(PAIR, include=("jacobian",))["jacobian"].value
    with mp.workprec(512):
        rows = [evaluate(moved(PAIR, place, sign * step), include=("probabilities",)) for sign in (1, -1)]
        column = (rows[0]["probabilities"].value[0] - rows[1]["probabilities"].value[0]) / (2 * step)
        assert (np.abs(column - jacobian[0, :, place[1]]) < mp.mpf(10) ** -40).all()


@pytest.mark.parametrize("gap", [0.0, 1e-300, 3.7, 40.0, 800.0, 1e308])
def test_softmax_of_two_is_the_sigmoid_of_the_difference(gap: float) -> None:
    """At K = 2 the softmax loss is the binary loss of one sigmoid of the difference."""
    softmax = evaluate(np.array([[gap, 0.0]]), labels=[0], include=("loss",))["loss"].value
    sigmoid = evaluate(np.array([[gap]]), targets=[[1.0]], objective=SIGMOID, include=("loss",))["loss"].value
    with mp.workprec(2000):
        assert abs(softmax - sigmoid) <= softmax * SIXTY_DIGITS


def test_textbook_loss_is_twice_as_large_for_two_classes() -> None:
    """At K = 2 the binary sum over softmax is twice the cross-entropy."""
    logits = np.array([[0.3, -5.0], [7.0, 99.0]])
    plain, textbook = (
        evaluate(logits, labels=[0, 1], objective=objective, include=("loss",))["loss"].value
        for objective in ("softmax_cross_entropy", TEXTBOOK)
    )
    assert float(textbook / plain) == pytest.approx(2.0, rel=1e-15)


def test_a_row_keeps_its_probabilities_under_a_shift() -> None:
    """Adding 2¹⁰⁰ to integer logits, exactly, changes no probability."""
    base = exact_array(PAIR)
    with mp.workprec(512):
        shifted = base + mp.mpf(2) ** 100
    here, there = (evaluate(rows, include=("probabilities",))["probabilities"].value for rows in (base, shifted))
    np.testing.assert_array_equal(floats(here), floats(there))


@pytest.mark.parametrize(("curvature", "ratio"), [("upper_bound", 2.0), ("class_scaled", 1.5)])
def test_curvatures_are_multiples_of_the_exact_one(curvature: str, ratio: float) -> None:
    """At K = 3 the two other scalings are 2 and 3/2 times the exact curvature."""
    name = "hessian_diagonal"
    exact, other = (
        evaluate(ROW, labels=[2], include=(name,), curvature=kind)[name].value for kind in ("exact", curvature)
    )
    np.testing.assert_allclose(floats(other / exact), ratio, rtol=1e-15)
