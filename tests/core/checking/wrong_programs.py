"""Softmax and cross-entropy as callers write them, right and wrong in each known way: plain NumPy, nothing of the core.

A program takes a batch and returns what it would claim, in the dtype of the logits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.core.calls import SIGMOID, SOFTMAX, TEXTBOOK

Array = np.ndarray[Any, Any]
Claims = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Logits, labels, and the options of a request."""

    logits: Array
    labels: Array
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> Array:
        """0, 1, … N−1."""
        return np.arange(len(self.logits))

    @property
    def one_hot(self) -> Array:
        """The labels as rows, in the dtype of the logits."""
        return np.eye(self.logits.shape[1], dtype=self.logits.dtype)[self.labels]


Program = Callable[[Batch], Claims]


def draw(seed: int, dtype: str, *, scale: float = 2.0, **options: Any) -> Batch:
    """A batch of 2 … 64 rows and 3 … 50 classes, its second half of labels not all alike."""
    random = np.random.default_rng(seed)
    batch_size, num_classes = int(random.integers(2, 65)), int(random.integers(3, 51))
    logits = (random.normal(size=(batch_size, num_classes)) * scale).astype(dtype)
    return Batch(logits, random.integers(0, num_classes, batch_size), options)


def softmax(logits: Array, axis: int = 1) -> Array:
    """exp(s − max) over its sum."""
    exponentials = np.exp(logits - logits.max(axis=axis, keepdims=True))
    total: Array = exponentials.sum(axis=axis, keepdims=True)
    return np.asarray(exponentials / total)


def of_targets(probabilities: Array, targets: Array) -> Claims:
    """The mean cross-entropy and its gradient p − c."""
    with np.errstate(divide="ignore", invalid="ignore"):
        losses = -(targets * np.log(probabilities)).sum(axis=1)
    return {"loss": losses.mean(), "gradient": (probabilities - targets) / probabilities.dtype.type(len(targets))}


def right(batch: Batch) -> Claims:
    """What the default options ask for, by the logarithm of the shifted sum."""
    shifted = batch.logits - batch.logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    gradient = of_targets(softmax(batch.logits), batch.one_hot)["gradient"]
    return {"loss": -logs[batch.rows, batch.labels].mean(), "gradient": gradient}


def scaled(factor: Callable[[Batch], float]) -> Program:
    """Everything times a number."""

    def program(batch: Batch) -> Claims:
        return {
            name: np.asarray(value * batch.logits.dtype.type(factor(batch))) for name, value in right(batch).items()
        }

    return program


def summed(batch: Batch) -> Claims:
    """Sums where the mean was asked for."""
    probabilities = softmax(batch.logits)
    loss = -np.log(probabilities[batch.rows, batch.labels]).sum()
    return {"loss": loss, "gradient": probabilities - batch.one_hot}


def over_elements(batch: Batch) -> Claims:
    """A mean over all elements, as `mean()` of an array takes it."""
    gradient = (softmax(batch.logits) - batch.one_hot) / batch.logits.dtype.type(batch.logits.size)
    return {"gradient": gradient}


def weighted_over_rows(batch: Batch) -> Claims:
    """Class weights in the sum, and the number of rows below it."""
    weights = batch.options["class_weights"].astype(batch.logits.dtype)[batch.labels][:, np.newaxis]
    gradient = weights * (softmax(batch.logits) - batch.one_hot) / batch.logits.dtype.type(len(batch.logits))
    return {"gradient": gradient}


def unweighted(batch: Batch) -> Claims:
    """No weights at all."""
    return right(batch)


def ascending(batch: Batch) -> Claims:
    """c − p."""
    return {"gradient": -right(batch)["gradient"]}


def diagonal(batch: Batch) -> Claims:
    """−c/p times p (1−p), element by element."""
    probabilities = softmax(batch.logits)
    by_probabilities = -batch.one_hot / probabilities
    product = by_probabilities * probabilities * (1 - probabilities)
    return {"gradient": product / batch.logits.dtype.type(len(batch.logits))}


def twice(batch: Batch) -> Claims:
    """A network that ends in a softmax, and a loss that begins with one."""
    return of_targets(softmax(softmax(batch.logits)), batch.one_hot)


