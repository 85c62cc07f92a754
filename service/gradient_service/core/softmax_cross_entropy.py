"""Softmax with cross-entropy, E = −Σ_j w_j c_j log p_j: each loss beside its gradient by the logits.

Per row, with the notation of `softmax.py`: t the label, c the target row times the class weights, W = Σ_j c_j as
summed. The weight of a sample, and that of a hard label's class, multiply the whole row and are no part of this.
"""

import numpy as np

from gradient_service.core.blocks import Array, put, take
from gradient_service.core.records import record
from gradient_service.core.scaled import Scaled
from gradient_service.core.softmax import (
    SoftmaxRows,
    complement_of_probabilities,
    reciprocal_of_probabilities,
)
from gradient_service.core.softmax_objective import SoftmaxObjective
from gradient_service.core.targets import TargetRows, sum_of_products


def label_losses(rows: SoftmaxRows, where: Array) -> Array:
    """E = L − d_t − ρ_t, with the memory positions of the labels."""
    losses = rows.log_total - take(rows.difference, where)
    return losses if rows.remainder is None else losses - take(rows.remainder, where)


def label_gradient(rows: SoftmaxRows, labels: Array, where: Array, factor: Scaled, out: Array | None = None) -> Array:
    """∂E/∂s_j = p_j off the label; at the label −q if t = k, else p_t − 1; times the factor."""
    at_label = np.where(labels == rows.top, 0 - rows.rest, rows.probabilities_at(where) - 1)
    gradient = rows.probabilities_times(factor, out)
    put(gradient, where, factor.scale(at_label))
    return gradient


def smoothed_label_losses(rows: SoftmaxRows, targets: TargetRows) -> Array:
    """E = (1−ε)(a − s_t) + (ε/K') Σ_j (a − s_j) + L."""
    distance = -take(rows.difference, targets.label_positions)
    kept = targets.kept * distance if targets.smoothing < 1 else np.zeros_like(distance)
    return kept - sum_of_products(targets.shares(), rows.difference) + rows.log_total


def smoothed_label_gradient(rows: SoftmaxRows, targets: TargetRows, labels: Array) -> Array:
    """∂E/∂s_j = p_j − ε/K' off the label; at it (ε − ε/K') − q if t = k and p_k > 1/2, else p_t − ((1−ε) + ε/K')."""
    smoothing = targets.dtype.type(targets.smoothing)
    gradient = rows.probabilities - targets.shares()
    where = targets.label_positions
    is_dominant = (labels == rows.top) & (rows.rest < 0.5)  # noqa: PLR2004  p_k > 1/2
    fused = (smoothing - targets.share) - rows.rest
    plain = take(rows.probabilities, where) - (targets.kept + targets.share)
    put(gradient, where, np.where(is_dominant, fused, plain))
    if targets.mask is not None:  # at ε = 1 nothing of a label on a masked class is left
        np.copyto(gradient, 0.0, where=~targets.mask)
    return gradient


def target_losses(rows: SoftmaxRows, targets: TargetRows) -> Array:
    """E = W L − Σ_j w_j c_j d_j − Σ_j w_j c_j ρ_j, a term with w_j c_j = 0 being 0 even where d_j = −∞."""
    losses = targets.total() * rows.log_total - targets.weighted_sum(rows.difference)
    return losses if rows.remainder is None else losses - targets.weighted_sum(rows.remainder)


def target_gradient(rows: SoftmaxRows, targets: TargetRows) -> Array:
    """∂E/∂s_j = W p_j − c_j; at k, when c_k > 0 and p_k > 1/2 or c_k = W, (W − c_k) − W q."""
    (weight, left_out), weighted = targets.total_and_rest(), targets.weighted()
    gradient = weight * rows.probabilities - weighted
    at_top = take(weighted, rows.top_position)
    is_dominant = (at_top > 0) & ((rows.rest < 0.5) | (at_top == weight))  # noqa: PLR2004  p_k > 1/2
    fused = (weight - at_top + left_out) - weight * rows.rest
    put(gradient, rows.top_position, np.where(is_dominant, fused, take(gradient, rows.top_position)))
    return gradient


@record()
class SoftmaxCrossEntropy(SoftmaxObjective):
    """The default objective on one block: picks the formula for the kind of target."""

    @property
    def row_weight(self) -> Array | float:
        """Return the class weight that multiplies the whole row, (rows,): that of a hard label, else 1."""
        weights = self.targets.class_weights
        return weights[self.targets.labels, 0] if self.targets.is_hard and weights is not None else 1.0

    def losses(self) -> Array:
        """Return E, (rows,)."""
        labels = self.targets.labels
        if labels is not None and self.targets.is_hard:
            return label_losses(self.rows, self.targets.label_positions)
        if labels is not None and self.targets.class_weights is None:
            return smoothed_label_losses(self.rows, self.targets)
        return target_losses(self.rows, self.targets)

    def gradient(self, factor: Scaled, out: Array | None = None) -> Array:
        """Return ∂E/∂s times the factor, (K, rows), in `out` or a new array."""
        labels = self.targets.labels
        if labels is not None and self.targets.is_hard:
            return label_gradient(self.rows, labels, self.targets.label_positions, factor, out)
        if labels is not None and self.targets.class_weights is None:
            return factor.scale(smoothed_label_gradient(self.rows, self.targets, labels), out)
        return factor.scale(target_gradient(self.rows, self.targets), out)

    def loss_wrt_probabilities(self, factor: Scaled) -> Array:
        """Return ∂E/∂p_j = −c_j / p_j times the factor, right where p_j itself underflows; (K, rows)."""
        quotients = factor.times(reciprocal_of_probabilities(self.rows)).times(self.targets.smoothed())
        if not self.targets.is_hard:
            quotients = quotients.times(self.targets.weights)
        return 0 - quotients.value

    def gradient_diagonal_only(self, factor: Scaled) -> Array:
        """Return ∂E/∂p_i · p_i (1 − p_i) = −c_i (1 − p_i) times the factor, right where c_i (1 − p_i) underflows."""
        return 0 - Scaled.of(self._row_targets()).times(complement_of_probabilities(self.rows)).times(factor).value

    def hessian_diagonal(self) -> Array:
        """Return ∂²E/∂s_i² = W p_i (1 − p_i), (K, rows)."""
        variance = self.rows.probabilities * complement_of_probabilities(self.rows)
        return variance if self.targets.is_hard else self.targets.total() * variance

    def _row_targets(self) -> Array:
        """Return c, (K, rows), without the class weight that multiplies the whole row."""
        return self.targets.unsmoothed() if self.targets.is_hard else self.targets.weighted()
