"""A recipe followed with plain NumPy, as most would write it: no second reference, and not meant to be one.

Per row: s the scores, p the probabilities, c the target row, w the class weights, W = Σ w c. Targets may be above 1,
and what mistakes make of them below 0: sizes are of magnitudes.
"""

import sys
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from gradient_service.core.blocks import WIDE, Array, Rows
from gradient_service.core.cached import cached
from gradient_service.core.checking.claims import NumberType
from gradient_service.core.checking.distributions import Distribution, floored, sigmoid, softmax
from gradient_service.core.checking.recipes import Floor, Recipe

FLOAT64: np.dtype[np.floating] = np.dtype(np.float64)
LARGEST = sys.float_info.max
"""Stands for a size beyond the range of float64: one of ∞ would let any claim pass."""
DOUBT = 4
"""Units in the last place that p of the top class errs, and √K more that its sum does."""
FAR = 16384.0
"""No score counts as farther from 0 than this."""
HALF = 0.5
"""Of a term: so much of it may be wrong."""
Sized = tuple[Array, Array]
"""An output, and the sizes that its errors are measured by."""


@dataclass(frozen=True)
class PlainRows:
    """Some rows by a recipe, in a dtype; each output is made when it is asked for."""

    recipe: Recipe
    rows: Rows
    dtype: np.dtype[np.floating] = FLOAT64

    def doubt(self, name: str, of: NumberType) -> Array | float:
        """Return how far `losses` or `gradient` of binary formulas may be off more, as they go through 1 − p.

        As most write it, 1 − p has the error of p: the smaller it is, the fewer digits have its logarithm and 1/(1−p).
        At most half of a term, and nothing where 1 − p has no digit: a term that is left out is no rounding.
        """
        recipe = self.recipe
        if not recipe.is_binary or name == "probabilities":
            return 0.0
        found, epsilon = self._floored[0], float(np.finfo(of.computed_in).eps) * (DOUBT + sqrt(recipe.num_classes))
        share = epsilon / found.complements
        share = np.where(share > 1, 0, np.minimum(share, HALF))
        missed = self._weights * np.abs(1 - self._targets) * found.values * share
        if name == "losses":
            return recipe.by_samples(self.rows) * missed.sum(axis=1)
        if recipe.is_diagonal or not recipe.is_softmax:
            return 0.0  # 1 − p cancels
        return self._spread_by_top(missed, found, epsilon)

    def _spread_by_top(self, missed: Array, found: Distribution, epsilon: float) -> Array:
        """Return how the error at the top class goes on to all: by p_i / (1 − p_top) where c = 0, else by p_i.

        (p − c) / (p (1−p)) of the label itself has nothing left where p is rounded to 1.
        """
        recipe, top = self.recipe, found.values.argmax(axis=1)[:, np.newaxis]
        complement, missed = (np.take_along_axis(each, top, axis=1) for each in (found.complements, missed))
        of_targets = np.take_along_axis(self._weights * np.abs(self._targets), top, axis=1)
        lost = of_targets * np.minimum(epsilon / complement, 1)
        shares = found.values / np.where(complement > 0, complement, 1)
        np.put_along_axis(shares, top, 1, axis=1)
        factor = np.abs(recipe.factor(self.rows, self._read_in) / recipe.temperature)[:, np.newaxis]
        return _product(factor * (missed + 2 * lost * complement), shares)

    def measures(self, name: str, of: NumberType) -> tuple[Array, Array | float]:
        """Return the sizes of an output's terms, and what they may be off more as they go through 1 − p.

        In the widest range where they leave that of float64: a size of ∞ would let any claim pass, one of 0 none.
        """
        if name == "probabilities":
            return np.zeros(1), 0.0
        sizes, doubt = self.output(name)[1], self.doubt(name, of)
        is_lost = name == "losses" and self.has_vanishing
        if (sizes < LARGEST).all() and np.isfinite(doubt).all() and not is_lost:
            return sizes, doubt
        wide = replace(self, dtype=WIDE)
        return wide.output(name)[1], wide.doubt(name, of)

    def output(self, name: str) -> Sized:
        """Return `losses` (rows,), `gradient` or `probabilities` (rows, K), and their sizes, of which none is ∞."""
        if name == "probabilities":
            return self._floored[0].values, self._floored[0].values
        values, sizes = self._losses() if name == "losses" else self._gradient()
        return values, np.minimum(sizes, np.finfo(self.dtype).max)

    def spread(self, of: NumberType) -> Array:
        """g, (rows,): the largest distance of a score from the largest whose exponential a type holds."""
        scores = self._scores
        far = scores.max(axis=1, keepdims=True) - scores if self.recipe.is_softmax else np.abs(scores)
        return np.where(far <= of.underflow, far, 0).max(axis=1, initial=0)

    def lost_far_off(self, of: NumberType) -> Array:
        """ε |max s|, (rows,): what is usual to lose of a number where scores lie far from 0, by x / T or log Σ exp.

        Up to `FAR`: beyond it nearly anything would be a rounding.
        """
        far = np.abs(self.recipe.tops(self.rows)) if self.recipe.is_softmax else np.zeros(1)
        return float(np.finfo(of.computed_in).eps) * np.minimum(far, FAR)

    @cached
    def _scores(self) -> Array:
        recipe = self.recipe
        is_shifted = recipe.is_softmax and not recipe.is_over_batch and not recipe.divides_first
        made = recipe.differences if is_shifted else recipe.scores
        return made(self.rows, self._read_in).astype(self.dtype, copy=False)

    @property
    def _read_in(self) -> np.dtype[np.floating]:
        """What scores and factors are made in, before they are rounded to the dtype."""
        return np.result_type(self.dtype, FLOAT64)

    @cached
    def _targets(self) -> Array:
        return self.recipe.target_rows(self.rows).astype(self.dtype, copy=False)

    @cached
    def _weights(self) -> Array:
        return np.asarray(self.recipe.weights, self.dtype)

    @cached
    def _first(self) -> Distribution:
        recipe, scores = self.recipe, self._scores
        if not recipe.is_softmax:
            return sigmoid(scores)
        if not recipe.is_over_batch:
            return softmax(scores, has_complements=recipe.is_binary)
        logs = scores - recipe.column_totals.astype(self.dtype)
        values = np.exp(logs)
        return Distribution(values, logs, 1 - values, np.log1p(-values))

    @property
    def extremes(self) -> tuple[float, float]:
        """The least and the largest probability before any is kept away from 0."""
        return float(self._unfloored.values.min()), float(self._unfloored.values.max())

    @cached
    def _unfloored(self) -> Distribution:
        recipe, found = self.recipe, self._first
        if recipe.is_applied_twice:
            found = softmax(found.values, has_complements=recipe.is_binary)
        if recipe.is_mask_late and recipe.mask is not None:
            found = replace(found, values=np.where(recipe.mask(self.rows), found.values, 0))
        return found

    @cached
    def _floored(self) -> tuple[Distribution, Array | float]:
        """The probabilities in the end, and what is left of the derivative of each logarithm."""
        recipe, found = self.recipe, self._unfloored
        return (found, 1.0) if recipe.floor is Floor.NONE else floored(recipe, found)

    def _losses(self) -> Sized:
        """E = −Σ w c log p, of binary objectives −Σ w (c log p + (1−c) log(1−p)); by max(E, W), or max(E, Σ w).

        Of terms with different signs the sizes count.
        """
        weights, targets, found = self._weights, self._targets, self._floored[0]
        weighted = weights * targets
        terms, total = _product(weighted, found.logs), np.abs(weighted)
        magnitudes = np.abs(terms)
        if self.recipe.is_binary:
            others = _product(weights * (1 - targets), found.complement_logs)
            terms, magnitudes = terms + others, magnitudes + np.abs(others)
            mask = self.recipe.mask
            total = np.broadcast_to(weights if mask is None else np.where(mask(self.rows), weights, 0), targets.shape)
        sizes = np.maximum(magnitudes.sum(axis=1), total.sum(axis=1))
        by_samples = self.recipe.by_samples(self.rows).astype(self.dtype)
        return _product(by_samples, 0 - terms.sum(axis=1)), _product(by_samples, sizes)

    @property
    def has_vanishing(self) -> bool:
        """Whether what a loss weighs has fewer digits than others on its way, and what follows may bring it back."""
        least, targets = np.finfo(self.dtype).smallest_normal, np.abs(self._targets)
        by_samples = self.recipe.by_samples(self.rows).astype(self.dtype)[:, np.newaxis]
        weighted = self._weights * targets
        is_something = (self._weights > 0) & (targets > 0) & (by_samples > 0)
        return bool((is_something & ((weighted < least) | (by_samples * weighted < least))).any())

    def _gradient(self) -> Sized:
        """∂E/∂s over T times the factor of the row; by max(W p, w c), or the magnitudes of the terms."""
        recipe, (found, kept) = self.recipe, self._floored
        factor = (recipe.factor(self.rows, self._read_in) / recipe.temperature).astype(self.dtype)[:, np.newaxis]
        weights = self._weights if recipe.floor is Floor.NONE else self._weights * kept
        if recipe.is_over_batch and not recipe.is_by_hand:
            spread_out = found.values * (recipe.column_weights / recipe.temperature).astype(self.dtype)
            weighted = factor * (weights * self._targets)
            return spread_out - weighted, np.maximum(np.abs(spread_out), np.abs(weighted))  # upstream has signs
        values, sizes = by_scores(recipe, found, self._targets, weights)
        if recipe.is_applied_twice and not recipe.is_by_hand:
            values, sizes = through_softmax(self._first.values, values, sizes)
        return _product(factor, values), _product(np.abs(factor), sizes)


