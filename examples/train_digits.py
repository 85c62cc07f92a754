"""Train softmax regression on handwritten digits; every loss and every gradient comes from the service.

The model is one linear layer, in NumPy here. The service gets its logits and the labels and answers with the loss and
∂loss/∂logits; multiplying that by the images gives the gradients of the layer's weights. Start the service with
`make run`, then:

    .venv/bin/python examples/train_digits.py --check
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from tqdm import tqdm

from gradient_client import GradientClient

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
LossAndGradient = Callable[[Floats, Labels], tuple[float, Floats]]
"""From logits (N, K) and labels (N,) to the mean loss in nats and its gradient (N, K)."""

SEED = 0
TEST_SHARE = 0.2
BRIGHTEST_PIXEL = 16.0
LEARNING_RATE = 0.5
MOMENTUM = 0.9


class Split(NamedTuple):
    """Images (N, 64) scaled to [0, 1], and which digit (N,) each shows."""

    images: Floats
    labels: Labels


@dataclass(frozen=True)
class Layer:
    """A linear layer: weights (64, K) and bias (K,)."""

    weights: Floats
    bias: Floats

    def logits(self, images: Floats) -> Floats:
        """Scores (N, K) of images (N, 64)."""
        scores: Floats = images @ self.weights + self.bias
        return scores

    def accuracy(self, split: Split) -> float:
        """Share of the images whose largest logit is at their label."""
        return float(np.mean(self.logits(split.images).argmax(axis=1) == split.labels))


def load_splits() -> tuple[Split, Split]:
    """Training and test images of scikit-learn's digits, the same ones each time."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(labels))
    num_tests = round(TEST_SHARE * len(labels))
    tests, rest = order[:num_tests], order[num_tests:]
    scaled = images / BRIGHTEST_PIXEL
    return Split(scaled[rest], labels[rest]), Split(scaled[tests], labels[tests])


def train(split: Split, loss_and_gradient: LossAndGradient, *, epochs: int, title: str) -> tuple[Layer, float]:
    """Descend along the gradient of the whole split with momentum; return the layer and its loss at the end."""
    num_classes = int(split.labels.max()) + 1
    layer = Layer(np.zeros((split.images.shape[1], num_classes)), np.zeros(num_classes))
    velocity = layer
    with tqdm(range(epochs), desc=title, unit="epoch") as progress:
        for _ in progress:
            loss, gradient = loss_and_gradient(layer.logits(split.images), split.labels)
            progress.set_postfix(loss=f"{loss:.4f}")
            velocity = Layer(
                MOMENTUM * velocity.weights - LEARNING_RATE * (split.images.T @ gradient),
                MOMENTUM * velocity.bias - LEARNING_RATE * gradient.sum(axis=0),
            )
            layer = Layer(layer.weights + velocity.weights, layer.bias + velocity.bias)
    loss, _ = loss_and_gradient(layer.logits(split.images), split.labels)
    return layer, loss


def from_service(client: GradientClient) -> LossAndGradient:
    """Ask the service."""

    def loss_and_gradient(logits: Floats, labels: Labels) -> tuple[float, Floats]:
        result = client.gradient(logits, labels)
        return result.loss, result.gradient

    return loss_and_gradient


def in_numpy(logits: Floats, labels: Labels) -> tuple[float, Floats]:
    """Compute the same here, the plain way: E = log Σ_k exp(s_k) − s_label, and (p − c) / N."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    normalizer = exponentials.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    losses = np.log(normalizer[:, 0]) - shifted[rows, labels]
    gradient = exponentials / normalizer
    gradient[rows, labels] -= 1
    return float(losses.mean()), gradient / len(labels)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train softmax regression on digits, with gradients from the service.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the service listens (%(default)s)")
    parser.add_argument("--epochs", type=int, default=200, help="passes over the training images (%(default)s)")
    parser.add_argument("--check", action="store_true", help="train again in plain NumPy and compare the final losses")
    return parser.parse_args()


def main() -> None:
    """Train, print the final loss and the test accuracy, and on request compare with plain NumPy."""
    arguments = parse_arguments()
    training, tests = load_splits()
    with GradientClient(arguments.url) as client:
        client.wait_until_ready()
        layer, loss = train(training, from_service(client), epochs=arguments.epochs, title="service")
    print(f"final training loss: {loss:.15f}")
    print(f"test accuracy: {layer.accuracy(tests):.4f}")
    if arguments.check:
        _, plain = train(training, in_numpy, epochs=arguments.epochs, title="NumPy")
        print(f"final training loss in plain NumPy: {plain:.15f}")
        print(f"difference: {abs(loss - plain):.1e}")


if __name__ == "__main__":
    main()
