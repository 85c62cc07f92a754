"""What users write in JAX; each runs in a process of its own, because JAX does not bear the forks of other tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradient_client import GradientClient, InputError

LOGITS = np.random.default_rng(7).normal(scale=3, size=(4, 5, 3))
LABELS = np.random.default_rng(8).integers(0, 3, (4, 5))
TARGETS = np.random.default_rng(9).dirichlet(np.ones(3), (4, 5))


def worst_errors() -> dict[str, float]:
    """How far losses and gradients are from those of optax, however they are asked for; in float64."""
    import jax  # noqa: PLC0415 - only the process that computes needs it
    import optax  # noqa: PLC0415 - the same

    from gradient_client.jax import cross_entropy  # noqa: PLC0415 - it imports JAX

    jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX knows no name for it
    with GradientClient.in_process(timeout=60) as client:
        ours, theirs = cross_entropy(client), optax.softmax_cross_entropy_with_integer_labels
        check_grads(jax, ours)
        found: dict[str, float] = {}
        for name, ask in ways(jax).items():
            pairs = zip(jax.tree.leaves(ask(ours)), jax.tree.leaves(ask(theirs)), strict=True)
            found[name] = max(float(np.abs(a - b).max()) for a, b in pairs)
        soft = ours(LOGITS, TARGETS) - optax.softmax_cross_entropy(LOGITS, TARGETS)
        return found | {"target rows": float(np.abs(soft).max())}


def check_grads(jax: Any, losses: Any) -> None:
    """JAX's own difference quotients."""
    from jax.test_util import check_grads as check  # noqa: PLC0415 - only the process that computes needs it

    check(lambda logits: losses(logits, LABELS), (jax.numpy.asarray(LOGITS),), order=1, modes=["rev"])


def ways(jax: Any) -> dict[str, Any]:
    """Ways to ask for losses and gradients."""
    weights = np.linspace(-1, 1, LABELS.size).reshape(LABELS.shape)

    def weighted(losses: Any) -> Any:
        return lambda logits, labels: (losses(logits, labels) * weights).sum()

    def mean(losses: Any) -> Any:
        return lambda logits, labels: losses(logits, labels).mean()

    return {
        "losses": lambda losses: losses(LOGITS, LABELS),
        "one row": lambda losses: losses(LOGITS[0, 0], LABELS[0, 0]),
        "gradient": lambda losses: jax.grad(weighted(losses))(LOGITS, LABELS),
        "jit": lambda losses: jax.jit(jax.value_and_grad(weighted(losses)))(LOGITS, LABELS),
        "vmap": lambda losses: jax.vmap(losses)(LOGITS, LABELS),
        "vmap of the gradient": lambda losses: jax.vmap(jax.grad(mean(losses)))(LOGITS, LABELS),
        "vmap over labels": lambda losses: jax.vmap(losses, in_axes=(None, 0))(LOGITS[0], LABELS),
        "jit of vmap of vmap": lambda losses: jax.jit(jax.vmap(jax.vmap(losses)))(LOGITS, LABELS),
    }


def calls_and_dtypes() -> tuple[int, list[str]]:
    """How many calls a mapped gradient takes, and the dtypes of losses of three floating dtypes."""
    import jax  # noqa: PLC0415 - only the process that computes needs it

    from gradient_client.jax import cross_entropy  # noqa: PLC0415 - it imports JAX

    done: list[str] = []
    with GradientClient.in_process(timeout=60, on_event=lambda event: done.append(event.kind)) as client:
        losses = cross_entropy(client, label_smoothing=0.1)
        jax.vmap(jax.grad(lambda logits, labels: losses(logits, labels).mean()))(LOGITS, LABELS).block_until_ready()
        calls = done.count("done")
        dtypes = ("float16", "bfloat16", "float32")
        return calls, [str(losses(jax.numpy.asarray(LOGITS, dtype), LABELS).dtype) for dtype in dtypes]


def scaled_gradient() -> Any:
    """The gradient of a scaled loss of float16 logits, most of which float16 could not hold before the scaling."""
    import jax  # noqa: PLC0415 - only the process that computes needs it

    from gradient_client.jax import cross_entropy  # noqa: PLC0415 - it imports JAX

    with GradientClient.in_process(timeout=60) as client:
        losses = cross_entropy(client)
        gradient = jax.grad(lambda logits: losses(logits, np.array([0])).mean() * 4096.0)
        return np.asarray(gradient(jax.numpy.asarray([[0.0, -18.0, -20.0]], "float16")))


def inputs() -> list[Any]:
    """Probabilities of JAX's arrays of three floating dtypes."""
    import jax  # noqa: PLC0415 - only the process that computes needs it

    with GradientClient.in_process() as client:
        arrays = [jax.numpy.asarray([[1.0, 2.0]], dtype) for dtype in ("float16", "bfloat16", "float32")]
        return [client.softmax(array).probabilities for array in arrays]


def refused_integers() -> str:
    """What is said of logits that are whole numbers."""
    from jax import numpy as jnp  # noqa: PLC0415 - only the process that computes needs it

    from gradient_client.jax import cross_entropy  # noqa: PLC0415 - it imports JAX

    with GradientClient.in_process(timeout=60) as client:
        try:
            cross_entropy(client)(jnp.array([[1, 2, 3]]), jnp.array([0]))
        except InputError as error:
            return str(error)
    return ""
