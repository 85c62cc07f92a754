"""Exact answers to every question the service is asked, from the definitions, in arbitrary precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp

from tests.reference.objectives import Objective
from tests.reference.question import NoAnswerError, Question
from tests.reference.reduction import Summary, row_factors, scale_of, summary_of
from tests.reference.rows import (
    GUARD_BITS,
    INFINITY,
    ONE,
    ZERO,
    Array,
    Row,
    exact_array,
    object_array,
    row_precision,
)
from tests.reference.ulp import ulp_error

__all__ = ["Exact", "NoAnswerError", "Output", "Summary", "evaluate", "product_of_factors"]

REDUCTION_BITS = 512
NOISE = mp.ldexp(1, 16 - GUARD_BITS)
"""A difference so small beside its terms is what the working precision left of 0."""
OF_ROWS: dict[str, Callable[[Any], Any]] = {
    "probabilities": lambda row: row.spread(row.probabilities),
    "log_probabilities": lambda row: row.spread(row.log_probabilities, -INFINITY),
    "entropy": lambda row: row.entropy,
    "log_normalizer": lambda row: row.log_normalizer,
    "predicted_labels": lambda row: row.predicted_label,
    "one_hot": lambda row: np.eye(1, row.num_classes, row.predicted_label, dtype=int)[0],
    "jacobian": lambda row: row.spread(row.jacobian()),
}
RANKS = {"entropy": 0, "log_normalizer": 0, "predicted_labels": 0, "jacobian": 2}
"""How many axes of classes an output has, but for the usual one."""
# Name → the derivative with its size, and how often it is divided by the temperature.
DERIVATIVES: dict[str, tuple[Callable[[Objective, str], tuple[Array, Array]], int]] = {
    "gradient": (lambda objective, _: objective.gradient(), 1),
    "loss_wrt_probabilities": (lambda objective, _: objective.loss_wrt_probabilities(), 0),
    "gradient_by_chain_rule": (lambda objective, _: objective.chain_rule(), 1),
    "gradient_diagonal_only": (lambda objective, _: objective.diagonal_only(), 1),
    "hessian_diagonal": (lambda objective, curvature: objective.curvature(curvature), 2),
}
REDUCED = {"loss", "losses", "summary"}


@dataclass(frozen=True)
class Output:
    """One output: exact values (mpf, or integers for decisions) with what its ulps are measured against.

    `size` takes the exact value's place where it is larger; `floor` multiplies the smallest subnormal number,
    below which no ulp goes. Both have the shape of `value`, or broadcast to it.
    """

    value: Any
    size: Any = None
    floor: Any = 1

    def ulp_error(self, computed: Any, dtype: Any) -> Array:
        """Error of a computed array in ulps of the dtype, element by element."""
        return ulp_error(computed, self.value, dtype=dtype, size=self.size, floor=self.floor)


@dataclass(frozen=True)
class Exact:
    """The outputs asked for, by name; `summary` where a loss or a derivative was asked for."""

    outputs: dict[str, Output]
    summary: Summary | None

    def __getitem__(self, name: str) -> Output:
        """The output of that name."""
        return self.outputs[name]


def evaluate(logits: Array, *, include: tuple[str, ...], **options: Any) -> Exact:
    """Answer a batch exactly.

    Args:
        logits: numbers (N, K), taken as exact.
        include: names of outputs in the service's replies; only these are computed.
        options: the other fields of `Question`.

    Returns:
        The outputs with their sizes.

    Raises:
        NoAnswerError: a row without unmasked class, an infinite loss, or D = 0 under a sum that is not 0.
    """
    question = Question(logits=_widened(logits), **options)
    precisions = [row_precision(row, question.temperature) for row in question.logits]
    rows = [_at(bits, question.row, n) for n, bits in enumerate(precisions)]
    answer = _Answer(question, precisions, rows)
    summary = answer.derive(include) if set(include) & (REDUCED | set(DERIVATIVES)) else None
    for name in set(include) & set(OF_ROWS):
        answer.describe(name)
    return Exact(answer.outputs, summary)


def _widened(logits: Array) -> Array:
    array = np.asarray(logits)
    return array if array.dtype == object else array.astype(np.float64)


def _at(bits: int, function: Callable[..., Any], *arguments: Any) -> Any:
    with mp.workprec(bits):
        return function(*arguments)


class _Answer:
    """The rows of a question, each with its working precision, and the outputs found so far."""

    def __init__(self, question: Question, precisions: list[int], rows: list[Row]) -> None:
        self.question, self.precisions, self.rows = question, precisions, rows
        self.outputs: dict[str, Output] = {}

    def describe(self, name: str) -> None:
        """Add an output of the probabilities alone."""
        values = [_at(bits, OF_ROWS[name], row) for bits, row in zip(self.precisions, self.rows, strict=True)]
        value = self._stacked(values, ranks=RANKS.get(name, 1))
        if name in {"predicted_labels", "one_hot"}:
            value = value.astype(int)
        self.outputs[name] = Output(value, self._normalizer_size(value) if name == "log_normalizer" else None)

    def derive(self, include: tuple[str, ...]) -> Summary:
        """Add the losses and derivatives asked for."""
        objectives = [self._objective(n) for n in range(self.question.batch_size)]
        losses = object_array([self._row_loss(n, objective) for n, objective in enumerate(objectives)])
        with mp.workprec(REDUCTION_BITS):
            summary = summary_of(self.question, self.rows, losses)
            scale = scale_of(self.question, summary)
            factors = row_factors(self.question, scale)
            self.outputs["losses"] = Output(losses)
            if self.question.reduction != "none":
                # Losses in the subnormal range are rounded before they are added; a small D multiplies that rounding.
                loss_floor = max(ONE, self.question.batch_size * scale)
                self.outputs["loss"] = Output(summary.loss_sum * scale, None, loss_floor)
        for name in set(include) & set(DERIVATIVES):
            self.outputs[name] = self._derivative(name, objectives, factors)
        return summary

    def _objective(self, n: int) -> Objective | None:
        """Row n under the objective; none for an ignored row."""
        if not self.question.counted[n]:
            return None
        objective: Objective = _at(self.precisions[n], self.question.objective_of, n, self.rows[n])
        return objective

    def _row_loss(self, n: int, objective: Objective | None) -> Any:
        return ZERO if objective is None else _at(self.precisions[n], self.question.row_loss, n, objective)

    def _derivative(self, name: str, objectives: list[Objective | None], factors: Array) -> Output:
        pairs = [self._derivative_row(name, n, item, factors[n]) for n, item in enumerate(objectives)]
        values, sizes = (self._stacked([pair[side] for pair in pairs], ranks=1) for side in (0, 1))
        return Output(values, sizes)

    def _derivative_row(self, name: str, n: int, objective: Objective | None, factor: Any) -> tuple[Array, Array]:
        if objective is None or not factor:
            zeros = np.full(self.question.num_classes, ZERO, dtype=object)
            return zeros, zeros
        derive, order = DERIVATIVES[name]
        row = self.rows[n]
        with mp.workprec(self.precisions[n]):
            value, size = derive(objective, self.question.curvature)
            value = np.where(np.abs(value) < size * NOISE, ZERO, value)  # the two are not told apart
            scale = factor / row.temperature**order
            return row.spread(value * scale), row.spread(np.abs(size) * abs(scale))

    def _normalizer_size(self, value: Array) -> Array:
        """max(|a|, |result|), a the largest score of the row."""
        with mp.workprec(REDUCTION_BITS):
            largest = object_array([abs(row.scores[row.winner]) for row in self.rows])
            return np.asarray(np.maximum(largest, np.abs(value)))

    def _stacked(self, values: list[Any], ranks: int) -> Array:
        stacked = np.empty((len(values), *[self.question.num_classes] * ranks), dtype=object)
        for n, value in enumerate(values):
            stacked[n] = value
        return stacked


def product_of_factors(loss_wrt_probabilities: Array, jacobian: Array, *, temperature: float = 1.0) -> Output:
    """Σ_j ∂E/∂p_j · ∂p_j/∂s_i / T of factors as reported, exactly, with the sum of the terms' magnitudes."""
    with mp.workprec(REDUCTION_BITS):
        derivative, factors = exact_array(loss_wrt_probabilities), exact_array(jacobian)
        terms = derivative[:, :, None] * factors
        return Output(terms.sum(axis=1) / mp.mpf(temperature), np.abs(terms).sum(axis=1) / mp.mpf(temperature))
