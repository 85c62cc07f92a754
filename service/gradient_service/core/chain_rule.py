"""The chain rule multiplied out: ∂E/∂s_i = Σ_j (∂E/∂p_j)(∂p_j/∂s_i), and with a temperature one more factor 1/T.

The factors themselves stand with each objective; here they only meet.
"""

import numpy as np

from gradient_service.core.blocks import WIDE, Array


def multiply_out(loss_wrt_probabilities: Array, jacobian: Array, temperature: float) -> Array:
    """Return Σ_j (∂E/∂p_j)(∂p_j/∂s_i)/T of a block, in a range where no term vanishes or overflows before 1/T.

    Args:
        loss_wrt_probabilities: (rows, K).
        jacobian: (rows, K, K); symmetric for every objective.
        temperature: T.

    Returns:
        (rows, K).
    """
    is_finite = np.isfinite(loss_wrt_probabilities)
    factors = np.where(is_finite, loss_wrt_probabilities, 0.0)
    product = (jacobian.astype(WIDE) @ factors[:, :, np.newaxis])[:, :, 0] / temperature
    # What is made from an infinite factor is none of its own: it is refused at the class of the factor.
    return np.where(is_finite, product, np.inf)
