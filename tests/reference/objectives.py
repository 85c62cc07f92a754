"""Loss, derivatives and yardsticks of one row for the three objectives, over its unmasked classes.

Every derivative here is by s and by p, before the row's factor and the temperature. A *size* is what an
ulp is measured against: the exact result, or, where that is a difference of unrelated numbers, their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np

from tests.reference.rows import ZERO, Array, Row, add, each, inverse, object_array, weigh


@dataclass(frozen=True)
class Target:
    """A target row c and its complement 1 − c over the unmasked classes, after smoothing."""

    values: Array
    complements: Array

    @cached_property
    def is_settled(self) -> list[bool]:
        """Per class, whether c is exactly 0 or 1."""
        return [not value or not complement for value, complement in zip(self.values, self.complements, strict=True)]

    @cached_property
    def is_one_hot(self) -> bool:
        """Whether the row is what a hard label gives: one 1 among zeros."""
        return all(self.is_settled) and add(self.values) <= 1


class Objective:
    """One row under one objective.

    Args:
        row: its probabilities.
        target: c over the unmasked classes.
        weights: class weights over the unmasked classes.
    """

    def __init__(self, row: Row, target: Target, weights: Array) -> None:
        self.row, self.target, self.weights = row, target, weights
        self.positive = weights * target.values
        self.negative = weights * target.complements

    def loss(self) -> Any:
        """E."""
        raise NotImplementedError

    def loss_wrt_probabilities(self) -> tuple[Array, Array]:
        """∂E/∂p and its size."""
        raise NotImplementedError

    def gradient(self) -> tuple[Array, Array]:
        """∂E/∂s and its size."""
        raise NotImplementedError

    def diagonal_only(self) -> tuple[Array, Array]:
        """∂E/∂p_i · ∂p_i/∂s_i, without the sum over the other classes, and its size."""
        raise NotImplementedError

    def curvature(self, kind: str) -> tuple[Array, Array]:
        """The diagonal of the second derivatives by s, or a stand-in for it, and its size."""
        if kind == "absolute_residual":
            gradient, size = self.gradient()
            return np.abs(gradient), size
        curvature = self.row.probabilities * self.curvature_scale(kind) * self.row.complements
        return curvature, curvature

    def curvature_scale(self, kind: str) -> Any:
        """What multiplies p(1 − p) in the curvature."""
        raise NotImplementedError

    def chain_rule(self) -> tuple[Array, Array]:
        """Σ_j ∂E/∂p_j · ∂p_j/∂s_i, multiplied out from the factors, and the sum of the terms' sizes."""
        derivative, size = self.loss_wrt_probabilities()
        jacobian = self.row.jacobian()
        sums = [add(weigh(derivative, column)) for column in jacobian.T]
        sizes = [add(weigh(size, column)) for column in np.abs(jacobian).T]
        return object_array(sums), object_array(sizes)


class SoftmaxCrossEntropy(Objective):
    """E = − Σ_j w_j c_j log p_j over softmax probabilities."""

    @cached_property
    def total(self) -> Any:
        """W = Σ_j w_j c_j."""
        return add(self.positive)

    def loss(self) -> Any:
        """E."""
        return -add(weigh(self.positive, self.row.log_probabilities))

    def loss_wrt_probabilities(self) -> tuple[Array, Array]:
        """− w c / p."""
        derivative = -weigh(self.positive, 1 / self.row.probabilities)
        return derivative, np.abs(derivative)

    def gradient(self) -> tuple[Array, Array]:
        """W p − w c, written (W − w c) p − w c (1 − p)."""
        shared = self.row.probabilities * self.total
        gradient = (-self.positive + self.total) * self.row.probabilities
        gradient = gradient - weigh(self.positive, self.row.complements)
        if self.target.is_one_hot:
            return gradient, np.abs(gradient)
        return gradient, cast("Array", np.maximum(shared, self.positive))

    def diagonal_only(self) -> tuple[Array, Array]:
        """− w c (1 − p): 0 off the target."""
        value = -weigh(self.positive, self.row.complements)
        return value, np.abs(value)

    def curvature_scale(self, kind: str) -> Any:
        """W times 1, 2 or K/(K − 1)."""
        count = self.row.num_classes
        if kind == "class_scaled":
            return self.total * count / (count - 1) if count > 1 else ZERO
        return self.total * {"exact": 1, "upper_bound": 2}[kind]


