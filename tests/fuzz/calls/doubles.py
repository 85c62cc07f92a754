"""Answers in 80-bit floating point, straight from the definitions: quick, and 11 bits better than what they judge.

Its range, to 1e±4932, holds what leaves float64 on the way, so no formula here is shifted, blocked or rescued. Where
a result is a difference, its size says what an ulp of it is measured against, as the accuracy contract has it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from tests.fuzz.calls.questions import SIGMOID, SOFTMAX, Array
from tests.fuzz.calls.rules import Case

Sized = tuple[Array, Array]
"""An output and its size."""
WIDE = np.longdouble
SMALLEST = 5e-324
HALFWAY = WIDE(SMALLEST) / 2
"""Between 0 and the smallest number of float64, to which it is rounded if it is any larger."""


def _weigh(coefficients: Array, factors: Array) -> Array:
    """Products that are 0 wherever the coefficient is, whatever the factor."""
    return np.asarray(np.where(coefficients == 0, WIDE(0), coefficients * np.where(coefficients == 0, 0, factors)))


def _reported(values: Array, dtype: Any) -> Array:
    """Return values as a reply of this dtype holds them."""
    return values.astype(dtype).astype(WIDE)


class Scored:
    """The probabilities of a case under either function; masked classes have 0 and −∞."""

    def __init__(self, case: Case) -> None:
        self.case, self.mask = case, case.mask
        self.temperature = WIDE(case.options["temperature"])
        self.wide = wide = np.where(self.mask, case.logits, -np.inf).astype(WIDE)
        self.top = wide.argmax(axis=1)
        self.is_top = np.arange(wide.shape[1]) == self.top[:, np.newaxis]
        self.best = np.take_along_axis(wide, self.top[:, np.newaxis], axis=1)
        self.is_sigmoid = case.options.get("objective") == SIGMOID
        self.scores = wide / self.temperature
        self.gaps = (wide - self.best) / self.temperature
        self.exponentials = np.exp(self.gaps)
        self.others = np.where(self.is_top, 0, self.exponentials).sum(axis=1, keepdims=True)

    @cached_property
    def log_others(self) -> Array:
        """The logarithm of the sum of all exponentials but the largest, which may leave even this range."""
        return np.asarray((self._second - self.best) / self.temperature + np.log(self._rest.sum(axis=1, keepdims=True)))

    @cached_property
    def shares(self) -> Array:
        """Each class's share in the sum of all but the largest; 0 where there is no other."""
        return np.asarray(self._rest / np.maximum(self._rest.sum(axis=1, keepdims=True), 1))

    @cached_property
    def _second(self) -> Array:
        """The largest logit but one, (N, 1); any number where there is no other."""
        second = np.where(self.is_top, -np.inf, self.wide).max(axis=1, keepdims=True)
        return np.where(np.isfinite(second), second, WIDE(0))

    @cached_property
    def _rest(self) -> Array:
        """The exponentials of all classes but the largest, over that of the largest of them."""
        return np.asarray(np.exp((np.where(self.is_top, -np.inf, self.wide) - self._second) / self.temperature))

    @cached_property
    def probabilities(self) -> Array:
        """All p."""
        if self.is_sigmoid:
            return np.where(self.mask, np.exp(-self._softplus(-self.scores)), 0)
        return np.asarray(self.exponentials / (1 + self.others))

    @cached_property
    def complements(self) -> Array:
        """All 1 − p."""
        if self.is_sigmoid:
            return np.where(self.mask, np.exp(-self._softplus(self.scores)), 1)
        return np.where(self.is_top, self.others / (1 + self.others), 1 - self.probabilities)

    @cached_property
    def logs(self) -> Array:
        """All log p."""
        if self.is_sigmoid:
            return np.where(self.mask, -self._softplus(-self.scores), -np.inf)
        return np.asarray(self.gaps - np.log1p(self.others))

    @cached_property
    def log_complements(self) -> Array:
        """All log(1 − p)."""
        if self.is_sigmoid:
            return np.where(self.mask, -self._softplus(self.scores), 0)
        return np.where(
            self.is_top,
            self.log_others - np.log1p(self.others),
            np.log1p(-np.where(self.is_top, 0, self.probabilities)),
        )

    def _softplus(self, scores: Array) -> Array:
        """log(1 + exp(s))."""
        return np.asarray(np.maximum(scores, 0) + np.log1p(np.exp(-np.abs(scores))))

    def jacobian(self) -> Array:
        """All ∂p_i/∂s_j, (N, K, K)."""
        diagonal = np.eye(self.mask.shape[1], dtype=bool)
        product = (self.probabilities * self.complements)[:, :, np.newaxis]
        if self.is_sigmoid:
            return np.where(diagonal, product, WIDE(0))
        return np.where(diagonal, product, -self.probabilities[:, :, np.newaxis] * self.probabilities[:, np.newaxis, :])

    def entropy(self) -> Array:
        """− Σ p log p."""
        return np.asarray(-_weigh(self.probabilities, self.logs).sum(axis=1))


