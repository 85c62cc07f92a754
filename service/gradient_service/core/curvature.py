"""Second derivatives of the loss by the scores, on the diagonal: what second-order boosting asks for.

Source: `exact` is the diagonal of diag(p) − p pᵀ times W; `upper_bound` is XGBoost to 3.2, `class_scaled` LightGBM,
`absolute_residual` XGBoost since.
"""

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.objectives import BlockObjective
from gradient_service.core.options import Curvature
from gradient_service.core.scaled import ONE
from gradient_service.core.sigmoid_binary_cross_entropy import SigmoidBinaryCrossEntropy
from gradient_service.core.softmax_cross_entropy import SoftmaxCrossEntropy


def hessian_diagonal(objective: BlockObjective, curvature: Curvature) -> Array:
    """Return the curvature of a block, (K, rows), before the factor of the row and 1/T².

    W p(1−p) · 2 W p(1−p) · K/(K−1) W p(1−p), 0 at K = 1 · |∂E/∂s|.
    """
    if not isinstance(objective, SoftmaxCrossEntropy | SigmoidBinaryCrossEntropy):
        raise TypeError("The binary sum over softmax has no curvature: it can be negative.")
    if curvature is Curvature.ABSOLUTE_RESIDUAL:
        return np.abs(objective.gradient(ONE))
    exact = objective.hessian_diagonal()
    if curvature is Curvature.UPPER_BOUND:
        exact *= 2
    if curvature is Curvature.CLASS_SCALED:
        num_classes = len(exact)
        exact *= exact.dtype.type(num_classes / (num_classes - 1) if num_classes > 1 else 0.0)
    return exact
