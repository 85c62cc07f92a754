"""One request as the reference sees it: its fields under the service's names, read as exact numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from mpmath import mp

from tests.reference.objectives import OBJECTIVES, Objective, Target
from tests.reference.rows import ZERO, Array, Row, SigmoidRow, SoftmaxRow, exact_array

SIGMOID = "sigmoid_binary_cross_entropy"


class NoAnswerError(ValueError):
    """The question has no finite answer; `slug` names the service's reason for refusing it."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(f"{slug}: {detail}")
        self.slug = slug


@dataclass(frozen=True, kw_only=True)
class Question:
    """The fields of a request that bear on numbers, with the service's names, meanings and defaults.

    Logits may also be an object array of mpf, for exact finite differences. A logit of −∞ is masked.
    """

    logits: Array
    labels: Any = None
    targets: Any = None
    objective: str = "softmax_cross_entropy"
    reduction: str = "mean"
    denominator: str = "weights"
    denominator_value: Any = None
    class_weights: Any = None
    sample_weights: Any = None
    ignore_label: int | None = None
    label_smoothing: float = 0.0
    class_mask: Any = None
    element_mask: Any = None
    temperature: Any = 1.0
    upstream: Any = None
    curvature: str = "exact"

    @property
    def batch_size(self) -> int:
        """N."""
        return int(self.logits.shape[0])

    @property
    def num_classes(self) -> int:
        """K."""
        return int(self.logits.shape[1])

    @cached_property
    def mask(self) -> Array:
        """Booleans (N, K), true = the class takes part in the row."""
        mask = np.asarray(self.logits != -np.inf, dtype=bool)
        for given in (self.class_mask, self.element_mask):
            mask = mask if given is None else mask & np.asarray(given, dtype=bool)
        if not mask.any(axis=1).all():
            raise NoAnswerError("undefined-row", "every class of a row is masked")
        return mask

    @cached_property
    def counted(self) -> Array:
        """Booleans (N,), true = the row is not ignored."""
        if self.ignore_label is None:
            return np.ones(self.batch_size, dtype=bool)
        return np.asarray(np.asarray(self.labels) != self.ignore_label)

    @cached_property
    def sample_weight_row(self) -> Array:
        """The sample weights r (N,)."""
        return exact_array(np.ones(self.batch_size) if self.sample_weights is None else self.sample_weights)

    @cached_property
    def class_weight_row(self) -> Array:
        """The class weights w (K,)."""
        return exact_array(np.ones(self.num_classes) if self.class_weights is None else self.class_weights)

    def given_target(self, n: int) -> Array:
        """The row c of example n before smoothing, as floats (K,)."""
        if self.targets is not None:
            return np.asarray(np.asarray(self.targets)[n])
        target = np.zeros(self.num_classes)
        target[int(self.labels[n])] = 1.0
        return target

    def smoothed_target(self, n: int) -> Target:
        """(1 − ε) c + ε/K' of row n, over its unmasked classes."""
        distinct, places = np.unique(self.given_target(n)[self.mask[n]], return_inverse=True)
        given = exact_array(distinct)
        epsilon = mp.mpf(self.label_smoothing)
        share = epsilon / len(places)
        # 1 − c after smoothing is written so that a small ε is not lost beside 1.
        complements = (1 - given) * (1 - epsilon) + (epsilon - share)
        return Target((given * (1 - epsilon) + share)[places], complements[places])

    def row(self, n: int) -> Row:
        """The probabilities of row n, at the caller's working precision."""
        kind = SigmoidRow if self.objective == SIGMOID else SoftmaxRow
        return kind(self.logits[n], self.mask[n], self.temperature)

    def objective_of(self, n: int, row: Row) -> Objective:
        """Row n under the objective, at the caller's working precision."""
        weights = self.class_weight_row[self.mask[n]]
        return OBJECTIVES[self.objective](row, self.smoothed_target(n), weights)

    def row_loss(self, n: int, objective: Objective) -> Any:
        """The weighted loss r E of row n; refused if infinite, 0 under sample weight 0."""
        if not self.sample_weight_row[n]:
            return ZERO
        hidden = ~self.mask[n]
        lost_mass = self.class_weight_row[hidden] * self.given_target(n)[hidden]
        loss = objective.loss()
        keeps_given = self.label_smoothing < 1  # at 1 nothing is left of the target as given
        if (lost_mass.any() and keeps_given) or not mp.isfinite(loss):
            raise NoAnswerError("infinite-loss", f"row {n}")
        return self.sample_weight_row[n] * loss

    def is_correct(self, n: int, row: Row) -> bool:
        """Whether row n decides for its label or first largest target (sigmoid: for every unmasked class)."""
        target = self.given_target(n)
        if self.objective == SIGMOID:
            live = self.mask[n]
            return bool(((self.logits[n][live] > 0) == (target[live] > 0.5)).all())
        return row.predicted_label == int(np.argmax(target))
