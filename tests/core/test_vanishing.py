"""Rows whose parts leave the range of float64 while their results do not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from gradient_service.core.vanishing import vanishing_rows
from tests.core.accuracy_bounds import Measurement
from tests.core.accuracy_cases import Case
from tests.core.calls import SIGMOID, SOFTMAX, TEXTBOOK, evaluated, output, softmax_of

FAR, HALF = [[760.0, 0.0]], [[0.5, 0.5]]
CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "sample weight": (FAR, {"labels": [0], "sample_weights": [1e100]}),
    "class weight": (FAR, {"labels": [0], "class_weights": [1e100, 1.0]}),
    "upstream": (FAR, {"labels": [0], "upstream": [-1e100], "reduction": "none"}),
    "denominator": (FAR, {"labels": [0], "denominator_value": 1e-100, "reduction": "mean"}),
    "temperature": ([[7.6e-98, 0.0]], {"labels": [0], "temperature": 1e-100}),
    "sigmoid": (FAR, {"objective": SIGMOID, "targets": [[1.0, 0.0]], "sample_weights": [1e100]}),
    "textbook": (FAR, {"objective": TEXTBOOK, "labels": [0], "sample_weights": [1e100]}),
    "textbook beside its top": (
        [[-836.0, 1e4, 0.0]],
        {"objective": TEXTBOOK, "labels": [2], "label_smoothing": 1.0, "class_weights": [0.0, 1e300, 1e300]},
    ),
    "targets": (FAR, {"targets": [[1.0, 1e-320]], "sample_weights": [1e100]}),
    "small target of a near certain row": (
        [[0.0, 22.0]],
        {"targets": [[1.0, 1e-300]], "sample_weights": [1e300]},
    ),
    "sum of targets": (FAR, {"targets": [[1e100, 0.0]], "targets_sum": "any"}),
    "smoothing share": ([[5.0, -700.0]], {"labels": [0], "label_smoothing": 5e-324}),
    "weighted target": ([[0.0, 0.0]], {"targets": HALF, "class_weights": [5e-324, 5e-324], "sample_weights": [1e300]}),
    "weight below the range of a large target": (
        [[1.0, 3.5]],
        {"targets": [[1.5e284, 1e72]], "targets_sum": "any", "class_weights": [5e-324, 0.0]},
    ),
    "targets whose sum is beyond": ([[0.5, -0.5]], {"targets": [[1e308, 1e308]], "targets_sum": "any"}),
    "weights whose sum is beyond": (
        [[40.0, 0.0], [40.0, 0.0]],
        {
            "objective": TEXTBOOK,
            "targets": [[0.0, 1.0], [0.0, 1.0]],
            "class_weights": [1.7e308, 1.7e308],
            "reduction": "mean",
            "denominator": "batch",
        },
    ),
    "distant logits": ([[1.7e308, -1.7e308]], {"labels": [1], "sample_weights": [1e-300]}),
    "distant and near": (
        [[1.7e308, 40.0]],
        {"objective": SIGMOID, "targets": [[1 - 2.0**-53, 0.5]], "class_weights": [1e-300, 1.0], "temperature": 0.7},
    ),
}


def asked(options: dict[str, Any]) -> dict[str, Any]:
    """The options with those that a case leaves out."""
    return {"objective": SOFTMAX, "reduction": "sum", **options}


@pytest.mark.parametrize("name", CASES)
def test_vanishing_parts_leave_their_digits_in_the_result(name: str) -> None:
    """Every output of such a row is within its bound."""
    logits, options = CASES[name]
    measurement = Measurement(Case(name, np.array(logits), asked(options), 0), "accurate").run()
    assert not measurement.excesses, "; ".join(map(str, measurement.excesses))
    assert measurement.worst


def test_a_loss_below_the_range_is_weighted_back_into_it() -> None:
    """Weight 1e100 on a loss of exp(−760) gives 8.6e-231, where 0 was answered once."""
    found = output("loss", FAR, **asked(CASES["sample weight"][1]))
    assert found == pytest.approx(8.633636377213887e-231, rel=1e-15)


def test_weights_below_the_range_have_a_mean() -> None:
    """A weight of which nothing is left in the sum of all takes its part in the mean all the same."""
    found = output(
        "loss",
        [[0.0, 0.0], [0.0, 0.0]],
        objective=SOFTMAX,
        reduction="mean",
        targets=[[0.4, 0.6], [0.25, 0.25]],
        targets_sum="any",
        sample_weights=[1.0, 5e-324],
    )
    assert found == pytest.approx(0.6931471805599453, rel=1e-15)


def test_fast_single_precision_keeps_such_digits_too() -> None:
    """Weight 1e15 on exp(−105), which float32 does not hold, gives 2.5e-31 with `fast`."""
    logits = np.array([[105.0, 0.0]], np.float32)
    found = output("gradient", logits, labels=[0], sample_weights=[1e15], reduction="sum", precision="fast")
    np.testing.assert_allclose(found, [[-2.5065675e-31, 2.5065675e-31]], rtol=2e-5)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_rows_are_computed_again_whatever_their_neighbours_are(reduction: str) -> None:
    """The bits of a row are the same alone and beside rows in which nothing, or everything, vanishes."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 300, (40, 5))
    options: dict[str, Any] = {"labels": rng.integers(0, 5, 40), "sample_weights": 10.0 ** rng.uniform(-100, 100, 40)}
    whole = evaluated(logits, ["gradient", "losses"], reduction=reduction, **options).arrays
    for row in range(40):
        part = {name: value[row : row + 1] for name, value in options.items()}
        alone = evaluated(logits[row : row + 1], ["gradient", "losses"], reduction=reduction, **part).arrays
        assert alone["gradient"].tobytes() == whole["gradient"][row].tobytes()
        assert alone["losses"][0] == whole["losses"][row]


