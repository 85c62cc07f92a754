"""Each known mistake, made as a caller would make it, is named; what is right is never accused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradient_service.core.checking import variants
from tests.core.calls import SIGMOID, SOFTMAX, TEXTBOOK
from tests.core.checking import wrong_programs as wrong
from tests.core.checking.claiming import codes_of, computed, examined
from tests.core.checking.wrong_programs import Batch, Program, draw, named

SEEDS = range(3)
MORE_SEEDS = range(3, 20)
MEANT: list[tuple[str, Program, dict[str, Any]]] = [
    ("sum_instead_of_mean", wrong.summed, {}),
    ("sum_instead_of_mean", named("loss", wrong.summed), {}),
    ("scaled_by_batch_size", wrong.scaled(lambda batch: 1 / len(batch.logits)), {}),
    ("scaled_by_class_count", wrong.over_elements, {}),
    ("wrong_denominator", wrong.weighted_over_rows, {"class_weights": "random"}),
    ("sign_flipped", wrong.ascending, {}),
    ("diagonal_only_jacobian", wrong.diagonal, {}),
    ("softmax_applied_twice", wrong.twice, {}),
    ("softmax_applied_twice", wrong.twice_and_derived, {}),
    ("probabilities_given_as_logits", wrong.given_probabilities, {"probabilities": True}),
    ("log_base_2", wrong.in_base(2), {}),
    ("log_base_10", wrong.in_base(10), {}),
    ("transposed_layout", wrong.turned, {}),
    ("transposed_layout", wrong.read_by_columns, {}),
    ("labels_off_by_one", wrong.shifted_labels(1), {}),
    ("labels_off_by_one", wrong.shifted_labels(-1), {}),
    ("labels_off_by_one", wrong.without_class(first=1), {}),
    ("smoothing_over_other_classes", wrong.smoothed_over_others, {"label_smoothing": 0.1}),
    ("smoothing_ignored", wrong.right, {"label_smoothing": 0.1}),
    ("ignored_rows_counted", wrong.ignored_as_last_class, {"ignore_label": -1}),
    ("ignored_rows_counted", wrong.ignored_in_the_mean, {"ignore_label": -1}),
    ("ignored_rows_counted", wrong.without_class(), {"ignore_label": -1}),
    (
        "ignored_rows_counted",
        wrong.without_class(divisor=lambda batch: (batch.labels >= 0).sum()),
        {"ignore_label": -1},
    ),
    ("weights_ignored", wrong.unweighted, {"class_weights": "random"}),
    ("weights_ignored", wrong.unweighted, {"sample_weights": "random"}),
    ("temperature_ignored", wrong.without_temperature, {"temperature": 0.7}),
    ("temperature_not_in_gradient", wrong.temperature_once, {"temperature": 0.7}),
    ("binary_formula_over_softmax", wrong.textbook, {}),
    ("clipped_probabilities", wrong.clipped(1e-3), {"scale": 4.0}),
    ("clipped_probabilities", wrong.raised(1e-3), {"scale": 4.0, "is_confident": True}),
    ("clipped_probabilities", wrong.raised(1e-5), {"scale": 12.0, "is_confident": True}),
    ("clipped_probabilities", wrong.added, {}),
    ("overflow_unshifted", wrong.unshifted, {"scale": 500.0}),
    ("overflow_unshifted", wrong.mended, {"scale": 500.0}),
    ("overflow_unshifted", named("gradient", wrong.mended), {"scale": 500.0}),
    ("overflow_unshifted", named("probabilities", wrong.mended), {"scale": 500.0}),
    ("overflow_unshifted", wrong.unshifted_rows, {"offset": 1000.0}),
    ("log_of_zero", wrong.log_of_probabilities, {"scale": 500.0}),
    ("mask_in_denominator", wrong.masked_by_zero, {"class_mask": "half"}),
    ("mask_in_denominator", wrong.masked_afterwards, {"class_mask": "half"}),
    ("lower_precision", wrong.in_fewer_digits("float16"), {}),
    ("softmax_over_batch", wrong.over_batch, {}),
]


def batch_for(seed: int, dtype: str, **options: Any) -> Batch:
    """A batch whose options are drawn where they are only named."""
    scale = options.pop("scale", 2.0)
    are_probabilities, is_confident = options.pop("probabilities", False), options.pop("is_confident", False)
    offset = options.pop("offset", 0.0)
    batch = draw(seed, dtype, scale=scale, **options)
    random = np.random.default_rng(seed)
    logits, labels = batch.logits + np.asarray(offset, dtype), batch.labels
    if is_confident:
        logits, labels = confident(logits, labels)
    made: dict[str, Any] = dict(options)
    for name, length in (("class_weights", logits.shape[1]), ("sample_weights", len(logits))):
        if name in made:
            made[name] = random.uniform(0.5, 2, length).astype(dtype)
    if "class_mask" in made:
        made["class_mask"] = np.arange(logits.shape[1]) % 2 == 0
        labels = labels // 2 * 2
    if "ignore_label" in made:
        labels = np.where(np.arange(len(labels)) == 0, -1, labels)
    if are_probabilities:
        logits = wrong.softmax(logits)
    return Batch(logits, labels, made)


def confident(logits: wrong.Array, labels: wrong.Array) -> tuple[wrong.Array, wrong.Array]:
    """Every other row sure of its label, by up to 25."""
    rows = np.arange(0, len(labels), 2)
    labels[rows] = logits[rows].argmax(axis=1)
    logits[rows, labels[rows]] += np.linspace(0, 25, len(rows), dtype=logits.dtype)
    return logits, labels


def supervised(seed: int, objective: str, **options: Any) -> Batch:
    """A batch with what an objective is compared with: labels, or targets in [0, 1]."""
    batch = draw(seed, "float64", objective=objective, **options)
    if "sample_weights" in options:
        batch.options["sample_weights"] = np.random.default_rng(seed).uniform(0.5, 2, len(batch.logits))
    if objective == SIGMOID or "targets" in options:
        batch.options["targets"] = batch.one_hot
    return batch


def ids(case: tuple[str, Program, dict[str, Any]]) -> str:
    """The name of a case."""
    return f"{case[0]} by {case[1].__qualname__.split('.')[0]}"


@pytest.mark.parametrize("seeds", [SEEDS, pytest.param(MORE_SEEDS, marks=pytest.mark.full)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", MEANT, ids=ids)
def test_an_honest_mistake_is_named_first(case: tuple[str, Program, dict[str, Any]], dtype: str, seeds: range) -> None:
    """A wrong program is no match, its mistake leads the diagnoses on random batches, and none of these leaves much.

    One with a residual of 1 was listed once, beside 0 in the place of NaN.
    """
    code, program, options = case
    for seed in seeds:
        batch = batch_for(seed, dtype, **options)
        found = examined(batch, program(batch))
        assert not found.is_match, seed
        assert codes_of(found)[:1] == [code], (seed, batch.logits.shape, found.diagnoses)
        assert all(each.residual < 0.25 for each in found.diagnoses), (seed, found.diagnoses)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_sign_of_upstream_accuses_nobody(sign: int) -> None:
    """A negative one turned the sizes that errors over the batch are measured by, and whatever was claimed fitted."""
    for seed in SEEDS:
        upstream = sign * np.random.default_rng(seed).uniform(0.1, 3, 64)
        batch = draw(seed, "float64", reduction="none")
        batch.options["upstream"] = upstream[: len(batch.logits)]
        found = examined(batch, {"gradient": 1.7 * computed("gradient", batch)})
        assert not found.is_match
        assert not found.diagnoses
        weighted = batch.options["upstream"][:, np.newaxis] * batch.one_hot
        over_batch = wrong.softmax(batch.logits, axis=0) * weighted.sum(axis=0) - weighted
        found = examined(batch, {"gradient": over_batch})
        assert codes_of(found)[:1] == ["softmax_over_batch"]
        assert found.diagnoses[0].residual < 1e-12


@pytest.mark.parametrize("objective", wrong.OBJECTIVES)
@pytest.mark.parametrize("output", ["gradient", "losses", "loss"])
@pytest.mark.parametrize(
    ("code", "factor"),
    [("sign_flipped", -1.0), ("log_base_2", 1 / np.log(2)), ("log_base_10", 1 / np.log(10))],
)
def test_scalings_are_named_for_every_objective(objective: str, output: str, code: str, factor: float) -> None:
    """What only multiplies is found in each output of each objective."""
    for seed in SEEDS:
        batch = supervised(seed, objective)
        found = examined(batch, {output: factor * computed(output, batch)})
        assert codes_of(found)[:1] == [code], seed


@pytest.mark.parametrize(
    ("objective", "code", "asked", "done"),
    [
        (SIGMOID, "temperature_ignored", {"temperature": 2.5}, {}),
        (TEXTBOOK, "temperature_ignored", {"temperature": 2.5}, {}),
        (TEXTBOOK, "smoothing_ignored", {"label_smoothing": 0.2}, {}),
        (SIGMOID, "binary_formula_over_softmax", {}, {"objective": TEXTBOOK, "targets": True}),
        (SOFTMAX, "binary_formula_over_softmax", {}, {"objective": TEXTBOOK}),
        (SIGMOID, "sum_instead_of_mean", {}, {"reduction": "sum"}),
        (TEXTBOOK, "sum_instead_of_mean", {}, {"reduction": "sum"}),
        (SOFTMAX, "wrong_denominator", {"sample_weights": True}, {"sample_weights": True, "denominator": "batch"}),
        (SIGMOID, "weights_ignored", {"sample_weights": True}, {}),
        (TEXTBOOK, "weights_ignored", {"sample_weights": True}, {}),
    ],
)
def test_options_left_out_are_named_for_other_objectives(
    objective: str, code: str, asked: dict[str, Any], done: dict[str, Any]
) -> None:
    """A gradient and a loss of other options than those asked for tell which option it was."""
    for seed in SEEDS:
        batch = supervised(seed, objective, **asked)
        other = supervised(seed, **{"objective": objective} | done)
        claims = {name: computed(name, other) for name in ("gradient", "loss")}
        assert codes_of(examined(batch, claims))[:1] == [code], seed


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_diagonal_of_the_textbook_objective_is_named(dtype: str) -> None:
    """p − c for the binary formula over softmax is what the Jacobian's diagonal alone gives."""
    for seed in SEEDS:
        batch = draw(seed, dtype, objective=TEXTBOOK)
        claims = {"gradient": wrong.right(batch)["gradient"]}
        assert codes_of(examined(batch, claims))[:1] == ["diagonal_only_jacobian"], seed


