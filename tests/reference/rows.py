"""The probabilities of one row in arbitrary precision, from their textbook definitions.

Working precision follows the row: a relative error of 2⁻²⁵⁶ is left in every exponential, however large the
logits. That alone cannot save 1 − p where p differs from 1 by exp(−1e308), so the complement of the winning
probability is taken from its own definition, the sum of the other probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, cast

import numpy as np
from mpmath import mp

Array = np.ndarray[Any, Any]
GUARD_BITS = 256
ZERO, ONE, INFINITY = mp.mpf(0), mp.mpf(1), mp.inf


def exact_array(numbers: Any) -> Array:
    """Numbers as an object array of mpf: floats without rounding, mpf rounded to the working precision."""
    distinct, places = np.unique(numbers, return_inverse=True)
    return each(mp.mpf, distinct.tolist())[places].reshape(np.shape(numbers))


def each(function: Callable[[Any], Any], values: Iterable[Any]) -> Array:
    """The function of every value, as a one-dimensional object array."""
    return object_array([function(value) for value in values])


def object_array(values: list[Any]) -> Array:
    """The values as a one-dimensional object array."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def weigh(coefficients: Array, factors: Array) -> Array:
    """Products of two rows, 0 wherever the coefficient is 0, whatever the factor (0·log 0 = 0)."""
    return object_array([c * f if c else ZERO for c, f in zip(coefficients, factors, strict=True)])


def inverse(value: Any) -> Any:
    """The reciprocal, +∞ for 0."""
    return ONE / value if value else INFINITY


def add(values: Iterable[Any]) -> Any:
    """The sum, with one rounding at the end."""
    return mp.fsum(values)


def row_precision(logits: Array, temperature: Any) -> int:
    """Bits at which exp(logit / temperature) keeps a relative error near 2⁻²⁵⁶."""
    largest = max((abs(logit) for logit in logits.tolist() if logit != -INFINITY), default=0.0)
    return GUARD_BITS + 8 + (max(0, int(mp.mag(mp.mpf(largest) / mp.mpf(temperature)))) if largest else 0)


class Row:
    """What both kinds of probabilities share: the unmasked logits and the way back to all classes.

    Args:
        logits: row of numbers (K,), finite where unmasked.
        mask: booleans (K,), true = the class takes part; at least one is.
        temperature: number > 0.
    """

    probabilities: Array
    complements: Array
    log_probabilities: Array
    log_complements: Array

    def __init__(self, logits: Array, mask: Array, temperature: Any) -> None:
        self.num_classes = len(logits)
        self.live = np.flatnonzero(mask)
        self.logits = logits[self.live]
        self.temperature = mp.mpf(temperature)

    def spread(self, values: Array, fill: Any = ZERO) -> Array:
        """Values of the unmasked classes (or of pairs of them) placed among all K, the rest filled."""
        spread = np.full((self.num_classes,) * values.ndim, fill, dtype=object)
        spread[np.ix_(*[self.live] * values.ndim)] = values
        return spread

    @cached_property
    def winner(self) -> int:
        """Place, among the unmasked classes, of the first largest logit."""
        return int(np.argmax(self.logits))

    @cached_property
    def predicted_label(self) -> int:
        """Class of the first largest unmasked logit."""
        return int(self.live[self.winner])

    @cached_property
    def scores(self) -> Array:
        """The scores s = logits / temperature."""
        return cast("Array", exact_array(self.logits) / self.temperature)

    def jacobian(self) -> Array:
        """∂p_i/∂s_j at [i, j], over the unmasked classes."""
        raise NotImplementedError


class SoftmaxRow(Row):
    """p_j = exp(s_j) / Σ_k exp(s_k), all divided by exp(s) of the winner, which changes no ratio."""

    def __init__(self, logits: Array, mask: Array, temperature: Any) -> None:
        super().__init__(logits, mask, temperature)
        distinct, places = np.unique(self.logits, return_inverse=True)
        best = mp.mpf(distinct.tolist()[-1])
        gaps = each(lambda logit: (mp.mpf(logit) - best) / self.temperature, distinct.tolist())
        self.gaps = gaps[places]
        self.exponentials = each(mp.exp, gaps)[places]
        self.others = add(np.delete(self.exponentials, self.winner))
        self.total = ONE + self.others

    @cached_property
    def probabilities(self) -> Array:  # type: ignore[override]  # computed on first use
        """The probabilities p."""
        return cast("Array", self.exponentials / self.total)

    @cached_property
    def complements(self) -> Array:  # type: ignore[override]  # computed on first use
        """1 − p, the winner's as the sum of the others."""
        complements = 1 - self.probabilities
        complements[self.winner] = self.others / self.total
        return cast("Array", complements)

    @cached_property
    def log_probabilities(self) -> Array:  # type: ignore[override]  # computed on first use
        """The logarithms log p."""
        return cast("Array", self.gaps - mp.log1p(self.others))

    @cached_property
    def log_complements(self) -> Array:  # type: ignore[override]  # computed on first use
        """The logarithms log(1 − p), −∞ for the only unmasked class."""
        logs = each(lambda p: mp.log1p(-p) if p != 1 else -INFINITY, self.probabilities)
        logs[self.winner] = mp.log(self.others / self.total) if self.others else -INFINITY
        return logs

    @property
    def log_normalizer(self) -> Any:
        """The logarithm log Σ_k exp(s_k)."""
        return self.scores[self.winner] + mp.log1p(self.others)

    @property
    def entropy(self) -> Any:
        """− Σ_j p_j log p_j, in nats."""
        return -add(self.probabilities * self.log_probabilities)

    def jacobian(self) -> Array:
        """All p_i (δ_ij − p_j)."""
        jacobian = -np.outer(self.probabilities, self.probabilities)
        np.fill_diagonal(jacobian, self.probabilities * self.complements)
        return jacobian


class SigmoidRow(Row):
    """p_j = 1 / (1 + exp(−s_j)), each class on its own."""

    @cached_property
    def rising(self) -> Array:
        """The exponentials exp(s)."""
        return each(mp.exp, self.scores)

    @cached_property
    def falling(self) -> Array:
        """The exponentials exp(−s)."""
        return each(mp.exp, -self.scores)

    @cached_property
    def probabilities(self) -> Array:  # type: ignore[override]  # computed on first use
        """The probabilities p."""
        return cast("Array", 1 / (self.falling + ONE))

    @cached_property
    def complements(self) -> Array:  # type: ignore[override]  # computed on first use
        """1 − p, which is the sigmoid of −s."""
        return cast("Array", 1 / (self.rising + ONE))

    @cached_property
    def log_probabilities(self) -> Array:  # type: ignore[override]  # computed on first use
        """The logarithms log p."""
        return -each(mp.log1p, self.falling)

    @cached_property
    def log_complements(self) -> Array:  # type: ignore[override]  # computed on first use
        """The logarithms log(1 − p)."""
        return -each(mp.log1p, self.rising)

    def jacobian(self) -> Array:
        """All p_j (1 − p_j) on the diagonal, 0 off it."""
        jacobian = np.full((len(self.live), len(self.live)), ZERO, dtype=object)
        np.fill_diagonal(jacobian, self.probabilities * self.complements)
        return jacobian
