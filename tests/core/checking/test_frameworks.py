"""What users write in PyTorch and JAX: right programs are a match, wrong ones are named."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from tests.core.calls import TEXTBOOK
from tests.core.checking.claiming import codes_of, computed, examined
from tests.core.checking.jax_programs import right as right_in_jax
from tests.core.checking.jax_programs import textbook as textbook_in_jax
from tests.core.checking.test_diagnosis import batch_for
from tests.core.checking.wrong_programs import Batch, Program, draw

pytestmark = [pytest.mark.full, pytest.mark.parametrize("dtype", ["float64", "float32"])]

SEEDS = range(20)
RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("right", {}),
    ("right_rows", {}),
    ("right_weighted", {"class_weights": "random"}),
    ("right_ignoring", {"ignore_label": -1}),
    ("right_smoothed", {"label_smoothing": 0.1}),
    ("right_with_temperature", {"temperature": 0.7}),
    ("right_masked", {"class_mask": "half"}),
]
WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("sum_instead_of_mean", "summed", {}),
    ("scaled_by_batch_size", "divided_again", {}),
    ("scaled_by_class_count", "over_elements", {}),
    ("wrong_denominator", "weighted_over_rows", {"class_weights": "random"}),
    ("sign_flipped", "without_minus", {}),
    ("diagonal_only_jacobian", "diagonal", {}),
    ("softmax_applied_twice", "after_softmax", {}),
    ("probabilities_given_as_logits", "of_given_probabilities", {"probabilities": True}),
    ("log_base_2", "in_bits", {}),
    ("log_base_10", "in_tens", {}),
    ("transposed_layout", "turned", {}),
    ("labels_off_by_one", "labels_from_one", {}),
    ("smoothing_over_other_classes", "smoothed_over_others", {"label_smoothing": 0.1}),
    ("smoothing_ignored", "right", {"label_smoothing": 0.1}),
    ("ignored_rows_counted", "as_if_not_ignored", {"ignore_label": -1}),
    ("ignored_rows_counted", "ignored_in_the_mean", {"ignore_label": -1}),
    ("weights_ignored", "right", {"class_weights": "random"}),
    ("temperature_ignored", "right", {"temperature": 0.7}),
    ("temperature_not_in_gradient", "temperature_once", {"temperature": 0.7}),
    ("binary_formula_over_softmax", "textbook", {}),
    ("clipped_probabilities", "clamped", {"scale": 4.0}),
    ("clipped_probabilities", "clamped_below", {"scale": 12.0, "is_confident": True}),
    ("clipped_probabilities", "with_epsilon", {"scale": 4.0}),
    ("overflow_unshifted", "unshifted", {"scale": 500.0}),
    ("overflow_unshifted", "unshifted_derived", {"scale": 500.0}),
    ("log_of_zero", "log_of_softmax", {"scale": 500.0}),
    ("mask_in_denominator", "masked_by_zero", {"class_mask": "half"}),
    ("mask_in_denominator", "masked_afterwards", {"class_mask": "half"}),
    ("lower_precision", "in_half", {}),
    ("softmax_over_batch", "over_batch", {}),
]


def in_torch(name: str) -> Program:
    """A program by its name; only these tests import PyTorch."""
    program: Program = getattr(import_module("tests.core.checking.torch_programs"), name)
    return program


@pytest.mark.parametrize(("name", "options"), RIGHT)
def test_a_right_program_is_a_match(name: str, options: dict[str, Any], dtype: str) -> None:
    """PyTorch's own functions are right on ordinary rows, under each option, and nothing is said beside it."""
    for seed in SEEDS:
        batch = batch_for(seed, dtype, **options, scale=1.0)
        found = examined(batch, in_torch(name)(batch))
        assert (found.is_match, found.diagnoses) == (True, []), seed


