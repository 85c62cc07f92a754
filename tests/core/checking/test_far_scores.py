"""Claims about scores that lie far from 0, where `x / T` and `x − log Σ exp x` lose digits, and nobody is to blame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.core.checking import wrong_programs as wrong
from tests.core.checking.claiming import codes_of, computed, examined
from tests.core.checking.wrong_programs import Array, Batch, Claims

Outputs = Callable[[Batch], Claims]
OFFSETS = (-400.0, 60.0, 5000.0)
TEMPERATURES = (0.4, 1.0, 1.3)
SEEDS = [range(1), pytest.param(range(1, 6), marks=pytest.mark.full)]
TOTALS = {"sum_instead_of_mean", "scaled_by_batch_size"}
"""Either describes a sum in place of a mean over all rows."""


def far_batch(seed: int, dtype: str, offset: float, temperature: float) -> Batch:
    """Ordinary differences, far from 0."""
    random = np.random.default_rng(seed)
    logits = (random.normal(size=(6, 5)) * 3 + offset).astype(dtype)
    return Batch(logits, random.integers(0, 5, 6), {"temperature": temperature})


def carefully(batch: Batch) -> Claims:
    """The answers of the core, in the dtype of the logits."""
    return {name: computed(name, batch) for name in ("loss", "losses", "gradient", "probabilities")}


def plainly(batch: Batch) -> Claims:
    """What most write: the quotients first, and the largest of them taken off."""
    scores = batch.logits / batch.logits.dtype.type(batch.options["temperature"])
    shifted = scores - scores.max(axis=1, keepdims=True)
    return outputs_of(batch, shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def by_log_sum_exp(batch: Batch) -> Claims:
    """The same by the logarithm of the sum of exponentials, which is as far from 0 as the scores are."""
    scores = batch.logits / batch.logits.dtype.type(batch.options["temperature"])
    top = scores.max(axis=1, keepdims=True)
    return outputs_of(batch, scores - (top + np.log(np.exp(scores - top).sum(axis=1, keepdims=True))))


def outputs_of(batch: Batch, logs: Array) -> Claims:
    """Everything by the logarithms of the probabilities."""
    losses, probabilities = -logs[batch.rows, batch.labels], np.exp(logs)
    by_scores = wrong.of_targets(probabilities, batch.one_hot)["gradient"]
    gradient = by_scores / by_scores.dtype.type(batch.options["temperature"])
    return {"loss": losses.mean(), "losses": losses, "gradient": gradient, "probabilities": probabilities}


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
@pytest.mark.parametrize("outputs", [carefully, plainly, by_log_sum_exp])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_right_outputs_far_from_zero_accuse_nobody(
    outputs: Outputs, dtype: str, temperature: float, offset: float, seeds: range
) -> None:
    """Each mistake that changes nothing was named, as it made the same roundings."""
    for seed in seeds:
        batch = far_batch(seed, dtype, offset, temperature)
        for name, value in outputs(batch).items():
            found = examined(batch, {name: value})
            accused = set(codes_of(found)) - ({"cancellation"} if found.is_match else set())
            assert not accused, (seed, name, found.diagnoses)
            assert found.is_match or outputs is not carefully, (seed, name)


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
@pytest.mark.parametrize("outputs", [carefully, plainly, by_log_sum_exp])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_mistakes_far_from_zero_are_named(
    outputs: Outputs, dtype: str, temperature: float, offset: float, seeds: range
) -> None:
    """Who had computed better than plain NumPy was told of none, since it was plain NumPy that made them again."""
    for seed in seeds:
        batch = far_batch(seed, dtype, offset, temperature)
        right, factor = outputs(batch), batch.logits.dtype.type(temperature)
        for name in ("loss", "losses", "gradient"):
            assert "sign_flipped" in codes_of(examined(batch, {name: -right[name]})), (seed, name)
        for name in ("loss", "gradient"):
            summed = right[name] * batch.logits.dtype.type(len(batch.logits))
            assert TOTALS & set(codes_of(examined(batch, {name: summed}))), (seed, name)
        if temperature != 1:
            found = examined(batch, {"gradient": right["gradient"] * factor})
            assert "temperature_not_in_gradient" in codes_of(found), seed


AT_THE_END_OF_THE_RANGE: list[tuple[Batch, list[float], str]] = [
    (
        Batch(
            np.array([[-1e308, 0, -1e308], [1, 2, 3]]),
            np.array([0, 0]),
            {"temperature": 0.1, "class_mask": np.array([True, False, True])},
        ),
        [-np.log(2), -20.000000002061153],
        "sign_flipped",
    ),
    (
        Batch(np.array([[1e300, 0], [1.7e308, 1.7e308]]), np.array([1, 0]), {"temperature": 0.5}),
        [np.inf, np.log(2)],
        "log_of_zero",
    ),
]


@pytest.mark.parametrize(("batch", "losses", "code"), AT_THE_END_OF_THE_RANGE)
def test_quotients_beyond_the_range_spoil_no_other_row(batch: Batch, losses: list[float], code: str) -> None:
    """The differences alone count, and a masked class has none."""
    found = examined(batch, {"losses": np.array(losses)})
    assert codes_of(found) == [code]
    assert all(each.plain_errors is not None for each in found.compared)
