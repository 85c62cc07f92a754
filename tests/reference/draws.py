"""Random labels, targets, masks, weights and temperatures to go with the families of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Generator = np.random.Generator
TEMPERATURES = (0.1, 0.5, 0.7, 1.0, 1 / 3, 2.0, 10.0, 1e-3, 1e3)


def random_labels(rng: Generator, logits: Array) -> Array:
    """Labels (N,) drawn evenly."""
    return np.asarray(rng.integers(0, logits.shape[1], logits.shape[0]))


def best_labels(_: Generator, logits: Array) -> Array:
    """Labels (N,) at each row's first maximum."""
    return np.asarray(np.argmax(logits, axis=1))


def worst_labels(_: Generator, logits: Array) -> Array:
    """Labels (N,) at each row's first minimum."""
    return np.asarray(np.argmin(logits, axis=1))


def one_hot_targets(labels: Array, num_classes: int) -> Array:
    """Target rows (N, K) of labels."""
    targets = np.zeros((len(labels), num_classes))
    targets[np.arange(len(labels)), labels] = 1.0
    return targets


def uniform_targets(_: Generator, logits: Array) -> Array:
    """Target rows of equal shares."""
    return np.full(logits.shape, 1.0 / logits.shape[1])


def dirichlet_targets(rng: Generator, logits: Array) -> Array:
    """Target rows drawn evenly from the simplex."""
    return rng.dirichlet(np.ones(logits.shape[1]), logits.shape[0])


def sparse_targets(rng: Generator, logits: Array) -> Array:
    """Target rows with about two thirds of their entries exactly 0."""
    shares = np.where(rng.random(logits.shape) < 1 / 3, rng.exponential(1.0, logits.shape), 0.0)
    shares[np.arange(len(shares)), random_labels(rng, logits)] += 1.0
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def nearly_one_hot_targets(rng: Generator, logits: Array) -> Array:
    """Target rows within 1e-12 of a hard label."""
    noise = rng.random(logits.shape) * (1e-12 / logits.shape[1])
    targets = one_hot_targets(random_labels(rng, logits), logits.shape[1])
    return np.asarray(np.abs(targets - noise))


def softmax_targets(_: Generator, logits: Array) -> Array:
    """Target rows equal to the probabilities as plain arithmetic gives them: every gradient nearly 0."""
    with np.errstate(over="ignore"):
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def free_targets(rng: Generator, logits: Array) -> Array:
    """Target rows of any sum, for `targets_sum: "any"`."""
    return np.asarray(rng.exponential(1.0, logits.shape))


def binary_targets(rng: Generator, logits: Array) -> Array:
    """Numbers in [0, 1], a third exactly 0 and a third exactly 1, for the binary objectives."""
    hard = rng.integers(0, 2, logits.shape).astype(float)
    return np.where(rng.random(logits.shape) < 2 / 3, hard, rng.random(logits.shape))


def class_weights(rng: Generator, num_classes: int) -> Array:
    """Weights (K,) over six decades, one of them 0 if there are three classes or more."""
    weights = 10.0 ** rng.uniform(-3.0, 3.0, num_classes)
    if num_classes > 2:
        weights[rng.integers(num_classes)] = 0.0
    return np.asarray(weights)


def sample_weights(rng: Generator, batch_size: int) -> Array:
    """Weights (N,) over six decades, one of them 0 if there are two rows or more."""
    weights = 10.0 ** rng.uniform(-3.0, 3.0, batch_size)
    if batch_size > 1:
        weights[rng.integers(batch_size)] = 0.0
    return np.asarray(weights)


def upstream(rng: Generator, batch_size: int) -> Array:
    """Derivatives (N,) of a caller's scalar, of both signs."""
    return rng.normal(0.0, 2.0, batch_size)


def class_mask(rng: Generator, num_classes: int) -> Array:
    """Booleans (K,), about two thirds true, one at least."""
    mask = rng.random(num_classes) < 2 / 3
    mask[rng.integers(num_classes)] = True
    return mask


def element_mask(rng: Generator, shape: tuple[int, int]) -> Array:
    """Booleans (N, K), about two thirds true, one at least in every row."""
    mask = rng.random(shape) < 2 / 3
    mask[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = True
    return mask


def labels_within(rng: Generator, mask: Array) -> Array:
    """Labels (N,) on classes that the mask (N, K) leaves in."""
    return np.array([rng.choice(np.flatnonzero(row)) for row in mask])


def targets_within(targets: Array, mask: Array) -> Array:
    """Target rows with nothing on masked classes, rescaled to sum to 1; uniform where nothing was left."""
    kept = np.where(mask, targets, 0.0)
    kept = np.where(kept.sum(axis=1, keepdims=True) > 0, kept, mask.astype(float))
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


LABELS: dict[str, Callable[[Generator, Array], Array]] = {
    "random": random_labels,
    "best": best_labels,
    "worst": worst_labels,
}
TARGETS: dict[str, Callable[[Generator, Array], Array]] = {
    "uniform": uniform_targets,
    "dirichlet": dirichlet_targets,
    "sparse": sparse_targets,
    "nearly_one_hot": nearly_one_hot_targets,
    "softmax": softmax_targets,
}
