"""Losses of other libraries, written out in NumPy as their documentation defines them, under their argument names.

Only what `docs/mapping.md` calls is here. Layout: scores (N, K) with classes last, unless an axis says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def log_softmax(scores: Floats, axis: int = 1) -> Floats:
    """x − log Σ exp x."""
    result: Floats = scores - np.log(np.exp(scores).sum(axis=axis, keepdims=True))
    return result


def softmax(scores: Floats, axis: int = 1) -> Floats:
    """exp x / Σ exp x."""
    result: Floats = np.exp(log_softmax(scores, axis))
    return result


def one_hot(labels: Indices, num_classes: int) -> Floats:
    """1 at the label, 0 elsewhere."""
    return np.eye(num_classes)[labels]


def sigmoid_losses(scores: Floats, targets: Floats, positive: Any = 1.0) -> Floats:
    """−[q c log p + (1 − c) log(1 − p)] of each element, p = 1/(1 + exp(−x))."""
    p = 1 / (1 + np.exp(-scores))
    result: Floats = -(positive * targets * np.log(p) + (1 - targets) * np.log(1 - p))
    return result


def nll_loss(
    log_p: Floats,
    target: Indices,
    weight: Floats | None = None,
    ignore_index: int | None = -100,
    reduction: str = "mean",
) -> Any:
    """PyTorch and ONNX: l_n = −w_y log p_y, 0 where ignored; the mean divides by Σ w_y of the others."""
    log_p = np.moveaxis(log_p, 1, -1)
    is_counted = np.ones(target.shape, bool) if ignore_index is None else target != ignore_index
    labels = np.where(is_counted, target, 0)
    weights = (np.ones(log_p.shape[-1]) if weight is None else weight)[labels] * is_counted
    losses = -weights * np.take_along_axis(log_p, labels[..., np.newaxis], -1)[..., 0]
    if reduction == "mean":
        return losses.sum() / weights.sum()
    return losses.sum() if reduction == "sum" else losses


def torch_cross_entropy(
    scores: Floats,
    target: Any,
    weight: Floats | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """PyTorch: with class indices the mean divides by Σ w_y, with probabilities by N, smoothed or not."""
    log_p = log_softmax(scores)
    num_classes = scores.shape[1]
    weights = np.ones(num_classes) if weight is None else weight
    if np.issubdtype(target.dtype, np.integer):
        plain = nll_loss(log_p, target, weight, ignore_index, reduction)
        if not label_smoothing:
            return plain
        uniform = -(log_p * weights).sum(axis=1)
        uniform = uniform.sum() / weights[target].sum()
        assert reduction == "mean"
        return (1 - label_smoothing) * plain + label_smoothing / num_classes * uniform
    smoothed = (1 - label_smoothing) * target + label_smoothing / num_classes
    assert reduction == "mean"
    return -(weights * smoothed * log_p).sum() / len(scores)


def torch_binary_cross_entropy_with_logits(
    scores: Floats, target: Floats, weight: Any = 1.0, reduction: str = "mean", pos_weight: Any = 1.0
) -> Any:
    """PyTorch: the mean is over elements, N·K of them, whatever the weights."""
    losses = weight * sigmoid_losses(scores, target, pos_weight)
    return {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]


def onnx_softmax_cross_entropy_loss(
    scores: Floats,
    labels: Indices,
    weights: Floats | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """ONNX: as the negative log-likelihood of log softmax; no label is ignored unless one is named."""
    return nll_loss(log_softmax(scores), labels, weights, ignore_index, reduction)


def onnx_negative_log_likelihood_loss(
    log_p: Floats,
    target: Indices,
    weight: Floats | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Any:
    """ONNX: what it is given are log-probabilities."""
    return nll_loss(log_p, target, weight, ignore_index, reduction)


def keras_reduce(losses: Floats, reduction: str | None, sample_weight: Any = None, mask: Any = None) -> Any:
    """Keras 3: the sum by the number of unmasked losses, or by Σ of their sample weights if named so."""
    mask = np.ones_like(losses) if mask is None else mask
    weights = mask * (1.0 if sample_weight is None else sample_weight)
    total = (losses * weights).sum()
    if reduction == "mean_with_sample_weight":
        return total / weights.sum()
    return {"sum_over_batch_size": total / mask.sum(), "sum": total, None: losses * weights}[reduction]


@dataclass
class KerasSparseCategoricalCrossentropy:
    """Keras 3."""

    from_logits: bool = False
    ignore_class: int | None = None
    reduction: str | None = "sum_over_batch_size"

    def __call__(self, y_true: Indices, y_pred: Floats, sample_weight: Any = None) -> Any:
        """The loss of labels and scores or probabilities."""
        log_p = log_softmax(y_pred) if self.from_logits else np.log(y_pred)
        mask = None if self.ignore_class is None else y_true != self.ignore_class
        return keras_reduce(-log_p[np.arange(len(y_true)), y_true], self.reduction, sample_weight, mask)


@dataclass
class KerasCategoricalCrossentropy:
    """Keras 3."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    reduction: str | None = "sum_over_batch_size"

    def __call__(self, y_true: Floats, y_pred: Floats, sample_weight: Any = None) -> Any:
        """The loss of target rows and scores or probabilities."""
        log_p = log_softmax(y_pred) if self.from_logits else np.log(y_pred)
        targets = y_true * (1 - self.label_smoothing) + self.label_smoothing / y_pred.shape[1]
        return keras_reduce(-(targets * log_p).sum(axis=1), self.reduction, sample_weight)


