"""A recipe followed with plain NumPy, as most would write it: no second reference, and not meant to be one.

Per row: s the scores, p the probabilities, c the target row, w the class weights, W = Σ w c.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gradient_service.core.blocks import Array, Rows
from gradient_service.core.checking.recipes import Floor, Recipe

FLOAT64: np.dtype[np.floating] = np.dtype(np.float64)
Sized = tuple[Array, Array]
"""An output, and the sizes that its errors are measured by."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Probabilities of some rows, each (rows, K)."""

    values: Array
    logs: Array
    complements: Array
    complement_logs: Array
    shares: Array | None = None
    """p_i / (1 − p_top), 0 at the top, where it was made before anything could underflow."""


@dataclass(frozen=True)
class PlainRows:
    """Some rows by a recipe, in a dtype; each output is made when it is asked for."""

    recipe: Recipe
    rows: Rows
    dtype: np.dtype[np.floating] = FLOAT64

    def output(self, name: str) -> Sized:
        """Return `losses` (rows,), `gradient` or `probabilities` (rows, K), and their sizes."""
        if name == "losses":
            return self._losses()
        return self._gradient() if name == "gradient" else (self._floored[0].values, self._floored[0].values)

    @cached_property
    def spread(self) -> Array:
        """g, (rows,): the largest distance of a score from the largest whose exponential does not underflow."""
        scores = self._scores
        far = scores.max(axis=1, keepdims=True) - scores if self.recipe.is_softmax else np.abs(scores)
        underflow = -np.log(np.finfo(self.dtype).smallest_subnormal)
        return np.where(far <= underflow, far, 0).max(axis=1, initial=0)

    @cached_property
    def _scores(self) -> Array:
        return self.recipe.scores(self.rows).astype(self.dtype, copy=False)

    @cached_property
    def _targets(self) -> Array:
        return self.recipe.target_rows(self.rows).astype(self.dtype, copy=False)

    @cached_property
    def _weights(self) -> Array:
        return np.asarray(self.recipe.weights, self.dtype)

    @cached_property
    def _first(self) -> Distribution:
        recipe, scores = self.recipe, self._scores
        if not recipe.is_softmax:
            return sigmoid(scores)
        if not recipe.is_over_batch:
            return softmax(scores, has_complements=recipe.is_binary)
        logs = scores - recipe.column_totals.astype(self.dtype)
        values = np.exp(logs)
        return Distribution(values, logs, 1 - values, np.log1p(-values))

    @cached_property
    def _floored(self) -> tuple[Distribution, Array | float]:
        """The probabilities in the end, and what is left of the derivative of each logarithm."""
        recipe, found = self.recipe, self._first
        if recipe.is_applied_twice:
            found = softmax(found.values, has_complements=recipe.is_binary)
        if recipe.is_mask_late and recipe.mask is not None:
            found = replace(found, values=np.where(recipe.mask(self.rows), found.values, 0))
        return (found, 1.0) if recipe.floor is Floor.NONE else floored(recipe, found)

    def _losses(self) -> Sized:
        """E = −Σ w c log p, of binary objectives −Σ w (c log p + (1−c) log(1−p)); by max(E, W), or max(E, Σ w)."""
        weights, targets, found = self._weights, self._targets, self._floored[0]
        weighted = weights * targets
        terms, total = _product(weighted, found.logs), weighted
        if self.recipe.is_binary:
            terms = terms + _product(weights * (1 - targets), found.complement_logs)
            total = np.broadcast_to(weights, targets.shape)
        losses = 0 - terms.sum(axis=1)
        by_samples = self.recipe.by_samples(self.rows).astype(self.dtype)
        return _product(by_samples, losses), _product(by_samples, np.maximum(losses, total.sum(axis=1)))

    def _gradient(self) -> Sized:
        """∂E/∂s over T times the factor of the row; by max(W p, w c), or the magnitudes of the terms."""
        recipe, (found, kept) = self.recipe, self._floored
        factor = (recipe.factor(self.rows) / recipe.temperature).astype(self.dtype)[:, np.newaxis]
        weights = self._weights if recipe.floor is Floor.NONE else self._weights * kept
        if recipe.is_over_batch and not recipe.is_by_hand:
            spread_out = found.values * (recipe.column_weights / recipe.temperature).astype(self.dtype)
            weighted = factor * (weights * self._targets)
            return spread_out - weighted, np.maximum(spread_out, weighted)
        values, sizes = by_scores(recipe, found, self._targets, weights)
        if recipe.is_applied_twice and not recipe.is_by_hand:
            values, sizes = through_softmax(self._first.values, values, sizes)
        return _product(factor, values), _product(np.abs(factor), sizes)