def by_scores(recipe: Recipe, found: Distribution, targets: Array, weights: Array) -> Sized:
    """∂E/∂s: W p − w c; w (p − c) of sigmoids; both terms of the binary formula over softmax."""
    p = found.values
    if recipe.is_binary:
        if recipe.is_softmax and not recipe.is_diagonal:
            return _coupled(found, targets, weights)
        return weights * (p - targets), weights * np.maximum(p, np.abs(targets))
    weighted = weights * targets
    if recipe.is_diagonal:
        return weighted * (p - 1), np.maximum(np.abs(weighted) * p, np.abs(weighted))
    is_difference = recipe.is_by_hand and recipe.class_weights is None  # p − c, also where Σ c is not 1
    spread_out = p if is_difference else weighted.sum(axis=1, keepdims=True) * p
    return spread_out - weighted, np.maximum(np.abs(spread_out), np.abs(weighted))


def _coupled(found: Distribution, targets: Array, weights: Array) -> Sized:
    """w_i (p_i − c_i) − p_i Σ_{j≠i} g_j, g_j = w_j (−c_j + (1−c_j) p_j/(1−p_j)), the top class held out of the sum."""
    p, shares = found.values, found.shares
    negative, positive = weights * (1 - targets), weights * targets
    top = p.argmax(axis=1)[:, np.newaxis]
    if shares is None:
        shares = p / np.take_along_axis(found.complements, top, axis=1)
    of_top = np.take_along_axis(negative * p, top, axis=1) * shares  # the odds p/(1−p) of the top may overflow
    pulled = p * np.take_along_axis(positive, top, axis=1)
    parts = _product(negative, p / found.complements) - positive
    for each in (of_top, pulled, parts):
        np.put_along_axis(each, top, 0, axis=1)
    sums = parts.sum(axis=1, keepdims=True) - parts
    of_sums = p * np.abs(parts).sum(axis=1, keepdims=True)
    sizes = weights * (p + np.abs(targets)) + of_sums + np.abs(of_top) + np.abs(pulled)
    return weights * (p - targets) - p * sums - of_top + pulled, sizes


def through_softmax(probabilities: Array, outer: Array, sizes: Array) -> Sized:
    """p (h − Σ p h): the derivative through the softmax that was applied first."""
    mean = (probabilities * outer).sum(axis=1, keepdims=True)
    mean_size = (probabilities * sizes).sum(axis=1, keepdims=True)
    return probabilities * (outer - mean), probabilities * (sizes + mean_size)


def _product(coefficients: Array, values: Array) -> Array:
    """Return the product, 0 where the coefficient is, even if the other is no finite number."""
    product = coefficients * values
    return product if np.isfinite(product.sum()) else np.where(coefficients == 0, 0, product)