PAIRS = [
    ("sum_instead_of_mean smoothing_ignored", wrong.summed, {"label_smoothing": 0.1}),
    ("temperature_ignored smoothing_ignored", wrong.right, {"label_smoothing": 0.1, "temperature": 2.0}),
    ("sign_flipped temperature_ignored", wrong.ascending, {"temperature": 2.0}),
    ("weights_ignored smoothing_ignored", wrong.right, {"class_weights": "random", "label_smoothing": 0.1}),
    ("softmax_applied_twice smoothing_ignored", wrong.twice, {"label_smoothing": 0.1}),
    ("diagonal_only_jacobian weights_ignored", wrong.diagonal, {"sample_weights": "random"}),
    ("transposed_layout smoothing_ignored", wrong.turned, {"label_smoothing": 0.1}),
    ("labels_off_by_one temperature_ignored", wrong.shifted_labels(1), {"temperature": 0.5}),
    ("softmax_over_batch smoothing_ignored", wrong.over_batch, {"label_smoothing": 0.1}),
]


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.full)])
@pytest.mark.parametrize(
    ("codes", "program", "options"), PAIRS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_two_mistakes_at_once_are_both_named(codes: str, program: Program, options: dict[str, Any], dtype: str) -> None:
    """Where no single mistake explains a claim, the two that together do lead the diagnoses."""
    for seed in SEEDS:
        batch = batch_for(seed, dtype, **options)
        found = examined(batch, program(batch))
        assert set(codes_of(found)[:2]) == set(codes.split()), seed
        assert "Together with" in found.diagnoses[0].explanation


def test_all_mistakes_that_describe_the_same_numbers_are_listed() -> None:
    """Nobody can tell a sum from a mean times N: both are named, and so is a layout by either name."""
    batch = draw(1, "float64")
    assert codes_of(examined(batch, wrong.summed(batch))) == ["sum_instead_of_mean", "scaled_by_batch_size"]
    assert codes_of(examined(batch, wrong.turned(batch))) == ["transposed_layout", "class_major_layout"]


@pytest.mark.parametrize("rows", [1, 300])
def test_a_single_bad_row_is_found_among_many(rows: int) -> None:
    """The sample takes in the worst rows: one ignored row that counts is enough to name the mistake."""
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(rows + 1, 7)), random.integers(0, 7, rows + 1)
    labels[rows // 2] = -1
    batch = Batch(logits, labels, {"ignore_label": -1, "reduction": "sum"})
    assert codes_of(examined(batch, wrong.summed(batch)))[:1] == ["ignored_rows_counted"]


def test_a_large_batch_is_confirmed_on_rows_spread_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the size that is followed through, rows all over the batch stand for it."""
    monkeypatch.setattr("gradient_service.core.checking.variants.CONFIRMED_ELEMENTS", 64)
    batch = draw(1, "float64")
    assert batch.logits.size > 64
    assert codes_of(examined(batch, wrong.summed(batch)))[:1] == ["sum_instead_of_mean"]


def test_the_search_for_a_loss_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reduced loss alone is held against as many recipes as there is time for: then those that multiply it."""
    monkeypatch.setattr("gradient_service.core.checking.variants.REDUCED_ELEMENTS", 0)
    batch = batch_for(1, "float64", label_smoothing=0.1)
    assert codes_of(examined(batch, {"loss": wrong.right(batch)["loss"]})) == []
    assert codes_of(examined(draw(1, "float64"), {"loss": wrong.summed(batch)["loss"]}))[:1] == ["sum_instead_of_mean"]


def test_the_search_can_be_stopped() -> None:
    """The checkpoint is asked between recipes, so that a deadline ends the search."""
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise TimeoutError

    batch = draw(1, "float64")
    with pytest.raises(TimeoutError):
        examined(batch, {"gradient": 1.1 * wrong.right(batch)["gradient"]}, checkpoint=stop)


def test_a_loss_is_not_accused_by_chance() -> None:
    """One number off by any factor is near to what some pair of mistakes makes, where their errors are taken widely."""
    random, accused = np.random.default_rng(3), 0
    for seed in range(20):
        batch = draw(seed, "float32", scale=40.0, objective=SIGMOID)
        batch.options["targets"] = random.uniform(size=batch.logits.shape)
        loss = np.float32(computed("loss", batch) * random.uniform(0.3, 3))
        accused += bool(codes_of(examined(batch, {"loss": loss})))
    assert accused == 0  # of 20, where it was 9


def test_a_way_that_spoils_nothing_is_not_blamed() -> None:
    """Losses of which one is 0 by right, and the others off by 3 %, come from no overflow and no logarithm of 0."""
    options = {"ignore_label": -1, "reduction": "none"}
    batch = Batch(np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, -1, 3, 1]), options)
    assert codes_of(examined(batch, {"losses": computed("losses", batch) * 1.03})) == []


