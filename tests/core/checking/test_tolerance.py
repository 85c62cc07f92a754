"""Within the caller's tolerance mistakes are named too, and nothing is accused because it comes near by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.core.checking import wrong_programs as wrong
from tests.core.checking.claiming import codes_of, computed, examined
from tests.core.checking.test_diagnosis import SEEDS, batch_for, ids
from tests.core.checking.wrong_programs import Batch, Program, draw, named


def rounded(values: Any, digits: int) -> Any:
    """Numbers as they are printed with so many significant digits."""
    return np.vectorize(lambda value: float(f"{value:.{digits}g}"))(values)


SHORT: list[tuple[str, Program, dict[str, Any]]] = [
    ("sum_instead_of_mean", wrong.summed, {}),
    ("sum_instead_of_mean", named("loss", wrong.summed), {}),
    ("softmax_applied_twice", named("gradient", wrong.twice), {}),
    ("labels_off_by_one", named("gradient", wrong.shifted_labels(1)), {}),
    ("smoothing_ignored", named("gradient", wrong.right), {"label_smoothing": 0.1}),
    ("temperature_ignored", named("gradient", wrong.right), {"temperature": 0.7}),
    ("mask_in_denominator", wrong.masked_by_zero, {"class_mask": "half"}),
    ("softmax_over_batch", named("gradient", wrong.over_batch), {}),
]


@pytest.mark.parametrize(("digits", "rtol"), [(6, 5e-6), (3, 5e-3)])
@pytest.mark.parametrize("case", SHORT, ids=ids)
def test_a_mistake_is_named_within_the_tolerance(
    case: tuple[str, Program, dict[str, Any]], digits: int, rtol: float
) -> None:
    """Numbers with few digits tell their mistake to whoever tolerates what was rounded away."""
    code, program, options = case
    for seed in SEEDS:
        batch = batch_for(seed, "float64", **options)
        claims = {name: rounded(value, digits) for name, value in program(batch).items()}
        assert codes_of(examined(batch, claims, rtol=rtol))[:1] == [code], seed


def test_decimals_are_tolerated_too() -> None:
    """Six digits after the point go with atol; a pair of mistakes is found as well."""
    for seed in SEEDS:
        batch = batch_for(seed, "float64", label_smoothing=0.1, temperature=2.0)
        claims = {"gradient": np.round(wrong.right(batch)["gradient"], 6)}
        found = examined(batch, claims, rtol=0.0, atol=1e-6)
        assert set(codes_of(found)[:2]) == {"temperature_ignored", "smoothing_ignored"}, seed


@pytest.mark.parametrize("rtol", [1e-3, 0.2])
@pytest.mark.parametrize("output", ["loss", "gradient"])
def test_a_wide_tolerance_accuses_nobody_by_chance(output: str, rtol: float) -> None:
    """What is off by any factor, or by noise, is explained by no mistake that merely comes near."""
    random = np.random.default_rng(1)
    for seed in SEEDS:
        batch = draw(seed, "float64")
        value = computed(output, batch)
        for off in (random.uniform(-3, 3), random.normal(size=np.shape(value))):
            found = examined(batch, {output: value * np.exp(off)}, rtol=rtol)
            assert codes_of(found) == [], (seed, off)


def test_a_lesser_tolerance_loses_no_diagnosis() -> None:
    """Who tolerates nothing at all is told the same mistakes as who tolerates what is usual."""
    for dtype in ("float64", "float32"):
        batch = draw(1, dtype)
        claims = wrong.summed(batch)
        assert codes_of(examined(batch, claims, rtol=0.0, atol=0.0)) == codes_of(examined(batch, claims))


@pytest.mark.parametrize("output", ["loss", "losses"])
@pytest.mark.parametrize("objective", ["sigmoid_binary_cross_entropy", "softmax_binary_cross_entropy"])
def test_a_masked_class_hides_no_error(objective: str, output: str) -> None:
    """Whatever it weighs, as it has no loss."""
    options = {
        "objective": objective,
        "targets": np.array([[0.0, 1.0, 0.0]]),
        "class_mask": np.array([True, True, False]),
        "class_weights": np.array([1.0, 1.0, 1e20]),
    }
    batch = Batch(np.array([[0.0, 1.0, 2.0]]), np.array([1]), options)
    value = computed(output, batch)
    assert examined(batch, {output: value}).is_match
    assert not examined(batch, {output: value * 1.001}).is_match


@pytest.mark.parametrize("output", ["loss", "losses"])
@pytest.mark.parametrize("weight", [1e-160, 1e-140, 1e-100])
def test_a_loss_that_vanishes_on_the_way_is_judged_by_its_size(output: str, weight: float) -> None:
    """Where the weight of the row brings back what the weight of the class took from a target."""
    options = {
        "targets": np.array([[1e-175, 0.0]]),
        "targets_sum": "any",
        "class_weights": np.array([weight, 0.0]),
        "sample_weights": np.array([1e200]),
        "reduction": "sum",
    }
    batch = Batch(np.array([[0.0, 1.0]]), np.array([0]), options)
    value = computed(output, batch)
    assert examined(batch, {output: np.nextafter(value, np.inf)}).is_match
    assert not examined(batch, {output: value * (1 + 1e-12)}).is_match


def test_a_mistake_that_is_named_leaves_something_finite() -> None:
    """Beside a score so far that 1 − p vanishes nothing explains any numbers."""
    options = {"objective": "softmax_binary_cross_entropy", "class_weights": np.array([1e-40, 1.0, 1e-40])}
    for far in (50.0, 800.0):
        batch = Batch(np.array([[0.0, far, 0.0]]), np.array([0]), options)
        for reduction in ("sum", "mean", "none"):
            batch.options["reduction"] = reduction
            found = examined(batch, {"gradient": np.array([[7.0, -3.0, 5.0]])})
            assert codes_of(found) == []
