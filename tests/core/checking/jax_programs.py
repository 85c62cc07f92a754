"""The right program as users of JAX and optax write it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.core.checking.wrong_programs import Batch, Claims


def right(batch: Batch) -> Claims:
    """The mean loss and its gradient."""
    import jax  # noqa: PLC0415  only the process that computes needs it
    import optax  # noqa: PLC0415  the same

    def loss_of(logits: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels).mean()

    with jax.enable_x64(True):  # noqa: FBT003  JAX knows no name for it
        loss, gradient = jax.value_and_grad(loss_of)(jax.numpy.asarray(batch.logits))
        return {"loss": np.asarray(loss)[()], "gradient": np.asarray(gradient)}
