"""How a batch may be computed: a recipe, every step of which can go wrong.

Claims are explained by recipes: a mistake is one that differs from the right one in a step or two. `plain.py` follows
them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from math import inf

import numpy as np
from numpy.typing import DTypeLike

from gradient_service.core.blocks import Array, Rows
from gradient_service.core.cached import cached
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Denominator, Objective

BLOCK_ELEMENTS = 32 * 1024
"""A quarter of a megabyte of float64: with the arrays made of it, it stays in a cache."""


class Floor(Enum):
    """How probabilities are kept away from 0 before their logarithm is taken."""

    NONE = "none"
    CLIPPED = "clipped"
    """To [δ, 1−δ]; where that changes something, nothing is left of the derivative."""
    RAISED = "raised"
    """To δ from below only: max(p, δ)."""
    ADDED = "added"
    """log(p + δ)."""
    OF_PYTORCH = "of_pytorch"
    """As its binary cross-entropy of probabilities: logarithms from −100 up, and p (1−p) of the derivative from δ."""


class Layout(Enum):
    """Where element (n, k) of an output lies."""

    ROWS = "rows"
    """At n K + k."""
    CLASSES = "classes"
    """At k N + n: class by class."""
    UNTURNED = "unturned"
    """Where turning back an array that lay row by row moves it."""

    def turned_back(self, values: Array) -> Array:
        """Return an output (N, K) with its elements where they belong."""
        rows, num_classes = values.shape
        if self is Layout.CLASSES:
            return values.reshape(num_classes, rows).T
        return values.T.reshape(rows, num_classes) if self is Layout.UNTURNED else values


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A batch as it is read, and what is done with it."""

    logits: Array
    """(N, K)."""
    read: Callable[[Array], Array] = lambda logits: logits
    """What is done with logits as they are read."""
    labels: Array | None
    """(N,); one out of range stands for a target row of zeros."""
    targets: Array | None
    """(N, K)."""
    mask: Callable[[Rows], Array] | None = None
    """Returns which classes take part in some rows, broadcastable to (rows, K)."""
    is_mask_late: bool = False
    """Whether masked classes are part of the softmax, and taken out after it."""
    is_mask_zero: bool = False
    """Whether masked classes have the logit 0."""
    ignored: Array | None = None
    """(N,), or None."""
    class_weights: Array | None = None
    sample_weights: Array | None = None
    upstream: Array | None = None
    denominator: float = 1.0
    """What the sum over rows is divided by; 1 where it is not."""
    is_mean: bool = False
    """Whether it is divided by anything."""
    is_over_weights: bool = False
    """Whether that is the sum of the weights of the rows, and goes with them."""
    shift: int = 0
    """By how many classes the targets are off."""
    smoothing: float = 0.0
    smooths_others: bool = False
    """Whether the smoothed share goes to the other classes alone."""
    temperature: float = 1.0
    divides_first: bool = False
    """Whether the largest score is taken off the quotients, as most write it: far from 0 that costs digits."""
    objective: Objective = Objective.SOFTMAX_CROSS_ENTROPY
    is_diagonal: bool = False
    """Whether only the diagonal of the Jacobian is kept."""
    is_applied_twice: bool = False
    """Whether the softmax is taken of the probabilities."""
    is_over_batch: bool = False
    """Whether softmax runs over the rows of a class."""
    is_by_hand: bool = False
    """Whether the derivative is p − c of whatever came out, and not that of what was done."""
    floor: Floor = Floor.NONE
    least: float = 0.0
    """δ of the floor."""
    layout: Layout = Layout.ROWS
    """How gradient and probabilities lie in what is taken for (N, K)."""

    def is_floor_reached(self, least: float, largest: float) -> bool:
        """Return whether the floor changes probabilities between these, but for roundings."""
        if self.floor is Floor.CLIPPED:
            return not (self.least <= least and largest <= 1 - self.least)
        return not self.least <= least if self.floor is Floor.RAISED else self.floor is not Floor.NONE

    @property
    def batch_size(self) -> int:
        """N."""
        return int(self.logits.shape[0])

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.logits.shape[1])

    @property
    def is_softmax(self) -> bool:
        """Whether classes exclude each other."""
        return self.objective is not Objective.SIGMOID_BINARY_CROSS_ENTROPY

    @property
    def is_binary(self) -> bool:
        """Whether each class has a loss of its own."""
        return self.objective is not Objective.SOFTMAX_CROSS_ENTROPY

    @cached
    def column_totals(self) -> Array:
        """log Σ_n exp(s) of each class, (K,)."""
        top = np.max([self.scores(rows).max(axis=0) for rows in self.blocks()], axis=0)
        return top + np.log(sum(np.exp(self.scores(rows) - top).sum(axis=0) for rows in self.blocks()))

    @cached
    def column_weights(self) -> Array:
        """Σ of the weighted targets of each class, with the factors of their rows, (K,)."""
        return np.sum([self.factor(rows) @ self.target_rows(rows) for rows in self.blocks()], axis=0) * self.weights

    @property
    def weights(self) -> Array | float:
        """w, (K,) or 1."""
        return 1.0 if self.class_weights is None else self.class_weights

    @cached
    def weight_total(self) -> float:
        """Σ r V, the sum of the weights of the rows before any smoothing."""
        by_samples = self.by_samples(slice(None))
        if not self.is_softmax:
            return float(by_samples.sum())
        weights = np.broadcast_to(np.asarray(self.weights, np.float64), self.num_classes)
        if self.targets is not None:
            return float(by_samples @ (self.targets @ np.roll(weights, -self.shift)))
        labels = np.asarray(self.labels)
        is_class = (labels >= 0) & (labels < self.num_classes)
        return float((by_samples * is_class * weights[np.where(is_class, labels, 0)]).sum())

    def blocks(self) -> Iterator[slice]:
        """Yield slices of all rows, of some ten thousand elements each."""
        rows = max(1, BLOCK_ELEMENTS // self.num_classes)
        for start in range(0, self.batch_size, rows):
            yield slice(start, start + rows)

    def weighed_again(self) -> "Recipe":
        """Return the recipe with the denominator that its weights make, where they make it."""
        return replace(self, denominator=self.weight_total) if self.is_over_weights else self

    def scores(self, rows: Rows, dtype: DTypeLike = np.float64) -> Array:
        """Return s = logits / T of some rows, (rows, K), −∞ where a class takes no part."""
        divided = self._undivided(rows, dtype) / self.temperature
        if self.is_softmax and np.isinf(divided.max(axis=1)).any():  # the differences alone count
            return self.differences(rows, dtype)
        return divided

    def differences(self, rows: Rows, dtype: DTypeLike = np.float64) -> Array:
        """Return s − max s of some rows, (rows, K), taken of the logits and then divided."""
        scores = self._undivided(rows, dtype)
        top = scores.max(axis=1, keepdims=True)
        apart = scores - top
        if self.temperature == 1:
            return apart
        is_beyond = np.isinf(apart) & np.isfinite(scores)
        return np.where(is_beyond, scores / self.temperature - top / self.temperature, apart / self.temperature)

    def tops(self, rows: Rows) -> Array:
        """Return max s of some rows, (rows,)."""
        return self._undivided(rows, np.float64).max(axis=1) / self.temperature

    def _undivided(self, rows: Rows, dtype: DTypeLike) -> Array:
        scores = self.read(self.logits[rows]).astype(dtype, copy=False)
        if self.mask is not None and (self.is_mask_zero or not self.is_mask_late):
            scores = np.where(self.mask(rows), scores, 0.0 if self.is_mask_zero else -np.inf)
        return scores

    def by_samples(self, rows: Rows) -> Array:
        """Return r of some rows, 0 for ignored ones, (rows,)."""
        weights = np.ones(len(self.logits[rows])) if self.sample_weights is None else self.sample_weights[rows]
        return weights if self.ignored is None else np.where(self.ignored[rows], 0.0, weights)

    def factor(self, rows: Rows, dtype: DTypeLike = np.float64) -> Array:
        """Return what multiplies the derivatives of some rows, (rows,), but 1/T."""
        factor = self.by_samples(rows).astype(dtype, copy=False) / self.denominator
        return factor if self.upstream is None else factor * self.upstream[rows]

    def target_rows(self, rows: Rows) -> Array:
        """Return c of some rows, smoothed, (rows, K); booleans where they are one-hot rows of labels."""
        if self.targets is not None:
            given = self.targets[rows]
        else:
            given = np.equal(np.asarray(self.labels)[rows][:, np.newaxis], np.arange(self.num_classes))
        given = np.roll(given, self.shift, axis=1) if self.shift else given
        if not self.smoothing:
            return given
        mask = None if self.mask is None else self.mask(rows)
        count = self.num_classes if mask is None else mask.sum(axis=1, keepdims=True)
        shared = self.smoothing * ((1.0 - given) / np.maximum(count - 1, 1) if self.smooths_others else 1 / count)
        return (1 - self.smoothing) * given + (shared if mask is None else np.where(mask, shared, 0.0))


def right_recipe(
    scores: Scores, supervision: Supervision, reduction: ReductionRule, denominator: float | None
) -> Recipe:
    """Return how a question is to be computed.

    Args:
        scores: the logits, float64, and how they are read.
        supervision: what they are compared with.
        reduction: how losses become one number.
        denominator: D; None without a mean.
    """
    return Recipe(
        logits=scores.logits,
        labels=None
        if supervision.labels is None
        else supervision.labels.astype(np.int64),  # mistakes count on from them
        targets=supervision.targets,
        mask=(lambda rows: np.asarray(scores.mask(rows)).T) if scores.is_masked else None,
        ignored=supervision.ignored(),
        class_weights=supervision.class_weights,
        sample_weights=supervision.sample_weights,
        upstream=reduction.upstream,
        denominator=1.0 if denominator is None else denominator or inf,  # a mean over nothing is 0
        is_mean=denominator is not None,
        is_over_weights=denominator is not None
        and reduction.denominator is Denominator.WEIGHTS
        and reduction.denominator_value is None,
        smoothing=supervision.label_smoothing,
        temperature=scores.temperature,
        objective=supervision.objective,
    )