class BinaryObjective(Objective):
    """E = − Σ_j w_j [ c_j log p_j + (1 − c_j) log(1 − p_j) ], whatever gave the probabilities."""

    def loss(self) -> Any:
        """E."""
        hits = weigh(self.positive, self.row.log_probabilities)
        return -add([*hits, *weigh(self.negative, self.row.log_complements)])

    def loss_wrt_probabilities(self) -> tuple[Array, Array]:
        """All w ( −c/p + (1 − c)/(1 − p) ), its size the sum of both magnitudes."""
        pull = weigh(self.positive, each(inverse, self.row.probabilities))
        push = weigh(self.negative, each(inverse, self.row.complements))
        return push - pull, push + pull

    @cached_property
    def difference(self) -> Array:
        """All w (p − c), written w (1 − c) p − w c (1 − p)."""
        push = weigh(self.negative, self.row.probabilities)
        return cast("Array", push - weigh(self.positive, self.row.complements))

    def size_where_soft(self, soft: Array) -> Array:
        """|w (p − c)| where c is 0 or 1, the given size elsewhere."""
        settled = np.array(self.target.is_settled, dtype=bool)
        return np.where(settled, np.abs(self.difference), soft)

    def diagonal_only(self) -> tuple[Array, Array]:
        """All w (p − c)."""
        return self.difference, self.size_where_soft(self.weights * self.row.probabilities + self.positive)


class SigmoidBinaryCrossEntropy(BinaryObjective):
    """The binary sum over independent sigmoids."""

    def gradient(self) -> tuple[Array, Array]:
        """All w (p − c)."""
        soft = np.maximum(self.weights * self.row.probabilities, self.positive)
        return self.difference, self.size_where_soft(soft)

    def curvature_scale(self, kind: str) -> Any:
        """The class weights."""
        return {"exact": self.weights}[kind]


class SoftmaxBinaryCrossEntropy(BinaryObjective):
    """The binary sum over softmax probabilities, as some textbooks print it."""

    def gradient(self) -> tuple[Array, Array]:
        """All w_i (p_i − c_i) − p_i Σ_{j≠i} g_j with g_j = p_j ∂E/∂p_j."""
        odds = self.row.probabilities * each(inverse, self.row.complements)
        push = weigh(self.negative, odds)
        coupled = self._sums_over_others(push - self.positive)
        sizes = self._sums_over_others(push + self.positive)
        own = self.size_where_soft(self.weights * self.row.probabilities + self.positive)
        return self.difference - self.row.probabilities * coupled, own + self.row.probabilities * sizes

    def _sums_over_others(self, terms: Array) -> Array:
        """Σ_{j≠i} terms_j for every i; the winner's term, which can dwarf all others, is never subtracted."""
        rest = add(np.delete(terms, self.row.winner))
        sums = -terms + rest + terms[self.row.winner]
        sums[self.row.winner] = rest
        return cast("Array", sums)

    def curvature_scale(self, kind: str) -> Any:
        """Not defined: this objective's own curvature can be negative."""
        message = f"softmax_binary_cross_entropy has no curvature {kind!r}"
        raise KeyError(message)


OBJECTIVES: dict[str, type[Objective]] = {
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "sigmoid_binary_cross_entropy": SigmoidBinaryCrossEntropy,
    "softmax_binary_cross_entropy": SoftmaxBinaryCrossEntropy,
}