def twice_and_derived(batch: Batch) -> Claims:
    """The same with the derivative through both, as automatic differentiation takes it."""
    inner = softmax(batch.logits)
    outer = of_targets(softmax(inner), batch.one_hot)["gradient"]
    return {"gradient": inner * (outer - (inner * outer).sum(axis=1, keepdims=True))}


def in_base(base: float) -> Program:
    """Logarithms of another base."""

    def program(batch: Batch) -> Claims:
        probabilities = softmax(batch.logits)
        logs = np.log(probabilities[batch.rows, batch.labels]) / batch.logits.dtype.type(np.log(base))
        return {"losses": -logs, "loss": -logs.mean()}

    return program


def turned(batch: Batch) -> Claims:
    """The gradient transposed, its memory taken for (N, K)."""
    gradient = right(batch)["gradient"]
    return {"gradient": np.ascontiguousarray(gradient.T).reshape(gradient.shape)}


def read_by_columns(batch: Batch) -> Claims:
    """A kernel that takes row-major memory for column-major, in and out."""
    logits = batch.logits.ravel().reshape(batch.logits.shape, order="F")
    gradient = of_targets(softmax(logits), batch.one_hot)["gradient"]
    return {"gradient": gradient.ravel(order="F").reshape(gradient.shape)}


def shifted_labels(step: int) -> Program:
    """Labels counted from another number."""

    def program(batch: Batch) -> Claims:
        moved = Batch(batch.logits, (batch.labels + step) % batch.logits.shape[1])
        return right(moved)

    return program


def smoothed_over_others(batch: Batch) -> Claims:
    """ε/(K−1) on the classes that are not the label's."""
    smoothing, num_classes = batch.options["label_smoothing"], batch.logits.shape[1]
    others = (1 - batch.one_hot) * smoothing / (num_classes - 1)
    targets = (batch.one_hot * (1 - smoothing) + others).astype(batch.logits.dtype)
    return of_targets(softmax(batch.logits), targets)


def ignored_as_last_class(batch: Batch) -> Claims:
    """Label −1 as an index: the last class."""
    return right(batch)


def ignored_in_the_mean(batch: Batch) -> Claims:
    """Ignored rows left out of the sum, and counted below it."""
    is_counted = (batch.labels != batch.options["ignore_label"])[:, np.newaxis]
    return {"gradient": right(batch)["gradient"] * is_counted}


def without_class(first: int = 0, divisor: Callable[[Batch], int] = lambda batch: len(batch.labels)) -> Program:
    """A one-hot row of zeros where there is no such class, and p − c of it."""

    def program(batch: Batch) -> Claims:
        one_hot = batch.labels[:, np.newaxis] == np.arange(first, batch.logits.shape[1] + first)
        return {"gradient": (softmax(batch.logits) - one_hot) / batch.logits.dtype.type(divisor(batch))}

    return program


def without_temperature(batch: Batch) -> Claims:
    """T = 1."""
    return right(batch)


def temperature_once(batch: Batch) -> Claims:
    """T in the probabilities only."""
    temperature = batch.logits.dtype.type(batch.options["temperature"])
    return {"gradient": right(Batch(batch.logits / temperature, batch.labels))["gradient"]}


def textbook(batch: Batch) -> Claims:
    """The binary formula over softmax outputs, derived by the whole Jacobian."""
    p, c = softmax(batch.logits), batch.one_hot
    losses = -(c * np.log(p) + (1 - c) * np.log(1 - p)).sum(axis=1)
    by_p = -c / p + (1 - c) / (1 - p)
    gradient = p * (by_p - (p * by_p).sum(axis=1, keepdims=True))
    return {"loss": losses.mean(), "gradient": gradient / p.dtype.type(len(p))}


def textbook_where(batch: Batch) -> Claims:
    """The same, each term only where its target has it."""
    p, is_label = softmax(batch.logits), batch.one_hot > 0
    losses = -np.where(is_label, np.log(p), np.log(1 - p)).sum(axis=1)
    by_p = np.where(is_label, -1 / p, 1 / (1 - p))
    gradient = p * (by_p - (p * by_p).sum(axis=1, keepdims=True))
    return {"losses": losses, "loss": losses.mean(), "gradient": gradient / p.dtype.type(len(p))}


