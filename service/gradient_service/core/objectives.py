"""The table of objectives, and what each can do on a block of rows."""

from typing import Protocol

import numpy as np

from gradient_service.core.blocks import SHORT_ROW, Array, Rows
from gradient_service.core.inputs import Scores, Supervision
from gradient_service.core.options import Objective
from gradient_service.core.scaled import Scaled
from gradient_service.core.sigmoid_binary_cross_entropy import SigmoidBinaryCrossEntropy, sigmoid_elements
from gradient_service.core.softmax import softmax_rows
from gradient_service.core.softmax_binary_cross_entropy import SoftmaxBinaryCrossEntropy, without_top
from gradient_service.core.softmax_cross_entropy import SoftmaxCrossEntropy
from gradient_service.core.targets import TargetRows, target_rows


class BlockObjective(Protocol):
    """An objective on a block: a loss and its derivatives, before the factor of the row and of the temperature."""

    @property
    def targets(self) -> TargetRows:
        """What the rows are compared with."""

    @property
    def temperature(self) -> float:
        """T."""

    @property
    def powers(self) -> Array:
        """What is exponentiated on the way to p, ≤ 0, (K, rows), or more than K."""

    @property
    def top(self) -> Array:
        """The predicted class, (rows,)."""

    @property
    def probabilities(self) -> Array:
        """p, (K, rows)."""

    @property
    def row_weight(self) -> Array | float:
        """The class weight that multiplies the whole row, (rows,) or 1."""

    def is_correct(self) -> Array:
        """Which rows are predicted as their target says, (rows,)."""

    def losses(self) -> Array:
        """E, (rows,); infinite where a difference of logits leaves the range."""

    def gradient(self, factor: Scaled, out: Array | None = None) -> Array:
        """∂E/∂s times the factor, (K, rows), in `out` or a new array."""

    def loss_wrt_probabilities(self, factor: Scaled) -> Array:
        """∂E/∂p times the factor, (K, rows)."""

    def jacobian(self) -> Array:
        """∂p_i/∂s_j, (rows, K, K)."""

    def gradient_diagonal_only(self, factor: Scaled) -> Array:
        """∂E/∂p_i · p_i (1−p_i) times the factor, (K, rows)."""


def objective_of(scores: Scores, supervision: Supervision, rows: Rows, dtype: np.dtype[np.floating]) -> BlockObjective:
    """Return the objective on some rows, its softmax or sigmoid already computed in a working dtype.

    Rounding errors of differences are kept in float64; a wider dtype has digits to spare.
    """
    logits = scores.block(rows, dtype)
    compensated = scores.is_compensated and dtype == np.float64
    targets = target_rows(scores, supervision, rows, dtype)
    if supervision.objective is Objective.SIGMOID_BINARY_CROSS_ENTROPY:
        elements = sigmoid_elements(logits, scores.temperature, compensated=compensated)
        return SigmoidBinaryCrossEntropy(elements, targets)
    if supervision.objective is Objective.SOFTMAX_CROSS_ENTROPY:
        divided = compensated or not targets.is_hard or scores.num_classes < SHORT_ROW
        softmax = softmax_rows(logits, scores.temperature, compensated=compensated, divided=divided)
        return SoftmaxCrossEntropy(softmax, targets)
    softmax = softmax_rows(logits, scores.temperature, compensated=compensated)
    return SoftmaxBinaryCrossEntropy(softmax, targets, without_top(softmax, logits))
