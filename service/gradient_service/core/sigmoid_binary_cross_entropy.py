"""Sigmoid with binary cross-entropy, E = −Σ_j w_j [c_j log p_j + (1−c_j) log(1−p_j)], classes independent.

Per element: s = logit / T with its rounding error ρ, z = exp(−|s|), p = 1/(1+z) for s > 0, else z/(1+z).
"""

import numpy as np

from gradient_service.core.blocks import Array, first_largest, row_sum
from gradient_service.core.records import record
from gradient_service.core.scaled import Scaled
from gradient_service.core.softmax import LIFT, TINY_SUM, lowered, shift
from gradient_service.core.targets import TargetRows


@record()
class SigmoidElements:
    """A block's sigmoids with every part kept that a later formula needs; arrays (K, rows)."""

    temperature: float
    """T."""
    top: Array
    """The first class of the largest logit, (rows,)."""
    score: Array
    """s; −∞ for a masked class."""
    is_positive: Array
    """Whether the logit is > 0."""
    decay: Array
    """z = exp(−|s|)."""
    excess: Array | None
    """What rounding left out of |s|; None when it is not compensated."""

    @property
    def growth(self) -> Scaled:
        """Return 1/z = exp(|s|)."""
        return Scaled.exponential(np.abs(self.score), self.excess)

    @property
    def lesser(self) -> Array:
        """Return z/(1+z), the smaller of p and 1 − p."""
        return self.decay / (1 + self.decay)

    @property
    def probabilities(self) -> Array:
        """Return p."""
        return np.where(self.is_positive, 1 / (1 + self.decay), self.lesser)


def sigmoid_elements(logits: Array, temperature: float, *, compensated: bool) -> SigmoidElements:
    """Compute the parts from (K, rows) logits, −∞ for masked classes."""
    top, is_positive = first_largest(logits), logits > 0  # where the quotient vanishes, too
    score, remainder = shift(logits, np.zeros(1, logits.dtype), temperature, compensated=compensated)
    decay, excess = np.exp(-np.abs(score)), None
    if remainder is not None:
        excess = np.where(is_positive, remainder, -remainder)
        decay -= decay * excess
    return SigmoidElements(temperature, top, score, is_positive, decay, excess)


@record()
class SigmoidBinaryCrossEntropy:
    """The sigmoid objective on one block of rows."""

    elements: SigmoidElements
    targets: TargetRows

    row_weight = 1.0

    @property
    def temperature(self) -> float:
        """Return T."""
        return self.elements.temperature

    @property
    def powers(self) -> Array:
        """Return −|s|, (K, rows)."""
        return 0 - np.abs(self.elements.score)

    @property
    def top(self) -> Array:
        """Return the predicted class, (rows,)."""
        return self.elements.top

    @property
    def probabilities(self) -> Array:
        """Return p, (K, rows)."""
        return self.elements.probabilities

    def is_correct(self) -> Array:
        """Return where s > 0 exactly where c > 1/2, in every unmasked class; (rows,)."""
        agrees = self.elements.is_positive == (self.targets.given > 0.5)  # noqa: PLR2004  one half is the rule
        return (agrees if self.targets.mask is None else agrees | ~self.targets.mask).all(axis=0)

    def losses(self) -> Array:
        """E = Σ_j w_j [|s_j| · (1−c_j if s_j > 0 else c_j) + log1p(z_j)], (rows,)."""
        terms = self._distances(self.elements.score) + np.log1p(self.elements.decay)
        losses = row_sum(self._weighted(terms))
        is_tiny = losses < TINY_SUM[losses.dtype.itemsize]
        return np.where(is_tiny, self._tiny_losses(), losses) if is_tiny.any() else losses

    def gradient(self, factor: Scaled, out: Array | None = None) -> Array:
        """∂E/∂s = w (p − c), as w [(1−c) − z/(1+z)] for s > 0, else w [z/(1+z) − c], times the factor; (K, rows)."""
        targets, lesser = self.targets.given, self.elements.lesser
        differences = np.where(self.elements.is_positive, (1 - targets) - lesser, lesser - targets)
        return factor.scale(self._weighted(differences), out)

    def loss_wrt_probabilities(self, factor: Scaled) -> Array:
        """∂E/∂p = w [−c/p + (1−c)/(1−p)] times the factor: the reciprocals are 1 + z and (1 + z)/z; (K, rows)."""
        near = Scaled.of(1 + self.elements.decay)
        far = near.times(self.elements.growth)
        targets, is_positive = self.targets.given, self.elements.is_positive
        weighted = factor.times(self.targets.weights)
        common = weighted.times(near).times(np.where(is_positive, targets, 1 - targets))
        rare = weighted.times(far).times(np.where(is_positive, 1 - targets, targets))
        return self._unmasked(rare.minus(common) * np.where(is_positive, 1, -1))

    def jacobian(self) -> Array:
        """∂p_i/∂s_j = p_i (1−p_i) on the diagonal, 0 off it; (rows, K, K)."""
        num_classes, rows = self.elements.score.shape
        matrices = np.zeros((rows, num_classes, num_classes), self.elements.score.dtype)
        diagonal = np.arange(num_classes)
        matrices[:, diagonal, diagonal] = self._variance().T
        return matrices

    def gradient_diagonal_only(self, factor: Scaled) -> Array:
        """The Jacobian is diagonal: the gradient itself, times the factor; (K, rows)."""
        return self.gradient(factor)

    def hessian_diagonal(self) -> Array:
        """∂²E/∂s² = w p (1−p), (K, rows)."""
        return self._weighted(self._variance())

    def _variance(self) -> Array:
        return self.elements.lesser / (1 + self.elements.decay)

    def _tiny_losses(self) -> Array:
        """The same, with z_j exp(LIFT) of the z_j that vanish, for which log1p(z_j) = z_j, added up and scaled once."""
        score, decay, excess = self.elements.score, self.elements.decay, self.elements.excess
        lifted = np.exp(score.dtype.type(LIFT[score.dtype.itemsize]) - np.abs(score))
        if excess is not None:
            lifted -= lifted * excess
        is_vanishing = decay < TINY_SUM[decay.dtype.itemsize]
        others = self._distances(score) + np.where(is_vanishing, 0, np.log1p(decay))
        vanishing = np.where(is_vanishing, lifted, 0)
        return lowered(row_sum(self._weighted(vanishing))) + row_sum(self._weighted(others))

    def _distances(self, score: Array) -> Array:
        targets = self.targets.given
        return _product(np.where(self.elements.is_positive, 1 - targets, targets), np.abs(score))

    def _weighted(self, terms: Array) -> Array:
        """Return w_j times the terms, 0 for a masked class or a weight 0."""
        if self.targets.class_weights is not None:
            terms = _product(self.targets.class_weights, terms)
        return self._unmasked(terms)

    def _unmasked(self, terms: Array) -> Array:
        if self.targets.mask is not None:
            np.copyto(terms, 0.0, where=~self.targets.mask)
        return terms


def _product(factor: Array, terms: Array) -> Array:
    """Return factor × terms, 0 where the factor is 0 even if the term is infinite."""
    products = np.asanyarray(factor * terms)
    np.copyto(products, 0.0, where=np.broadcast_to(factor == 0, products.shape))
    return products
