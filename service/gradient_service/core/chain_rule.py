"""The chain rule multiplied out: ∂E/∂s_i = Σ_j (∂E/∂p_j)(∂p_j/∂s_i), and with a temperature one more factor 1/T.

The factors themselves stand with each objective; here they only meet.
"""

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.scaled import Scaled


def multiply_out(loss_wrt_probabilities: Array, jacobian: Array, temperature: float) -> Array:
    """Return Σ_j (∂E/∂p_j)(∂p_j/∂s_i)/T of a block.

    A T < 1 enlarges the Jacobian, which lies below 1, before it is multiplied: a sum in the subnormal range would
    have lost digits to be enlarged.

    Args:
        loss_wrt_probabilities: (rows, K).
        jacobian: (rows, K, K); symmetric for every objective, so the sum runs along contiguous rows.
        temperature: T.

    Returns:
        (rows, K), in the dtype of the factors.
    """
    inverse = Scaled.of(1.0).over(temperature)
    if temperature < 1:
        return np.asarray(np.add.reduce(inverse.scale(jacobian) * loss_wrt_probabilities[:, np.newaxis, :], axis=2))
    return inverse.scale(np.asarray(np.add.reduce(jacobian * loss_wrt_probabilities[:, np.newaxis, :], axis=2)))