def test_losses_do_not_depend_on_the_denominator() -> None:
    """A row's loss has the same bits whether or not a small denominator has its derivatives computed again."""
    logits = np.random.default_rng(4).normal(0, 300, (40, 5))
    found = [output("losses", logits, labels=[0] * 40, denominator_value=value) for value in (1.0, 1e-200)]
    assert found[0].tobytes() == found[1].tobytes()


def test_ordinary_rows_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary weights and gaps have no row computed again."""
    counts = []

    def counting(*arguments: Any) -> Any:
        counts.append(len(vanishing_rows(*arguments)))
        return vanishing_rows(*arguments)

    for module in ("loss_pass", "vanishing"):
        monkeypatch.setattr(f"gradient_service.core.{module}.vanishing_rows", counting)
    logits = np.random.default_rng(5).normal(0, 5, (100, 10))
    evaluated(logits, ["gradient"], labels=[0] * 100, sample_weights=[7.0] * 100, reduction="sum")
    assert counts == [0, 0]


@pytest.mark.parametrize("num_classes", [2, 3, 7, 49])
@pytest.mark.parametrize("objective", [SOFTMAX, TEXTBOOK])
def test_nothing_times_a_large_factor_stays_nothing(objective: str, num_classes: int) -> None:
    """Targets equal to the probabilities have the gradient 0, however far its terms are lifted from the range."""
    logits = np.zeros((1, num_classes), np.float32)
    options = {"labels": [0], "label_smoothing": 1.0, "reduction": "mean", "denominator_value": 1e-300}
    assert not output("gradient", logits, objective=objective, **options).any()


@pytest.mark.parametrize("temperature", [1.9, 1.99, np.nextafter(2.0, 0.0), 2.0, 2.5])
@pytest.mark.parametrize("precision", ["accurate", "fast"])
def test_a_difference_beyond_the_range_is_brought_back_by_the_temperature(temperature: float, precision: str) -> None:
    """Which the log-probability shows: the smallest one is the difference of the logits over the temperature."""
    rows = softmax_of([[1.7e308, -1.7e308]], ["log_probabilities"], temperature=temperature, precision=precision)
    expected = float(2 * Fraction(-1.7e308) / Fraction(temperature))
    assert rows["log_probabilities"][0].tolist() == [0.0, expected]


def test_a_loss_that_only_its_weight_makes_tiny_has_its_logarithm() -> None:
    """log1p(z) is not z where z is 1, however small the loss of the row is."""
    options: dict[str, Any] = {"objective": SIGMOID, "class_weights": [0.0, 1e-300], "reduction": "none"}
    losses = evaluated([[0.0, 0.0]], ("losses",), targets=[[0.0, 0.0]], **options).arrays["losses"]
    assert losses == pytest.approx([np.log(2) * 1e-300], rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("dtype", "precision", "num_classes", "score"),
    [(np.float64, "accurate", 1000, -713.3), (np.float64, "accurate", 3000, -735.2), (np.float32, "fast", 3000, -93.3)],
)
def test_many_sigmoids_that_vanish_keep_the_digits_of_their_sum(
    dtype: Any, precision: str, num_classes: int, score: float
) -> None:
    """Each exp(−|s|) is rounded to a multiple of the smallest number; K of them are not."""
    logits = np.full((1, num_classes), score, dtype)
    options: dict[str, Any] = {"objective": SIGMOID, "targets": np.zeros_like(logits), "reduction": "none"}
    (loss,) = evaluated(logits, ("losses",), precision=precision, **options).arrays["losses"]
    with mpmath.workdps(50):
        expected = dtype(num_classes * mpmath.log1p(mpmath.exp(mpmath.mpf(float(logits[0, 0])))))
    assert abs(loss - expected) <= (5 if precision == "accurate" else 105) * np.spacing(expected)
