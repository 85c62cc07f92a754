"""The fewest passes of NumPy that loss and gradient take: what is left of a call when nothing else is done.

Blocks have the core's size, and short rows are transposed, as in the core. But nothing is checked, no digit is kept, no
output is looked at, and an exponential of 0 is as good as any: the distance to the core is what its promises cost, and
the distance to a compiled program what separate passes cost.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.blocks import BLOCK_BYTES, SHORT_ROW

Array = NDArray[Any]


def by_passes(logits: Array, labels: Array) -> tuple[float, Array]:
    """Loss and gradient of labels, blocks in order."""
    size, gradient, loss = max(1, BLOCK_BYTES // logits[:1].nbytes), np.empty_like(logits), 0.0
    for start in range(0, len(logits), size):
        rows = slice(start, start + size)
        if logits.shape[1] < SHORT_ROW:
            loss += _of_columns(logits[rows], labels[rows], gradient[rows], len(logits))
        else:
            loss += _of_rows(logits[rows], labels[rows], gradient[rows], len(logits))
    return loss / len(logits), gradient


def _of_rows(logits: Array, labels: Array, gradient: Array, batch_size: int) -> float:
    at_label = np.arange(len(labels)) * logits.shape[1] + labels
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1)
    np.multiply(exponentials, (1 / (sums * batch_size))[:, np.newaxis], out=gradient)
    gradient.ravel()[at_label] -= 1 / batch_size
    return float((np.log(sums) - shifted.ravel().take(at_label)).sum())


def _of_columns(logits: Array, labels: Array, gradient: Array, batch_size: int) -> float:
    """Do the same with one class a row of the arrays, whose rows are long then."""
    at_label = labels * len(labels) + np.arange(len(labels))
    shifted = logits.T.copy()
    shifted -= shifted.max(axis=0)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=0)
    exponentials *= 1 / (sums * batch_size)
    exponentials.ravel()[at_label] -= 1 / batch_size
    gradient[...] = exponentials.T
    return float((np.log(sums) - shifted.ravel().take(at_label)).sum())
