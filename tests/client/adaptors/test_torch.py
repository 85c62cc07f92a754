"""PyTorch trains through the service: gradients, losses, dtypes, and what is refused."""

from __future__ import annotations

import pickle
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from gradient_client import GradientClient, InputError, RejectedInputError

torch: Any = import_module("torch") if find_spec("torch") else None
"""Not there where only the tests run that need no framework, of which these are none."""
pytestmark = pytest.mark.full

LABELS = [2, 0, 1, 2]


def module(client: GradientClient, **options: Any) -> Any:
    """The loss as a module."""
    from gradient_client.torch import CrossEntropyLoss  # noqa: PLC0415 - it imports PyTorch

    return CrossEntropyLoss(client, **options)


def logits(dtype: Any = None) -> Any:
    """Four rows of three classes."""
    drawn = torch.randn(4, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return drawn.to(dtype or torch.float64).requires_grad_()


OPTIONS: dict[str, dict[str, Any]] = {
    "mean": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "smoothed": {"label_smoothing": 0.1},
    "class weights": {"class_weights": [1.0, 2.0, 3.0]},
    "ignored": {"ignore_label": 0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_gradcheck(client: GradientClient, name: str) -> None:
    """PyTorch's own difference quotients agree with what backward gives."""
    loss = module(client, **OPTIONS[name])
    assert torch.autograd.gradcheck(lambda scores: loss(scores, torch.tensor(LABELS)), (logits(),))


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_those_of_pytorch(client: GradientClient, name: str) -> None:
    """Loss and gradient are those of `torch.nn.functional.cross_entropy` with the same options."""
    given, theirs, ours = OPTIONS[name], logits(), logits()
    weight = torch.tensor(given["class_weights"], dtype=torch.float64) if "class_weights" in given else None
    expected = torch.nn.functional.cross_entropy(
        theirs,
        torch.tensor(LABELS),
        weight=weight,
        ignore_index=given.get("ignore_label", -100),
        reduction=given.get("reduction", "mean"),
        label_smoothing=given.get("label_smoothing", 0.0),
    )
    found = module(client, **given)(ours, torch.tensor(LABELS))
    torch.testing.assert_close(found, expected)
    expected.square().sum().backward()
    found.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_target_rows(client: GradientClient) -> None:
    """Floating labels are target rows."""
    targets = torch.softmax(logits().detach() * 2, dim=1)
    expected = torch.nn.functional.cross_entropy(logits(), targets)
    torch.testing.assert_close(module(client)(logits(), targets), expected)


def test_a_network_trains_to_the_same_losses(client: GradientClient) -> None:
    """A small network that learns through the service takes the way it takes by PyTorch's own loss."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(200, 8, generator=generator)
    labels = (inputs @ torch.randn(8, 5, generator=generator)).argmax(dim=1)

    def losses_of(loss: Any) -> list[float]:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 5))
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
        taken = []
        for _ in range(50):
            optimizer.zero_grad()
            found = loss(network(inputs), labels)
            found.backward()
            optimizer.step()
            taken.append(found.item())
        return taken

    ours, theirs = losses_of(module(client)), losses_of(torch.nn.functional.cross_entropy)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert ours[-1] < ours[0] / 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_dtype_stays(client: GradientClient, dtype: str) -> None:
    """Loss and gradient have the dtype of the logits, as PyTorch's have."""
    scores = logits(getattr(torch, dtype))
    loss = module(client)(scores, torch.tensor(LABELS))
    loss.backward()
    assert loss.dtype == scores.grad.dtype == getattr(torch, dtype)


def test_loss_scaling_keeps_small_gradients(client: GradientClient) -> None:
    """What half precision would flush to 0 is multiplied first; it was the other way round."""
    generator = torch.Generator().manual_seed(5)
    drawn, labels = torch.randn(64, 1000, generator=generator) * 2, torch.arange(64)
    half = drawn.half().requires_grad_()
    double = half.detach().double().requires_grad_()
    (module(client)(half, labels) * 4096.0).backward()
    (torch.nn.functional.cross_entropy(double, labels) * 4096.0).backward()
    assert half.grad.count_nonzero() == drawn.numel()
    torch.testing.assert_close(half.grad, double.grad.half())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("is_training", [True, False])
def test_the_dtype_under_autocast(client: GradientClient, dtype: str, *, is_training: bool) -> None:
    """Where PyTorch casts by itself, the loss has the dtype of PyTorch's own, and the gradient that of the logits."""
    scores = logits(getattr(torch, dtype)).requires_grad_(is_training)
    with torch.autocast("cpu", torch.bfloat16):
        loss = module(client)(scores, torch.tensor(LABELS))
        expected = torch.nn.functional.cross_entropy(scores, torch.tensor(LABELS))
    assert loss.dtype == expected.dtype
    if is_training:
        loss.backward()
        assert scores.grad.dtype == scores.dtype


def test_without_gradients_only_the_loss_is_asked_for(client: GradientClient) -> None:
    """Validation sends no gradient back."""
    operations: list[str] = []
    with (
        GradientClient.in_process(on_event=lambda event: operations.append(event.operation)) as observed,
        torch.no_grad(),
    ):
        loss = module(observed)(logits(), torch.tensor(LABELS))
    assert {*operations} == {"loss"}
    torch.testing.assert_close(loss, module(client)(logits(), torch.tensor(LABELS)).detach())


def test_options_of_one_batch(client: GradientClient) -> None:
    """Weights of the rows change from batch to batch."""
    rows = module(client, reduction="none")(logits(), torch.tensor(LABELS))
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5], dtype=torch.float64)
    found = module(client)(logits(), torch.tensor(LABELS), sample_weights=weights)
    torch.testing.assert_close(found, (rows * weights).sum() / weights.sum())


def test_it_cannot_be_differentiated_twice(client: GradientClient) -> None:
    """A second derivative is refused instead of being silently 0."""
    scores = logits()
    loss = module(client)(scores, torch.tensor(LABELS))
    with pytest.raises(RuntimeError, match="differentiated twice"):
        torch.autograd.grad(loss, scores, create_graph=True)


def test_logits_are_floats(client: GradientClient) -> None:
    """A loss of whole numbers would be cut."""
    with pytest.raises(InputError, match=r"logits are of dtype torch\.int64: pass floats"):
        module(client)(torch.tensor([[1, 2, 3]]), torch.tensor([0]))


@pytest.mark.parametrize("name", ["targets", "sample_weights"])
def test_what_is_no_constant_is_refused(client: GradientClient, name: str) -> None:
    """Targets and weights were once taken for constants in silence, though they were to be trained."""
    targets, weights = torch.full((1, 3), 1 / 3), torch.ones(1)
    {"targets": targets, "sample_weights": weights}[name].requires_grad_()
    scores = torch.zeros(1, 3, requires_grad=True)
    with pytest.raises(InputError, match=f"{name} require a gradient: .* detach"):
        module(client)(scores, targets, sample_weights=weights)
    with torch.no_grad():
        assert module(client)(scores, targets, sample_weights=weights).item() > 0


def test_refusals_reach_the_caller(client: GradientClient) -> None:
    """A label out of range is the client's error, from the forward pass."""
    with pytest.raises(RejectedInputError):
        module(client)(logits(), torch.tensor([0, 1, 2, 3]))


def test_a_module_pickles_and_shows_its_options(client: GradientClient) -> None:
    """It is saved with a model, and prints like any other."""
    twin = pickle.loads(pickle.dumps(module(client, label_smoothing=0.1)))  # noqa: S301 - our own object
    assert repr(twin) == "CrossEntropyLoss(label_smoothing=0.1)"
    assert twin(logits(), torch.tensor(LABELS)).item() > 0
    twin._client.close()