class Compared:
    """A case's losses and derivatives by row, before any factor."""

    def __init__(self, scored: Scored) -> None:
        case, options = scored.case, scored.case.options
        self.scored, self.objective = scored, options["objective"]
        smoothing, count = WIDE(options["label_smoothing"]), scored.mask.sum(axis=1, keepdims=True)
        given, share = case.given, smoothing / count
        self.targets = np.where(scored.mask, (1 - smoothing) * given + share, 0)
        complements = np.where(scored.mask, (1 - smoothing) * (1 - given) + (smoothing - share), 0)
        weights = case.weights("class_weights")
        self.positive, self.negative = weights * self.targets, weights * complements
        self.is_settled = (self.targets == 0) | (complements == 0)
        self.weights = np.where(scored.mask, weights, 0)
        self.total = self.positive.sum(axis=1, keepdims=True)

    def losses(self) -> Array:
        """E, (N,)."""
        terms = _weigh(self.positive, self.scored.logs)
        if self.objective != SOFTMAX:
            terms = terms + _weigh(self.negative, self.scored.log_complements)
        return np.asarray(-terms.sum(axis=1))

    def loss_wrt_probabilities(self) -> Sized:
        """∂E/∂p."""
        pull = _weigh(self.positive, 1 / self.scored.probabilities)
        if self.objective == SOFTMAX:
            return -pull, pull
        push = _weigh(self.negative, 1 / self.scored.complements)
        return push - pull, push + pull

    def gradient(self) -> Sized:
        """∂E/∂s, without the temperature."""
        scored = self.scored
        if self.objective == SOFTMAX:
            value = (self.total - self.positive) * scored.probabilities - self.positive * scored.complements
            is_hard = self.is_settled.all(axis=1, keepdims=True) & (self.targets.sum(axis=1, keepdims=True) <= 1)
            soft = np.maximum(self.total * scored.probabilities, self.positive)
            return value, np.where(is_hard, np.abs(value), soft)
        value, size = self.diagonal_only()
        if self.objective == SIGMOID:
            return value, np.where(
                self.is_settled, size, np.maximum(self.weights * scored.probabilities, self.positive)
            )
        push, pull = self._coupled(), scored.probabilities * np.maximum(self.total - self.positive, 0)
        return value - push + pull, size + push + pull

    def _coupled(self) -> Array:
        """Return p_i Σ_{j≠i} w_j (1 − c_j) p_j/(1 − p_j); the winner's odds meet p_i as a share, of ordinary size."""
        scored = self.scored
        odds = scored.probabilities / np.where(scored.is_top | ~scored.mask, 1, scored.complements)
        terms = np.where(scored.is_top, 0, _weigh(self.negative, odds))
        others = scored.probabilities * (terms.sum(axis=1, keepdims=True) - terms)
        of_top = np.where(scored.is_top, self.negative, 0).sum(axis=1, keepdims=True)
        top = np.where(scored.is_top, scored.probabilities, 0).sum(axis=1, keepdims=True)
        return np.asarray(others + np.where(scored.is_top, 0, of_top * top * scored.shares))

    def diagonal_only(self) -> Sized:
        """∂E/∂p_i · ∂p_i/∂s_i."""
        pull = self.positive * self.scored.complements
        if self.objective == SOFTMAX:
            return -pull, pull
        value = self.negative * self.scored.probabilities - pull
        soft = self.weights * self.scored.probabilities + self.positive
        return value, np.where(self.is_settled, np.abs(value), soft)

    def hessian_diagonal(self) -> Sized:
        """The curvature asked for."""
        kind, classes = self.scored.case.options["curvature"], self.scored.mask.shape[1]
        if kind == "absolute_residual":
            value, size = self.gradient()
            return np.abs(value), size
        times = {"exact": 1, "upper_bound": 2, "class_scaled": WIDE(classes) / max(classes - 1, 1) * (classes > 1)}
        value = (self.weights if self.objective == SIGMOID else self.total) * times[kind]
        value = value * self.scored.probabilities * self.scored.complements
        return value, np.abs(value)


