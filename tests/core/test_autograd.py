"""Our analytic gradients against PyTorch's automatic differentiation, on rows where PyTorch keeps its digits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from gradient_service.core.evaluate import loss_and_gradient
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Denominator, Objective, Reduction

pytestmark = pytest.mark.full

SEEDS = range(200)
SIGMOID = Objective.SIGMOID_BINARY_CROSS_ENTROPY


@dataclass(frozen=True)
class Draw:
    """One random combination of options, and the rows that it is tried on."""

    scores: Scores
    supervision: Supervision
    rule: ReductionRule


def drawn(seed: int) -> Draw:
    """Draw an objective, a kind of target and every option that goes with them."""
    rng = np.random.default_rng(seed)
    objective = list(Objective)[seed % 3]
    rows, num_classes = int(rng.integers(1, 6)), int(rng.integers(2, 7))

    def sometimes(value: Any) -> Any:
        return value if rng.random() < 1 / 2 else None

    has_labels = objective is not SIGMOID and rng.random() < 1 / 2
    labels = rng.integers(0, num_classes, rows)
    targets = rng.random((rows, num_classes))
    if objective is not SIGMOID:
        targets /= targets.sum(axis=1, keepdims=True)
    mask = rng.random((rows, num_classes)) < 2 / 3
    mask[np.arange(rows), labels] = True
    mask[np.arange(rows), (labels + 1) % num_classes] = True
    reduction = Reduction(rng.choice([kind.value for kind in Reduction]))
    return Draw(
        Scores(
            logits=rng.normal(size=(rows, num_classes)),
            element_mask=sometimes(mask) if has_labels else None,
            temperature=float(rng.choice([1.0, 0.5, 0.7, 3.0])),
        ),
        Supervision(
            labels=labels if has_labels else None,
            targets=None if has_labels else targets,
            objective=objective,
            class_weights=sometimes(rng.random(num_classes) + 0.1),
            sample_weights=sometimes(rng.random(rows) + 0.1),
            ignore_label=sometimes(0) if has_labels else None,
            label_smoothing=0.0 if objective is SIGMOID else float(rng.choice([0.0, 0.1, 1.0])),
        ),
        ReductionRule(
            kind=reduction,
            denominator=Denominator(rng.choice([each.value for each in Denominator])),
            upstream=rng.normal(size=rows) if reduction is Reduction.NONE else None,
        ),
    )


def torch_losses(draw: Draw, logits: Any) -> Any:
    """Return r_n E_n from the definitions, in PyTorch's own functions; (N,)."""
    import torch  # noqa: PLC0415  only this test needs it

    mask = torch.from_numpy(or_ones(draw.scores.element_mask, logits.shape).astype(bool))
    score = (logits / draw.scores.temperature).masked_fill(~mask, -torch.inf)
    target = torch.from_numpy(smoothed_targets(draw, mask.numpy()))
    weight = torch.from_numpy(or_ones(draw.supervision.class_weights, logits.shape[1]))
    if draw.supervision.objective is SIGMOID:
        log_p, log_rest = torch.nn.functional.logsigmoid(score), torch.nn.functional.logsigmoid(-score)
    else:
        log_p = torch.log_softmax(score, dim=1)
        log_rest = torch.log1p(-torch.softmax(score, dim=1))
    terms = torch.where(mask & (target > 0), target * log_p, 0.0)
    if draw.supervision.objective is not Objective.SOFTMAX_CROSS_ENTROPY:
        terms = terms + torch.where(mask & (target < 1), (1 - target) * log_rest, 0.0)
    row_weight = torch.from_numpy(or_ones(draw.supervision.sample_weights, len(logits)) * counted(draw))
    return -(weight * terms).sum(dim=1) * row_weight


def or_ones(weights: Any, shape: Any) -> Any:
    """Return the weights, all 1 when none are given."""
    return np.ones(shape) if weights is None else weights


def counted(draw: Draw) -> Any:
    """Return which rows count, (N,)."""
    supervision = draw.supervision
    if supervision.labels is None or supervision.ignore_label is None:
        return np.ones(draw.scores.batch_size, bool)
    return np.asarray(supervision.labels) != supervision.ignore_label


def smoothed_targets(draw: Draw, mask: Any) -> Any:
    """Return the target rows with ε shared out over the unmasked classes, (N, K)."""
    supervision = draw.supervision
    targets: Any = supervision.targets
    if targets is None:
        targets = np.eye(draw.scores.num_classes)[supervision.labels]
    share = mask / mask.sum(axis=1, keepdims=True)
    return np.asarray((1 - supervision.label_smoothing) * targets + supervision.label_smoothing * share)


def denominator_of(draw: Draw) -> float:
    """Return D from its definition."""
    rows = counted(draw)
    if draw.rule.denominator is Denominator.BATCH:
        return float(len(rows))
    if draw.rule.denominator is Denominator.EXAMPLES:
        return float(rows.sum())
    values = np.ones(len(rows))
    if draw.supervision.objective is not SIGMOID:
        plain = Draw(draw.scores, _unsmoothed(draw.supervision), draw.rule)
        values = smoothed_targets(plain, np.ones(draw.scores.logits.shape)) @ or_ones(
            draw.supervision.class_weights, draw.scores.num_classes
        )
    return float((rows * or_ones(draw.supervision.sample_weights, len(rows)) * values).sum())


def _unsmoothed(supervision: Supervision) -> Supervision:
    return Supervision(labels=supervision.labels, targets=supervision.targets)


def torch_loss_and_gradient(draw: Draw) -> tuple[float, Any]:
    """Return the scalar that is differentiated, and its gradient by automatic differentiation."""
    import torch  # noqa: PLC0415  only this test needs it

    logits = torch.tensor(np.asarray(draw.scores.logits), requires_grad=True)
    losses = torch_losses(draw, logits)
    if draw.rule.kind is Reduction.NONE:
        scalar = (losses * torch.from_numpy(np.asarray(draw.rule.upstream))).sum()
    else:
        denominator = denominator_of(draw) if draw.rule.kind is Reduction.MEAN else 1.0
        scalar = losses.sum() / (denominator or 1.0)
    scalar.backward()
    return float(scalar.detach()), logits.grad.numpy()


@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_equals_automatic_differentiation(seed: int) -> None:
    """Loss and gradient agree with PyTorch's autograd of the definitions."""
    draw = drawn(seed)
    scalar, gradient = torch_loss_and_gradient(draw)
    names = ["losses", "gradient"] + (["loss"] if draw.rule.kind is not Reduction.NONE else [])
    evaluation = loss_and_gradient(draw.scores, draw.supervision, draw.rule, names, Execution())
    computed = evaluation.loss
    if computed is None:
        computed = np.dot(evaluation.arrays["losses"], np.asarray(draw.rule.upstream))
    np.testing.assert_allclose(computed, scalar, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(evaluation.arrays["gradient"], gradient, rtol=1e-11, atol=1e-13)
