"""Softmax and cross-entropy as users write them in PyTorch, right and wrong; every gradient is autograd's.

A program takes a batch and returns what it would claim. Only tests that are marked `full` import this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from tests.core.checking.wrong_programs import Batch, Claims, Program

Tensor = Any
LossOf = Callable[[Batch, Tensor, Tensor], Tensor]
"""A loss by PyTorch of a batch, its logits and its labels."""


def by_autograd(loss_of: LossOf) -> Program:
    """The program that claims a loss and its gradient."""

    def program(batch: Batch) -> Claims:
        logits = torch.tensor(batch.logits, requires_grad=True)
        loss = loss_of(batch, logits, torch.tensor(batch.labels))
        loss.backward()
        return {"loss": loss.detach().numpy()[()], "gradient": logits.grad.numpy()}

    return program


def only(name: str, program: Program) -> Program:
    """The program with one of its claims alone."""
    return lambda batch: {name: program(batch)[name]}


def one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    """The labels as rows, in the dtype of the logits."""
    return functional.one_hot(labels, logits.shape[1]).to(logits.dtype)


def of_probabilities(p: Tensor, labels: Tensor) -> Tensor:
    """The mean of −log p at the labels."""
    return -p.log().gather(1, labels[:, None]).mean()


def tensor_of(batch: Batch, name: str) -> Tensor:
    """An option as a tensor."""
    return torch.tensor(batch.options[name])


right = by_autograd(lambda _, logits, labels: functional.cross_entropy(logits, labels))


def right_rows(batch: Batch) -> Claims:
    """Losses of rows, and probabilities."""
    logits, labels = torch.tensor(batch.logits), torch.tensor(batch.labels)
    losses = functional.cross_entropy(logits, labels, reduction="none")
    return {"losses": losses.numpy(), "probabilities": logits.softmax(dim=1).numpy()}


right_weighted = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(logits, labels, weight=tensor_of(batch, "class_weights"))
)
right_ignoring = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(logits, labels, ignore_index=batch.options["ignore_label"])
)
right_smoothed = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(
        logits, labels, label_smoothing=batch.options["label_smoothing"]
    )
)
right_with_temperature = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(logits / batch.options["temperature"], labels)
)
right_masked = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(
        logits.masked_fill(~tensor_of(batch, "class_mask"), -torch.inf), labels
    )
)
summed = by_autograd(lambda _, logits, labels: functional.cross_entropy(logits, labels, reduction="sum"))
divided_again = by_autograd(lambda _, logits, labels: functional.cross_entropy(logits, labels) / len(labels))
over_elements = by_autograd(lambda _, logits, labels: -(one_hot(logits, labels) * logits.log_softmax(dim=1)).mean())
weighted_over_rows = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(
        logits, labels, weight=tensor_of(batch, "class_weights"), reduction="none"
    ).mean()
)
without_minus = by_autograd(lambda _, logits, labels: logits.log_softmax(dim=1).gather(1, labels[:, None]).mean())
after_softmax = by_autograd(lambda _, logits, labels: functional.cross_entropy(logits.softmax(dim=1), labels))
of_given_probabilities = only("loss", by_autograd(lambda _, logits, labels: of_probabilities(logits, labels)))
in_bits = by_autograd(lambda _, logits, labels: -logits.softmax(dim=1).log2().gather(1, labels[:, None]).mean())
in_tens = by_autograd(lambda _, logits, labels: -logits.softmax(dim=1).log10().gather(1, labels[:, None]).mean())
labels_from_one = by_autograd(
    lambda _, logits, labels: functional.cross_entropy(logits, (labels + 1) % logits.shape[1])
)
as_if_not_ignored = by_autograd(
    lambda _, logits, labels: functional.cross_entropy(logits, labels.remainder(logits.shape[1]))
)
ignored_in_the_mean = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(
        logits, labels, ignore_index=batch.options["ignore_label"], reduction="none"
    ).mean()
)
textbook = by_autograd(
    lambda _, logits, labels: (
        functional.binary_cross_entropy(logits.softmax(dim=1), one_hot(logits, labels), reduction="sum") / len(labels)
    )
)
clamped = by_autograd(lambda _, logits, labels: of_probabilities(logits.softmax(dim=1).clamp(1e-3, 1 - 1e-3), labels))
clamped_below = by_autograd(lambda _, logits, labels: of_probabilities(logits.softmax(dim=1).clamp(min=1e-5), labels))
log_of_softmax = by_autograd(lambda _, logits, labels: of_probabilities(logits.softmax(dim=1), labels))
with_epsilon = by_autograd(lambda _, logits, labels: of_probabilities(logits.softmax(dim=1) + 1e-4, labels))
over_batch = by_autograd(lambda _, logits, labels: of_probabilities(logits.softmax(dim=0), labels))
masked_by_zero = by_autograd(
    lambda batch, logits, labels: functional.cross_entropy(logits * tensor_of(batch, "class_mask"), labels)
)


def masked_afterwards(batch: Batch) -> Claims:
    """Probabilities times the mask."""
    return {"probabilities": (torch.tensor(batch.logits).softmax(dim=1) * tensor_of(batch, "class_mask")).numpy()}


def unshifted(batch: Batch) -> Claims:
    """exp(s) as it stands."""
    exponentials = torch.tensor(batch.logits).exp()
    return {"probabilities": (exponentials / exponentials.sum(dim=1, keepdim=True)).numpy()}


unshifted_derived = by_autograd(
    lambda _, logits, labels: of_probabilities(logits.exp() / logits.exp().sum(dim=1, keepdim=True), labels)
)


def smoothed_over_others(batch: Batch) -> Claims:
    """ε/(K−1) on the classes that are not the label's, as many a label smoothing loss has it."""
    smoothing, num_classes = batch.options["label_smoothing"], batch.logits.shape[1]

    def loss_of(_: Batch, logits: Tensor, labels: Tensor) -> Tensor:
        targets = torch.full_like(logits, smoothing / (num_classes - 1)).scatter(1, labels[:, None], 1 - smoothing)
        return -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()

    return by_autograd(loss_of)(batch)


def temperature_once(batch: Batch) -> Claims:
    """The gradient with respect to the logits that are divided already."""
    scaled = Batch(batch.logits / batch.logits.dtype.type(batch.options["temperature"]), batch.labels)
    return only("gradient", right)(scaled)


def diagonal(batch: Batch) -> Claims:
    """Autograd's ∂E/∂p times p (1 − p)."""
    p = torch.tensor(batch.logits).softmax(dim=1).requires_grad_()
    of_probabilities(p, torch.tensor(batch.labels)).backward()
    p, by_p = p.detach(), p.grad
    return {"gradient": (by_p * p * (1 - p)).numpy()}


def turned(batch: Batch) -> Claims:
    """The gradient transposed, and viewed as (N, K)."""
    gradient = torch.tensor(right(batch)["gradient"])
    return {"gradient": gradient.T.contiguous().view(gradient.shape).numpy()}


def in_half(batch: Batch) -> Claims:
    """A model in bfloat16, its gradient sent in the dtype that was asked for."""
    logits = torch.tensor(batch.logits).bfloat16().requires_grad_()
    functional.cross_entropy(logits, torch.tensor(batch.labels)).backward()
    return {"gradient": logits.grad.to(torch.tensor(batch.logits).dtype).numpy()}