DERIVATIVES: dict[str, tuple[Callable[[Compared], Sized], int]] = {
    "gradient": (Compared.gradient, 1),
    "loss_wrt_probabilities": (Compared.loss_wrt_probabilities, 0),
    "gradient_diagonal_only": (Compared.diagonal_only, 1),
    "hessian_diagonal": (Compared.hessian_diagonal, 2),
}


class Answer:
    """Every output of a case, by name, with its size and with what multiplies the smallest number that counts."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.scored = Scored(case)
        if case.operation != "softmax":
            self.compared = Compared(self.scored)
            self._reduce()

    def _reduce(self) -> None:
        case, options = self.case, self.case.options
        weights = np.where(case.counted, case.weights("sample_weights"), 0)
        self.losses = _weigh(weights, self.compared.losses())
        given = (case.given * case.weights("class_weights")).sum(axis=1)
        self.weight_sum = (weights * (1 if options["objective"] == SIGMOID else given)).sum()
        named = {"weights": self.weight_sum, "examples": case.counted.sum(), "batch": len(case.logits)}
        value = options["denominator_value"]
        self.denominator = WIDE(named[options["denominator"]] if value is None else value)
        divisor = self.denominator if options["reduction"] == "mean" else WIDE(1)
        self.scale = WIDE(0) if self._is_nothing(divisor, weights) else 1 / divisor
        upstream = case.arrays.get("upstream", np.ones(len(case.logits))).astype(WIDE)
        self.factors = (weights * self.scale * upstream)[:, np.newaxis]

    def _is_nothing(self, divisor: np.longdouble, weights: Array) -> bool:
        """Whether D is 0 in float64; where it seems to lie halfway, a target too small to be seen here may decide."""
        if divisor != HALFWAY:
            return not np.float64(divisor)
        exact = sum(
            Fraction(float(weight)) * Fraction(float(count)) * Fraction(float(of_class))
            for weight, row in zip(weights, self.case.given, strict=True)
            for count, of_class in zip(row, self.case.weights("class_weights"), strict=True)
        )
        return exact <= Fraction(SMALLEST) / 2

    def sized(self, name: str) -> tuple[Array, Array, Any]:
        """Return an output, its size and the multiple of the smallest number below which no error counts."""
        scored = self.scored
        of_scores: dict[str, Callable[[], Array]] = {
            "probabilities": lambda: scored.probabilities,
            "log_probabilities": lambda: scored.logs,
            "entropy": scored.entropy,
            "jacobian": scored.jacobian,
        }
        if name in of_scores:
            value = np.asarray(of_scores[name]())
            return value, np.abs(value), 1
        if name == "log_normalizer":
            largest = scored.best[:, 0] / scored.temperature
            value = largest + np.log1p(scored.others[:, 0])
            return value, np.maximum(np.abs(largest), np.abs(value)), 1
        if name == "losses":
            return self.losses, np.abs(self.losses), np.maximum(1, np.abs(self.factors[:, 0]))
        if name == "loss":
            loss = self.losses.sum() * self.scale
            return loss, np.abs(loss), max(WIDE(1), len(self.losses) * self.scale)
        if name == "gradient_by_chain_rule":
            return self._product()
        derive, order = DERIVATIVES[name]
        value, size = derive(self.compared)
        factors = self.factors / scored.temperature**order
        return _weigh(factors, value), _weigh(np.abs(factors), size), np.maximum(1, np.abs(factors))

    def _product(self) -> tuple[Array, Array, Any]:
        """Return the factors multiplied out as they are reported, the sum of the terms' sizes, and what counts."""
        dtype, temperature = self.case.dtype, self.scored.temperature
        derivative, size, _ = self.sized("loss_wrt_probabilities")
        derivative, size = (_reported(part, dtype)[:, :, np.newaxis] / temperature for part in (derivative, size))
        jacobian = _reported(self.scored.jacobian(), dtype)
        value, sizes = _weigh(jacobian, derivative).sum(axis=1), _weigh(np.abs(jacobian), size).sum(axis=1)
        return value, sizes, np.maximum(1, size.sum(axis=1))

    def counts(self) -> dict[str, int]:
        """The counts of the summary."""
        case, given = self.case, self.case.given
        if case.options["objective"] == SIGMOID:
            is_correct = (((case.logits > 0) == (given > 0.5)) | ~case.mask).all(axis=1)
        else:
            is_correct = self.scored.top == given.argmax(axis=1)
        return {
            "example_count": int(case.counted.sum()),
            "ignored_count": int((~case.counted).sum()),
            "correct_count": int((is_correct & case.counted).sum()),
        }
