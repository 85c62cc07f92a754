"""JAX: the losses of the service as a function to be differentiated, compiled and mapped.

    losses = gradient_client.jax.cross_entropy(client)
    jax.grad(lambda logits: losses(logits, labels).mean())(logits)

Importing it imports JAX.
"""

# The framework's own types are unknown in part.
# pyright: basic
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import jax
import numpy as np

from ._refusal import refusal

if TYPE_CHECKING:
    from ._client import GradientClient
    from ._options import ArrayLike, Objective, Precision, TargetsSum

__all__ = ["RowOptions", "cross_entropy"]


class RowOptions(TypedDict, total=False):
    """The options of `GradientClient.loss` that are the same for every row."""

    objective: Objective | None
    targets_sum: TargetsSum | None
    class_weights: ArrayLike | None
    class_mask: ArrayLike | None
    ignore_label: int | None
    label_smoothing: float | None
    temperature: float | None
    precision: Precision | None


def cross_entropy(client: GradientClient, **options: Unpack[RowOptions]) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Cross-entropy of each row by the service, as optax has it: reduce it as you like.

    Formula: that of `GradientClient.loss` with `reduction="none"`

    Args:
        client: who asks the service.
        options: see `RowOptions`.

    Returns:
        A function of logits (..., K) and labels (...), or target rows (..., K), to losses (...) of the logits' dtype.
        `grad` differentiates it once, by the logits alone; under `vmap` what is mapped over become more rows of the
        same call. Errors of the client reach you as the errors of JAX's callbacks, with their text.
    """

    def ask(outputs: list[Any], logits: Any, labels: Any) -> tuple[Any, ...]:
        kind = "labels" if labels.ndim < logits.ndim else "targets"
        rows, answers = np.asarray(logits), np.asarray(labels)
        asked: dict[str, Any] = {**options, kind: answers.reshape(-1, *answers.shape[rows.ndim - 1 :])}
        result = client.gradient(rows.reshape(-1, rows.shape[-1]), reduction="none", include=outputs, **asked)
        wanted = (_shapes_of(rows)[name] for name in outputs)
        return tuple(
            getattr(result, name).reshape(each.shape).astype(each.dtype)
            for name, each in zip(outputs, wanted, strict=True)
        )

    def called(outputs: list[str], logits: Any, labels: Any) -> Any:
        wanted = tuple(_shapes_of(logits)[name] for name in outputs)
        return jax.pure_callback(partial(ask, outputs), wanted, logits, labels, vmap_method="broadcast_all")

    def checked(logits: Any, labels: Any) -> Any:
        if not jax.numpy.issubdtype(jax.numpy.result_type(logits), jax.numpy.floating):
            dtype = jax.numpy.result_type(logits)
            raise refusal("logits", f"are of dtype {dtype}", "pass floats, of whose dtype the losses are")
        return losses(logits, labels)

    @jax.custom_vjp
    def losses(logits: Any, labels: Any) -> Any:
        return called(["losses"], logits, labels)[0]

    def forward(logits: Any, labels: Any) -> Any:
        return called(["losses", "gradient"], logits, labels)

    def backward(gradient: Any, upstream: Any) -> Any:
        return (upstream[..., None] * gradient).astype(upstream.dtype), None

    losses.defvjp(forward, backward)
    return checked


def _shapes_of(logits: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and dtype of what is asked for; the gradient's is at least float32, as it is answered.

    Half precision would lose small elements before loss scaling has multiplied them.
    """
    return {
        "losses": jax.ShapeDtypeStruct(logits.shape[:-1], logits.dtype),
        "gradient": jax.ShapeDtypeStruct(logits.shape, jax.numpy.promote_types(logits.dtype, "float32")),
    }
