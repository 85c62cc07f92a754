"""PyTorch: the service's loss as a module, whose backward pass is a local product.

    loss = gradient_client.torch.CrossEntropyLoss(client)
    loss(model(images), labels).backward()

Importing it imports PyTorch.
"""

# The framework's own types are unknown in part.
# pyright: basic
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Unpack

import torch

from ._refusal import refusal

if TYPE_CHECKING:
    from ._client import GradientClient
    from ._options import LossOptions

__all__ = ["CrossEntropyLoss"]


class CrossEntropyLoss(torch.nn.Module):
    """Cross-entropy by the service, for a model that is trained here.

    Formula: that of `GradientClient.loss`; backward multiplies ∂loss/∂logits, which came with the loss

    Args:
        client: who asks the service.
        options: as `GradientClient.loss` takes them, for every call. There is no `ignore_label` unless it is given.
    """

    def __init__(self, client: GradientClient, **options: Unpack[LossOptions]) -> None:
        super().__init__()
        self._client = client
        self._options = options

    def forward(self, logits: torch.Tensor, labels: torch.Tensor, **options: Unpack[LossOptions]) -> torch.Tensor:
        """The loss, in one call together with its gradient where that will be wanted.

        Args:
            logits: (N, K) of any floating dtype, on any device.
            labels: (N,) integers, or (N, K) target rows.
            options: more of them for this batch, such as `sample_weights`.

        Returns:
            The loss, or with `reduction="none"` (N,) losses, on the logits' device; of their dtype, but where PyTorch
            casts by itself float32 for half ones, as `torch.nn.functional.cross_entropy` has it. It cannot be
            differentiated twice.

        Raises:
            GradientClientError: the service could not be asked, or refused.
        """
        kind = "targets" if labels.is_floating_point() else "labels"
        asked: dict[str, Any] = {**self._options, **options, kind: labels}
        _check(logits, asked)
        output: Literal["loss", "losses"] = "losses" if asked.get("reduction") == "none" else "loss"
        if not (torch.is_grad_enabled() and logits.requires_grad):
            result = self._client.loss(logits, include=[output], **asked)
            return _loss_like(logits, getattr(result, output))

        def ask(detached: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = self._client.gradient(detached, include=[output, "gradient"], **asked)
            return _loss_like(logits, getattr(found, output)), torch.as_tensor(found.gradient, device=logits.device)

        loss: torch.Tensor = _Asked.apply(logits, ask)
        return loss

    def extra_repr(self) -> str:
        """The options, as modules show them."""
        return ", ".join(f"{name}={value!r}" for name, value in self._options.items())


def _check(logits: torch.Tensor, asked: dict[str, Any]) -> None:
    """Refuse what would come out wrong in silence: losses cut to whole numbers, and derivatives that are none."""
    if not logits.is_floating_point():
        raise refusal("logits", f"are of dtype {logits.dtype}", "pass floats, of whose dtype the loss is")
    for name, value in asked.items():
        if torch.is_grad_enabled() and isinstance(value, torch.Tensor) and value.requires_grad:
            raise refusal(name, "require a gradient", "the loss is differentiated by the logits alone; detach() them")


def _loss_like(logits: torch.Tensor, numbers: Any) -> torch.Tensor:
    """A number or an array as a tensor of the dtype that PyTorch's own loss would have, on the logits' device."""
    is_half = logits.dtype in {torch.float16, torch.bfloat16}
    dtype = torch.float32 if is_half and torch.is_autocast_enabled(logits.device.type) else logits.dtype
    return torch.as_tensor(numbers, dtype=torch.float64).to(logits.device, dtype)


class _Asked(torch.autograd.Function):
    """A loss that came with its gradient."""

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, ask: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    ) -> Any:
        loss, gradient = ask(logits)
        # As answered: half precision would lose small elements before loss scaling has multiplied them.
        ctx.save_for_backward(gradient)
        ctx.dtype = logits.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        if torch.is_grad_enabled():  # by create_graph=True: what follows would be taken for a constant, in silence
            raise RuntimeError("the service's loss cannot be differentiated twice")
        (gradient,) = ctx.saved_tensors
        # One number for the reduced loss, or one for each row.
        return (upstream.reshape(-1, 1) * gradient).to(ctx.dtype), None
