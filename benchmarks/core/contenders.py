"""Loss and gradient of labels by everyone that is compared, each as its users would write it for speed."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
import optax
import scipy.special
import torch
from numpy.typing import NDArray

from benchmarks.core.ours import ours
from benchmarks.core.passes import by_passes
from gradient_service.core.options import Precision

Array = NDArray[Any]
Call = Callable[[], Any]
FAST, ACCURATE, FAST_TWO, ACCURATE_TWO = "fast", "accurate", "fast, 2 threads", "accurate, 2 threads"
EAGER, COMPILED, SCIPY, JAX = "PyTorch eager", "torch.compile", "SciPy", "JAX"
PASSES, COPY = "NumPy's passes alone", "memory copy"


def of_one_thread(logits: Array, labels: Array) -> Mapping[str, Call]:
    """Everyone, each with its arrays where it wants them."""
    return {
        FAST: ours(logits, labels, Precision.FAST),
        ACCURATE: ours(logits, labels, Precision.ACCURATE),
        EAGER: by_torch(torch.from_numpy(logits), torch.from_numpy(labels)),
        COMPILED: by_compiled_torch(torch.from_numpy(logits), torch.from_numpy(labels)),
        SCIPY: partial(by_scipy, logits, labels),
        JAX: by_jax(logits, labels),
        PASSES: partial(by_passes, logits, labels),
        COPY: logits.copy,
    }


def of_two_threads(logits: Array, labels: Array) -> Mapping[str, Call]:
    """The core alone and with a second thread."""
    return {
        FAST: ours(logits, labels, Precision.FAST),
        FAST_TWO: ours(logits, labels, Precision.FAST, threads=2),
        ACCURATE: ours(logits, labels, Precision.ACCURATE),
        ACCURATE_TWO: ours(logits, labels, Precision.ACCURATE, threads=2),
    }


def by_torch(logits: torch.Tensor, labels: torch.Tensor) -> Call:
    """The function and autograd."""
    logits = logits.clone().requires_grad_()

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        loss = torch.nn.functional.cross_entropy(logits, labels)
        (gradient,) = torch.autograd.grad(loss, logits)
        return loss.detach(), gradient

    return call


def by_compiled_torch(logits: torch.Tensor, labels: torch.Tensor) -> Call:
    """Loss and gradient written out, so that one program holds both, and compiled for this shape."""
    torch.compiler.reset()
    compiled = torch.compile(_fused, dynamic=False)
    return lambda: compiled(logits, labels)


def _fused(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    shifted = logits - logits.amax(1, keepdim=True)
    exponentials = shifted.exp()
    sums = exponentials.sum(1, keepdim=True)
    loss = (sums.log() - shifted.gather(1, labels[:, None])).mean()
    is_label = torch.arange(logits.shape[1]) == labels[:, None]
    return loss, (exponentials / sums - is_label.to(logits.dtype)) / logits.shape[0]


def by_scipy(logits: Array, labels: Array) -> tuple[Any, Array]:
    """SciPy's two functions."""
    rows = np.arange(len(labels))
    loss = -scipy.special.log_softmax(logits, axis=1)[rows, labels].mean()
    gradient = scipy.special.softmax(logits, axis=1)
    gradient[rows, labels] -= 1
    gradient /= len(labels)
    return loss, gradient


def by_jax(logits: Array, labels: Array) -> Call:
    """The function of optax, differentiated and compiled for this shape."""

    def loss(scores: Any, classes: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(scores, classes).mean()

    compiled, arrays = jax.jit(jax.value_and_grad(loss)), (jax.device_put(logits), jax.device_put(labels))
    return lambda: jax.block_until_ready(compiled(*arrays))
