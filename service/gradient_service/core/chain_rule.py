"""The chain rule multiplied out: ∂E/∂s_i = Σ_j (∂E/∂p_j)(∂p_j/∂s_i), and with a temperature one more factor 1/T.

The factors themselves stand with each objective; here they only meet.
"""

import numpy as np

from gradient_service.core.blocks import Array


def multiply_out(loss_wrt_probabilities: Array, jacobian: Array) -> Array:
    """Return Σ_j (∂E/∂p_j)(∂p_j/∂s_i) of a block.

    Args:
        loss_wrt_probabilities: (rows, K).
        jacobian: (rows, K, K); symmetric for every objective, so the sum runs along contiguous rows.

    Returns:
        (rows, K), in the dtype of the factors.
    """
    return np.asarray(np.add.reduce(jacobian * loss_wrt_probabilities[:, np.newaxis, :], axis=2))
