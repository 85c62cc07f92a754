"""The chain rule multiplied out: ∂E/∂s_i = Σ_j (∂E/∂p_j)(∂p_j/∂s_i), and with a temperature one more factor 1/T.

The factors themselves stand with each objective; here they only meet.
"""

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.scaled import Scaled


def multiply_out(loss_wrt_probabilities: Array, jacobian: Array, temperature: float) -> Array:
    """Return Σ_j (∂E/∂p_j)(∂p_j/∂s_i)/T of a block; each term is rounded once, so that none vanishes before 1/T.

    Args:
        loss_wrt_probabilities: (rows, K).
        jacobian: (rows, K, K); symmetric for every objective, so the sum runs along contiguous rows.
        temperature: T.

    Returns:
        (rows, K), in the dtype of the factors.
    """
    terms = Scaled.of(jacobian).times(loss_wrt_probabilities[:, np.newaxis, :]).over(temperature)
    product = np.asarray(np.add.reduce(terms.value, axis=2))
    # What is made from an infinite factor is none of its own: it is refused at the class of the factor.
    return np.where(np.isfinite(loss_wrt_probabilities), product, np.inf)