def test_smoothing_over_others_allows_for_a_row_of_one_class() -> None:
    """A row with one class has no others, and was once a number that is none to the mistake."""
    mask = np.array([[True] * 4, [True, False, False, False], [True, True, True, False]])
    options = {"label_smoothing": 0.1, "element_mask": mask, "reduction": "none"}
    batch = Batch(np.array([[1.0, 2, 3, 0], [3, 1, 1, 1], [1, 2, 3, 4]]), np.array([0, 0, 1]), options)
    losses = []
    for logits, label, is_class in zip(batch.logits, batch.labels, mask, strict=True):
        logs = logits[is_class] - np.log(np.exp(logits[is_class]).sum())
        others = (logs.sum() - logs[label]) * 0.1 / max(len(logs) - 1, 1)
        losses.append(-0.9 * logs[label] - others)
    assert codes_of(examined(batch, {"losses": np.array(losses)}))[:1] == ["smoothing_over_other_classes"]


def test_a_long_row_is_looked_at_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each glance asks whether anybody still waits, and together they go through so many elements at the most."""
    batch, asked = Batch(np.random.default_rng(0).normal(size=(1, 1 << 12)), np.array([0])), 0
    gradient = computed("gradient", batch)
    gradient[0, 7] *= 1.5

    def checkpoint() -> None:
        nonlocal asked
        asked += 1

    def num_asked() -> int:
        nonlocal asked
        asked = 0
        examined(batch, {"gradient": gradient}, checkpoint=checkpoint)
        return asked

    without_bound = num_asked()
    monkeypatch.setattr(variants, "GLANCED_ELEMENTS", 10 << 12)
    assert num_asked() < without_bound - 50