def softmax(scores: Array, *, has_complements: bool) -> Distribution:
    """Shift by the largest score; 1 − p, where anything is made of it, of the top class is the share of the others."""
    difference = scores - scores.max(axis=1, keepdims=True)
    exponentials = np.exp(difference)
    total = exponentials.sum(axis=1, keepdims=True)
    values, logs = exponentials / total, difference - np.log(total)
    if not has_complements:
        return Distribution(values, logs, values, logs)
    top = scores.argmax(axis=1)[:, np.newaxis]
    np.put_along_axis(exponentials, top, 0, axis=1)
    complements = 1 - values
    np.put_along_axis(complements, top, exponentials.sum(axis=1, keepdims=True) / total, axis=1)
    shares, log_rest = _without(difference, top)
    complement_logs = np.log(complements)
    np.put_along_axis(complement_logs, top, log_rest - np.log(total), axis=1)
    return Distribution(values, logs, complements, complement_logs, shares)


def _without(difference: Array, top: Array) -> Sized:
    """Return the softmax of the other classes, 0 at the top, and the logarithm of the sum of their exponentials."""
    others = difference.copy()
    np.put_along_axis(others, top, -np.inf, axis=1)
    second = np.maximum(others.max(axis=1, keepdims=True), np.finfo(others.dtype).min)  # there may be no other
    exponentials = np.exp(others - second)
    total = exponentials.sum(axis=1, keepdims=True)
    return exponentials / np.where(total > 0, total, 1), second + np.log(total)


def sigmoid(scores: Array) -> Distribution:
    """log p and log(1 − p) from log1p(exp(−|s|))."""
    tail = np.log1p(np.exp(-np.abs(scores)))
    logs, complement_logs = np.minimum(scores, 0) - tail, -np.maximum(scores, 0) - tail
    return Distribution(np.exp(logs), logs, np.exp(complement_logs), complement_logs)


def floored(recipe: Recipe, found: Distribution) -> tuple[Distribution, Array | float]:
    """Keep probabilities away from 0; return also what is left of the derivative of each logarithm."""
    values, least = found.values, found.values.dtype.type(recipe.least)
    if recipe.floor is Floor.ADDED:
        logs, complement_logs = np.log(values + least), np.log(found.complements + least)
        return replace(found, logs=logs, complement_logs=complement_logs), values / (values + least)
    clipped = np.clip(values, least, 1 - least)
    logs, complement_logs = np.log(clipped), np.log(1 - clipped)
    if recipe.is_by_hand:
        return Distribution(clipped, logs, 1 - clipped, complement_logs), 1.0
    is_kept = (values >= least) & (values <= 1 - least)
    return replace(found, logs=logs, complement_logs=complement_logs), is_kept.astype(values.dtype)


def by_scores(recipe: Recipe, found: Distribution, targets: Array, weights: Array) -> Sized:
    """∂E/∂s: W p − w c; w (p − c) of sigmoids; both terms of the binary formula over softmax."""
    p = found.values
    if recipe.is_binary:
        if recipe.is_softmax and not recipe.is_diagonal:
            return _coupled(found, targets, weights)
        return weights * (p - targets), weights * np.maximum(p, targets)
    weighted = weights * targets
    if recipe.is_diagonal:
        return weighted * (p - 1), np.maximum(weighted * p, weighted)
    spread_out = weighted.sum(axis=1, keepdims=True) * p
    return spread_out - weighted, np.maximum(spread_out, weighted)


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
    sizes = weights * (p + targets) + p * np.abs(parts).sum(axis=1, keepdims=True) + of_top + pulled
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
