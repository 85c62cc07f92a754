"""The binary formula summed over softmax outputs, E = −Σ_j w_j [c_j log p_j + (1−c_j) log(1−p_j)].

Per row, with the notation of `softmax.py`; p' is the softmax of the row without its top class k, so that
p_i p_k / (1 − p_k) = p_k p'_i is of ordinary size however close p_k is to 1.
"""

from dataclasses import replace

import numpy as np

from gradient_service.core.blocks import Array, put, row_sum, take
from gradient_service.core.records import record
from gradient_service.core.scaled import FAR, Scaled
from gradient_service.core.softmax import (
    SoftmaxRows,
    complement_of_probabilities,
    log_probabilities,
    reciprocal_of_probabilities,
    softmax_rows,
)
from gradient_service.core.softmax_objective import SoftmaxObjective
from gradient_service.core.targets import TargetRows, sum_of_products


def without_top(rows: SoftmaxRows, logits: Array) -> SoftmaxRows:
    """Return the softmax of each row without its top class; of a row that has no other class, the row's own."""
    others = logits.copy(order="K")
    put(others, rows.top_position, -np.inf)
    has_others = np.isfinite(others).any(axis=0)
    put(others, rows.top_position, np.where(has_others, -np.inf, rows.top_logit))
    return softmax_rows(others, rows.temperature, compensated=rows.remainder is not None)


def _weighted_differences(rows: SoftmaxRows, targets: TargetRows) -> Array:
    """D_i = w_i (p_i − c_i), at k w_k [(1−c_k) − q]; (K, rows)."""
    top = rows.top_position
    differences = rows.probabilities - targets.smoothed()
    at_top = take(targets.complement(), top) - rows.rest
    put(differences, top, np.where(rows.rest < 0.5, at_top, take(differences, top)))  # noqa: PLR2004  p_k > 1/2
    return differences * targets.weights


@record()
class SoftmaxBinaryCrossEntropy(SoftmaxObjective):
    """The textbook binary objective over softmax on one block of rows."""

    others: SoftmaxRows
    """The softmax of each row without its top class."""

    row_weight = 1.0

    @property
    def powers(self) -> Array:
        """Return d and d', (2K, rows): p' is ordinary where p vanishes, or vanishes where a weight brings it back."""
        return np.concatenate([self.rows.difference, self.others.difference])

    def losses(self) -> Array:
        """E = −Σ_j [w_j c_j log p_j + w_j (1−c_j) log(1−p_j)], (rows,)."""
        return self._cross_entropy(log_probabilities(self.rows), self._log_complement())

    def gradient(self, factor: Scaled, out: Array | None = None) -> Array:
        """∂E/∂s_i = D_i − p_i Σ_{j≠i} g_j, with D_j = w_j (p_j − c_j) and g_j = D_j / (1−p_j), times the factor.

        The sum over j ≠ i is G − g_i + g_k, with G = Σ_{j≠k} g_j, and p_i g_k = D_k p'_i. That D_j is 0 exactly where
        p_j = c_j makes a row that agrees with its targets exactly 0, whatever multiplies it. An element depends on p_j
        through four factors, whose roundings would add up. (K, rows).
        """
        rows = self.rows.with_digits_to_spare()
        top = rows.top_position
        direct = _weighted_differences(rows, replace(self.targets, dtype=rows.rest.dtype))
        pulls = direct / complement_of_probabilities(rows)
        put(pulls, top, 0.0)
        through_others = np.subtract(row_sum(pulls), pulls, out=pulls)
        through_others *= rows.probabilities
        through_top = take(direct, top) * self.others.probabilities
        put(through_top, top, 0.0)
        direct -= through_others
        direct -= through_top
        return factor.scale(direct, out)

    def loss_wrt_probabilities(self, factor: Scaled) -> Array:
        """∂E/∂p_j = w_j [−c_j/p_j + (1−c_j)/(1−p_j)] times the factor, 0 for a masked class; (K, rows)."""
        weighted = factor.times(self.targets.weights)
        over_p = weighted.times(reciprocal_of_probabilities(self.rows)).times(self.targets.smoothed())
        over_complement = weighted.times(self._reciprocal_of_complement()).times(self.targets.complement())
        difference = over_complement.minus(over_p)
        if self.targets.mask is not None:  # a masked class has no probability to differentiate by
            np.copyto(difference, 0.0, where=~self.targets.mask)
        return difference

    def gradient_diagonal_only(self, factor: Scaled) -> Array:
        """∂E/∂p_i · p_i (1−p_i) = D_i times the factor, (K, rows)."""
        return factor.scale(_weighted_differences(self.rows, self.targets))

    def _log_complement(self) -> Array:
        """log(1−p_j) = log1p(−p_j); at k −log1p(1/σ), or d' + log σ' − L where σ is close to leaving the range."""
        values = np.log1p(-self.rows.probabilities)
        second = take(self.rows.difference, self.others.top_position)
        if self.rows.remainder is not None:
            second += take(self.rows.remainder, self.others.top_position)
        far = (second + self.others.log_total) - self.rows.log_total
        near = -np.log1p(1 / self.rows.rest_sum)
        put(values, self.rows.top_position, np.where(second < -FAR[values.dtype.itemsize], far, near))
        return values

    def _reciprocal_of_complement(self) -> Scaled:
        """Return 1/(1−p_j), at k S/σ = S exp(−d') (1−ρ') / S', with S' the sum of the row without k; (K, rows)."""
        second = take(self.rows.difference, self.others.top_position)
        (total, left_out), (of_others, left_out_of_others) = self.rows.total(), self.others.total()
        remainder = None
        if self.rows.remainder is not None:
            remainder = (left_out - left_out_of_others) - take(self.rows.remainder, self.others.top_position)
        at_top = Scaled.exponential(-second, remainder).times(total / of_others)
        reciprocal = Scaled.of(1 / complement_of_probabilities(self.rows))
        put(reciprocal.mantissa, self.rows.top_position, at_top.mantissa)
        put(reciprocal.exponent, self.rows.top_position, at_top.exponent)
        return reciprocal

    def _cross_entropy(self, log_p: Array, log_complement: Array) -> Array:
        weights = self.targets.class_weights
        against_class = sum_of_products(self.targets.complement(), log_complement, weights)
        return 0 - (self.targets.weighted_sum(log_p) + against_class)