def textbook_by_jacobian(batch: Batch) -> Claims:
    """(p − c) / (p (1−p)) times the Jacobian of each row."""
    p, c = softmax(batch.logits), batch.one_hot
    jacobian = p[:, :, np.newaxis] * (np.eye(p.shape[1], dtype=p.dtype) - p[:, np.newaxis, :])
    by_p = (p - c) / (p * (1 - p))
    return {"gradient": np.einsum("nj,nji->ni", by_p, jacobian) / p.dtype.type(len(p))}


def sigmoid_losses(batch: Batch) -> Claims:
    """−Σ [c log p + (1−c) log(1−p)] with p = 1/(1 + exp(−s))."""
    p = 1 / (1 + np.exp(-batch.logits))
    return {"losses": -np.where(batch.one_hot > 0, np.log(p), np.log(1 - p)).sum(axis=1)}


def clipped(least: float) -> Program:
    """Probabilities within [δ, 1−δ] before the logarithm."""

    def program(batch: Batch) -> Claims:
        p = softmax(batch.logits).clip(least, 1 - least)
        losses = -np.log(p[batch.rows, batch.labels])
        return {"losses": losses, "loss": losses.mean()}

    return program


def raised(least: float) -> Program:
    """max(p, δ) before the logarithm, and nothing at the other end."""

    def program(batch: Batch) -> Claims:
        p = np.maximum(softmax(batch.logits), batch.logits.dtype.type(least))
        losses = -np.log(p[batch.rows, batch.labels])
        return {"losses": losses, "loss": losses.mean()}

    return program


def added(batch: Batch) -> Claims:
    """log(p + δ)."""
    p = softmax(batch.logits)[batch.rows, batch.labels] + batch.logits.dtype.type(1e-3)
    return {"losses": -np.log(p)}


def unshifted(batch: Batch) -> Claims:
    """exp(s) as it stands."""
    with np.errstate(all="ignore"):
        exponentials = np.exp(batch.logits)
        p = exponentials / exponentials.sum(axis=1, keepdims=True)
        return of_targets(p, batch.one_hot)


def unshifted_rows(batch: Batch) -> Claims:
    """log Σ exp(s) − s as it stands."""
    with np.errstate(over="ignore"):
        return {"losses": np.log(np.exp(batch.logits).sum(axis=1)) - batch.logits[batch.rows, batch.labels]}


def mended(batch: Batch) -> Claims:
    """exp(s) as it stands, and 0 for the NaN that came of it."""
    with np.errstate(all="ignore"):
        exponentials = np.exp(batch.logits)
        p = np.nan_to_num(exponentials / exponentials.sum(axis=1, keepdims=True))
    return {"probabilities": p, "gradient": (p - batch.one_hot) / p.dtype.type(len(p))}


def log_of_probabilities(batch: Batch) -> Claims:
    """−log of a softmax that is right, and 0 where a label is far from the winner."""
    with np.errstate(divide="ignore"):
        return {"loss": -np.log(softmax(batch.logits)[batch.rows, batch.labels]).mean()}


def masked_by_zero(batch: Batch) -> Claims:
    """Logits times the mask."""
    p = softmax(batch.logits * batch.options["class_mask"])
    return {"gradient": (p - batch.one_hot) / p.dtype.type(len(p))}


def masked_afterwards(batch: Batch) -> Claims:
    """Probabilities times the mask."""
    return {"probabilities": softmax(batch.logits) * batch.options["class_mask"]}


def in_fewer_digits(dtype: str) -> Program:
    """Computed in another type, and sent in the one that was asked for."""

    def program(batch: Batch) -> Claims:
        made = right(Batch(batch.logits.astype(dtype), batch.labels))
        return {"gradient": made["gradient"].astype(batch.logits.dtype)}

    return program


def over_batch(batch: Batch) -> Claims:
    """Softmax along axis 0."""
    return of_targets(softmax(batch.logits, axis=0), batch.one_hot)


def given_probabilities(batch: Batch) -> Claims:
    """A caller who gives probabilities for logits, and computes rightly from them."""
    return of_targets(batch.logits, batch.one_hot)


def named(name: str, program: Program) -> Program:
    """The program with one of its claims alone."""
    return lambda batch: {name: program(batch)[name]}


OBJECTIVES = (SOFTMAX, SIGMOID, TEXTBOOK)
