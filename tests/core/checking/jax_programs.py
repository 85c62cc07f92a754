"""Right programs as users of JAX and optax write them; a process that computes imports JAX, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.core.checking.wrong_programs import Batch, Claims


def right(batch: Batch) -> Claims:
    """The mean loss and its gradient."""
    import optax  # noqa: PLC0415  only the process that computes needs it

    return derived(lambda logits: optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean(), batch)


def textbook(batch: Batch) -> Claims:
    """The binary formula over softmax, through 1 − p."""
    import jax  # noqa: PLC0415  the same

    def loss_of(logits: Any) -> Any:
        p = jax.nn.softmax(logits)
        return -jax.numpy.where(batch.one_hot > 0, jax.numpy.log(p), jax.numpy.log(1 - p)).sum(axis=1).mean()

    return derived(loss_of, batch)


def derived(loss_of: Callable[[Any], Any], batch: Batch) -> Claims:
    """A loss and its gradient by JAX, in the dtype of the logits; compiled whole, as users do, and not by operation."""
    import jax  # noqa: PLC0415  the same

    with jax.enable_x64(True):  # noqa: FBT003  JAX knows no name for it
        loss, gradient = jax.jit(jax.value_and_grad(loss_of))(jax.numpy.asarray(batch.logits))
        return {"loss": np.asarray(loss)[()], "gradient": np.asarray(gradient)}
