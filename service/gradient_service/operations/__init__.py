"""What each endpoint does, free of transport: a request model in, a reply model out.

Routes call this, and so can anything else that has a request: another wire, a client in the same process, a batch job.
"""

from typing import Any

from gradient_service.core.checks import check_shapes
from gradient_service.core.evaluate import Evaluation, loss_and_gradient
from gradient_service.core.evaluate import softmax as softmax_arrays
from gradient_service.core.options import Objective, Reduction
from gradient_service.operations.checking import check
from gradient_service.operations.inputs import (
    dtype_of,
    in_dtype,
    rule_of,
    scores_applied,
    scores_of,
    supervised_applied,
    supervision_of,
)
from gradient_service.operations.work import CallRequest, Work, num_array_bytes, num_elements, take_on
from gradient_service.schemas.conflicts import check_conflicts
from gradient_service.schemas.replies import (
    GradientApplied,
    GradientReply,
    LossApplied,
    LossReply,
    SoftmaxApplied,
    SoftmaxReply,
    SummaryBody,
)
from gradient_service.schemas.requests import GradientRequest, LossRequest, SoftmaxRequest, SupervisedBody

__all__ = ["CallRequest", "Work", "check", "gradient", "loss", "num_array_bytes", "num_elements", "softmax"]


def softmax(request: SoftmaxRequest, work: Work) -> SoftmaxReply:
    """Answer `/softmax`."""
    scores, names = scores_of(request), _names(request)
    check_shapes(scores)
    take_on(scores, names, dtype_of(request), work)
    (scores,) = in_dtype(dtype_of(request), scores)
    arrays = softmax_arrays(scores, names, work.execution)
    applied = SoftmaxApplied.of(**scores_applied(request))
    return SoftmaxReply.of(**arrays, applied=applied)


def loss(request: LossRequest, work: Work) -> LossReply:
    """Answer `/loss`."""
    evaluation = _evaluate(request, work)
    applied = LossApplied.of(**supervised_applied(request, evaluation.denominator))
    return LossReply.of(**_outputs(evaluation), applied=applied)


def gradient(request: GradientRequest, work: Work) -> GradientReply:
    """Answer `/gradient`."""
    evaluation = _evaluate(request, work)
    applied = supervised_applied(request, evaluation.denominator)
    if request.objective is not Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
        applied["curvature"] = request.curvature
    return GradientReply.of(**_outputs(evaluation), applied=GradientApplied.of(**applied))


def _evaluate(request: LossRequest | GradientRequest, work: Work) -> Evaluation:
    check_conflicts(request)
    scores, supervision, rule, names = (
        scores_of(request),
        supervision_of(request),
        rule_of(request),
        _names(request),
    )
    check_shapes(scores, supervision, rule)
    take_on(scores, names, dtype_of(request), work)
    scores, supervision, rule = in_dtype(dtype_of(request), scores, supervision, rule)
    return loss_and_gradient(scores, supervision, rule, names, work.execution)


def _names(request: SoftmaxRequest | LossRequest | GradientRequest) -> list[str]:
    """Return the outputs asked for, each once; by default with `losses` in place of the `loss` that `none` has not."""
    names = [output.value for output in dict.fromkeys(request.include)]
    if isinstance(request, SupervisedBody) and request.reduction is Reduction.NONE:
        names = ["losses" if name == "loss" else name for name in names]
    return names


def _outputs(evaluation: Evaluation) -> dict[str, Any]:
    outputs: dict[str, Any] = dict(evaluation.arrays)
    if evaluation.loss is not None:
        outputs["loss"] = evaluation.loss
    if evaluation.summary is not None:
        sums = {name: getattr(evaluation.summary, name) for name in SummaryBody.model_fields}
        outputs["summary"] = SummaryBody.of(**sums)
    return outputs