@dataclass
class KerasBinaryCrossentropy:
    """Keras 3: the loss of a row is the mean over its elements."""

    from_logits: bool = False
    label_smoothing: float = 0.0
    reduction: str | None = "sum_over_batch_size"

    def __call__(self, y_true: Floats, y_pred: Floats, sample_weight: Any = None) -> Any:
        """The loss of targets and scores."""
        assert self.from_logits
        targets = y_true * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        return keras_reduce(sigmoid_losses(y_pred, targets).mean(axis=1), self.reduction, sample_weight)


def categorical_losses(logits: Floats, labels: Floats, axis: int = -1) -> Floats:
    """TensorFlow and optax: −Σ c log p along the axis."""
    result: Floats = -(labels * log_softmax(logits, axis)).sum(axis=axis)
    return result


def sparse_losses(logits: Floats, labels: Indices, *, where: Any = True) -> Floats:
    """TensorFlow and optax: log Σ exp over the elements that take part, less the label's score; 0 where none does."""
    mask = np.broadcast_to(where if np.ndim(where) != 1 else where[:, np.newaxis], logits.shape)
    any_left = mask.any(axis=1)
    normalizer = np.log(np.where(any_left, (np.exp(logits) * mask).sum(axis=1), 1))
    return np.where(any_left, normalizer - logits[np.arange(len(labels)), labels], 0)


class Boost(NamedTuple):
    """What a boosting library's objective answers."""

    gradient: Floats
    hessian: Floats


def softprob_to_3_2(scores: Floats, labels: Indices, weight: Any = 1.0) -> Boost:
    """XGBoost's multi:softprob up to 3.2: (p − c) w and 2 p (1 − p) w."""
    p, row_weight = softmax(scores), np.reshape(weight, (-1, 1))
    return Boost((p - one_hot(labels, 3)) * row_weight, 2 * p * (1 - p) * row_weight)


def softprob(scores: Floats, labels: Indices, weight: Any = 1.0) -> Boost:
    """XGBoost's multi:softprob since: (p − c) w and |p − c| w."""
    gradient, _ = softprob_to_3_2(scores, labels, weight)
    return Boost(gradient, np.abs(gradient))


def multiclass(scores: Floats, labels: Indices, weight: Any = 1.0) -> Boost:
    """LightGBM's multiclass: (p − c) w and K/(K − 1) p (1 − p) w."""
    gradient, hessian = softprob_to_3_2(scores, labels, weight)
    num_classes = scores.shape[1]
    return Boost(gradient, num_classes / (num_classes - 1) * hessian / 2)


def multiclassova(scores: Floats, labels: Indices, sigmoid: float = 1.0) -> Boost:
    """LightGBM's multiclassova: with label ±1, r = −label σ / (1 + exp(label σ x)); r and |r| (σ − |r|)."""
    signs = 2 * one_hot(labels, 3) - 1
    response = -signs * sigmoid / (1 + np.exp(signs * sigmoid * scores))
    return Boost(response, np.abs(response) * (sigmoid - np.abs(response)))


def multi_logloss(scores: Floats, labels: Indices, weight: Any = 1.0) -> Any:
    """XGBoost's mlogloss and LightGBM's multi_logloss: Σ w E / Σ w."""
    weights = np.broadcast_to(weight, len(labels))
    return (sparse_losses(scores, labels) * weights).sum() / weights.sum()


PYTORCH = SimpleNamespace(
    cross_entropy=torch_cross_entropy,
    nll_loss=nll_loss,
    binary_cross_entropy_with_logits=torch_binary_cross_entropy_with_logits,
)
TENSORFLOW = SimpleNamespace(
    nn=SimpleNamespace(
        softmax_cross_entropy_with_logits=categorical_losses,
        sparse_softmax_cross_entropy_with_logits=sparse_losses,
        sigmoid_cross_entropy_with_logits=lambda labels, logits: sigmoid_losses(logits, labels),
        weighted_cross_entropy_with_logits=lambda labels, logits, pos_weight: sigmoid_losses(
            logits, labels, pos_weight
        ),
    )
)
KERAS = SimpleNamespace(
    SparseCategoricalCrossentropy=KerasSparseCategoricalCrossentropy,
    CategoricalCrossentropy=KerasCategoricalCrossentropy,
    BinaryCrossentropy=KerasBinaryCrossentropy,
)
OPTAX = SimpleNamespace(
    softmax_cross_entropy=categorical_losses,
    softmax_cross_entropy_with_integer_labels=sparse_losses,
    sigmoid_binary_cross_entropy=sigmoid_losses,
    smooth_labels=lambda labels, alpha: (1 - alpha) * labels + alpha / labels.shape[-1],
)
