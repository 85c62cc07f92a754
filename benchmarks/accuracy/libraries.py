"""The same eight outputs by this service, PyTorch, SciPy and JAX, each as its users would write it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
import scipy.special
import torch
from numpy.typing import NDArray

from gradient_service.core.evaluate import loss_and_gradient, softmax
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Objective, Precision, Reduction

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A few rows, and what they are compared with."""

    logits: Array
    labels: Array
    targets: Array
    one_hot: Array


Outputs = dict[str, Callable[[Case], Array]]


def by_service(precision: Precision) -> Outputs:
    """Return the outputs of this service's core."""

    def of_scores(name: str, case: Case) -> Array:
        return softmax(Scores(logits=case.logits, precision=precision), [name], Execution())[name]

    def of_loss(name: str, supervise: Callable[[Case], Supervision], case: Case) -> Array:
        scores, rule = Scores(logits=case.logits, precision=precision), ReductionRule(kind=Reduction.SUM)
        return loss_and_gradient(scores, supervise(case), rule, [name], Execution()).arrays[name]

    def labels(case: Case) -> Supervision:
        return Supervision(labels=case.labels)

    def targets(case: Case) -> Supervision:
        return Supervision(targets=case.targets)

    def binary(case: Case) -> Supervision:
        return Supervision(targets=case.one_hot, objective=Objective.SIGMOID_BINARY_CROSS_ENTROPY)

    return {
        "softmax": partial(of_scores, "probabilities"),
        "log-softmax": partial(of_scores, "log_probabilities"),
        "loss, labels": partial(of_loss, "losses", labels),
        "loss, soft targets": partial(of_loss, "losses", targets),
        "gradient, labels": partial(of_loss, "gradient", labels),
        "binary loss": partial(of_loss, "losses", binary),
        "binary gradient": partial(of_loss, "gradient", binary),
        "Jacobian": partial(of_loss, "jacobian", labels),
    }


def by_torch() -> Outputs:
    """Return PyTorch's outputs: its functions and its autograd."""
    functional = torch.nn.functional

    def loss(case: Case, logits: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, torch.from_numpy(case.labels), reduction="none")

    def binary(case: Case, logits: torch.Tensor) -> torch.Tensor:
        one_hot = torch.from_numpy(case.one_hot)
        return functional.binary_cross_entropy_with_logits(logits, one_hot, reduction="none").sum(1)

    def gradient(of: Callable[[Case, torch.Tensor], torch.Tensor], case: Case) -> Array:
        differentiate = torch.func.grad(lambda logits: of(case, logits).sum())
        return np.asarray(differentiate(torch.from_numpy(case.logits)).numpy())

    def jacobian(case: Case) -> Array:
        per_row = torch.func.vmap(torch.func.jacrev(partial(functional.softmax, dim=0)))
        return np.asarray(per_row(torch.from_numpy(case.logits)).numpy())

    def on_logits(function: Callable[..., torch.Tensor], case: Case) -> Array:
        return np.asarray(function(torch.from_numpy(case.logits), 1).numpy())

    def soft_loss(case: Case) -> Array:
        logits, targets = torch.from_numpy(case.logits), torch.from_numpy(case.targets)
        return np.asarray(functional.cross_entropy(logits, targets, reduction="none").numpy())

    return {
        "softmax": partial(on_logits, functional.softmax),
        "log-softmax": partial(on_logits, functional.log_softmax),
        "loss, labels": lambda case: loss(case, torch.from_numpy(case.logits)).numpy(),
        "loss, soft targets": soft_loss,
        "gradient, labels": partial(gradient, loss),
        "binary loss": lambda case: binary(case, torch.from_numpy(case.logits)).numpy(),
        "binary gradient": partial(gradient, binary),
        "Jacobian": jacobian,
    }


def by_scipy() -> Outputs:
    """Return SciPy's softmax, log_softmax, expit and log_expit in the formulas around them."""
    rows = partial(scipy.special.log_softmax, axis=1)

    def jacobian(case: Case) -> Array:
        p = scipy.special.softmax(case.logits, axis=1)
        return np.asarray(p[:, :, None] * np.eye(p.shape[1], dtype=p.dtype) - p[:, :, None] * p[:, None, :])

    def binary_loss(case: Case) -> Array:
        signed = np.where(case.one_hot == 1, case.logits, -case.logits)
        return np.asarray(-scipy.special.log_expit(signed).sum(axis=1))

    return {
        "softmax": lambda case: np.asarray(scipy.special.softmax(case.logits, axis=1)),
        "log-softmax": lambda case: np.asarray(rows(case.logits)),
        "loss, labels": lambda case: np.asarray(-rows(case.logits)[np.arange(len(case.labels)), case.labels]),
        "loss, soft targets": lambda case: np.asarray(-(case.targets * rows(case.logits)).sum(axis=1)),
        "gradient, labels": lambda case: np.asarray(scipy.special.softmax(case.logits, axis=1) - case.one_hot),
        "binary loss": binary_loss,
        "binary gradient": lambda case: np.asarray(scipy.special.expit(case.logits) - case.one_hot),
        "Jacobian": jacobian,
    }


def by_jax() -> Outputs:
    """Return the outputs of JAX and optax: their functions and automatic differentiation."""

    def loss(case: Case, logits: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(logits, case.labels)

    def binary(case: Case, logits: Any) -> Any:
        return optax.sigmoid_binary_cross_entropy(logits, case.one_hot).sum(axis=1)

    def gradient(of: Callable[[Case, Any], Any], case: Case) -> Array:
        return np.asarray(jax.grad(lambda logits: of(case, logits).sum())(case.logits))

    return {
        "softmax": lambda case: np.asarray(jax.nn.softmax(case.logits, axis=1)),
        "log-softmax": lambda case: np.asarray(jax.nn.log_softmax(case.logits, axis=1)),
        "loss, labels": lambda case: np.asarray(loss(case, case.logits)),
        "loss, soft targets": lambda case: np.asarray(optax.softmax_cross_entropy(case.logits, case.targets)),
        "gradient, labels": partial(gradient, loss),
        "binary loss": lambda case: np.asarray(binary(case, case.logits)),
        "binary gradient": partial(gradient, binary),
        "Jacobian": lambda case: np.asarray(jax.vmap(jax.jacrev(jax.nn.softmax))(case.logits)),
    }