@pytest.mark.parametrize(
    ("program", "options", "lost"),
    [
        (right_in_jax, {"scale": 1.0}, set()),
        (textbook_in_jax, {"scale": 3.0, "objective": TEXTBOOK}, {"cancellation"}),
    ],
)
def test_a_right_program_in_jax_is_a_match(
    program: Program, options: dict[str, Any], lost: set[str], dtype: str
) -> None:
    """JAX with optax is right, too, but for digits of 1 − p; it runs elsewhere, for it does not bear a fork."""
    batches = [draw(seed, dtype, **options) for seed in SEEDS]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
        made = list(elsewhere.map(program, batches))
    for seed, batch, claims in zip(SEEDS, batches, made, strict=True):
        assert claims["gradient"].dtype == dtype
        found = examined(batch, claims)
        assert found.is_match, seed
        assert set(codes_of(found)) <= lost, seed


def test_the_binary_formula_over_softmax_is_a_match(dtype: str) -> None:
    """PyTorch's binary cross-entropy of a softmax was once no match where 1 − p has few digits."""
    for seed in SEEDS:
        batch = draw(seed, dtype, scale=3.0, objective=TEXTBOOK)
        found = examined(batch, in_torch("textbook")(batch))
        assert found.is_match, seed
        assert set(codes_of(found)) <= {"cancellation"}, seed


@pytest.mark.parametrize("name", ["right", "right_rows"])
def test_a_right_program_loses_digits_on_confident_rows(name: str, dtype: str) -> None:
    """A row that is sure of its label has lost its digits: a match, and that is said."""
    for seed in SEEDS:
        batch = draw(seed, dtype, scale=1.0)
        batch.logits[0, batch.labels[0]] = 50
        found = examined(batch, in_torch(name)(batch))
        assert (found.is_match, codes_of(found)) == (True, ["cancellation"]), seed


@pytest.mark.parametrize(("code", "name", "options"), WRONG)
def test_a_wrong_program_is_named(code: str, name: str, options: dict[str, Any], dtype: str) -> None:
    """A mistake that is made in PyTorch, and derived by autograd, leads the diagnoses."""
    for seed in SEEDS:
        batch = batch_for(seed, dtype, **options)
        found = examined(batch, in_torch(name)(batch))
        assert not found.is_match, seed
        assert codes_of(found)[:1] == [code], (seed, batch.logits.shape, found.diagnoses)


def usual_errors(name: str, batch: Batch, right: Any, random: np.random.Generator) -> Any:
    """Return errors of 8 units of what numbers are computed from: 1 for losses, p and c for the gradient."""
    least: dict[str, Any] = {"probabilities": 0.0, "gradient": batch.one_hot / len(batch.labels)}
    sizes = np.maximum(np.abs(right), least.get(name, 1.0))
    return 8 * np.finfo(batch.logits.dtype).eps * random.uniform(-1, 1, right.shape) * sizes


def test_a_normal_error_is_a_match(dtype: str) -> None:
    """A thousand right claims, off as far as their type usually errs, are accused of nothing but lost digits."""
    random = np.random.default_rng(0)
    for seed in range(1000):
        batch = draw(seed, dtype, scale=float(random.choice([0.3, 1, 3])))
        name = str(random.choice(["loss", "losses", "gradient", "probabilities"]))
        right = computed(name, batch).astype(dtype)
        off = usual_errors(name, batch, right, random)
        found = examined(batch, {name: (right + off).astype(dtype)})
        has_lost = bool((np.abs(off) > 1000 * np.finfo(dtype).eps * np.abs(right)).any())
        assert found.is_match, seed
        assert codes_of(found) in ([[], ["cancellation"]] if has_lost else [[]]), (seed, name)


@pytest.mark.parametrize("output", ["losses", "gradient"])
def test_lost_digits_are_told_where_they_are_lost(output: str, dtype: str) -> None:
    """The surer a row, the fewer digits PyTorch keeps: nothing is said of most of them, and all of none."""
    told = set()
    for gap in range(1, 61):
        batch = Batch(np.array([[gap, 0, 1], [0, 1, 2]], dtype), np.array([0, 0]))
        claims = in_torch("right" if output == "gradient" else "right_rows")(batch)
        right = computed(output, batch).ravel()[0]
        lost = abs(claims[output].ravel()[0] - right) / abs(right)
        codes = codes_of(examined(batch, {output: claims[output]}))
        if lost > 1 / 2 or lost < 1000 * np.finfo(dtype).eps:
            assert codes == (["cancellation"] if lost > 1 / 2 else []), gap
            told.add(bool(codes))
    assert told == {True, False}
