"""What each endpoint does, free of transport: a request model in, a reply model out.

Routes call this, and so can anything else that has a request: another wire, a client in the same process, a batch job.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from gradient_service.core.blocks import Array
from gradient_service.core.checks import check_shapes
from gradient_service.core.evaluate import Reduced, loss_and_gradient
from gradient_service.core.evaluate import softmax as softmax_arrays
from gradient_service.core.options import Objective, Reduction
from gradient_service.operations.alike import PER_ROW, joined, kind_of, rows_of
from gradient_service.operations.checking import check, check_each
from gradient_service.operations.denominators import denominator_of_parts, part_of_denominator
from gradient_service.operations.inputs import (
    dtype_of,
    in_dtype,
    rule_of,
    scores_applied,
    scores_of,
    supervised_applied,
    supervision_of,
)
from gradient_service.operations.work import CallRequest, Work, begin, num_array_bytes, num_elements, take_on
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

__all__ = [
    "PER_ROW",
    "CallRequest",
    "Work",
    "begin",
    "check",
    "check_each",
    "denominator_of_parts",
    "gradient",
    "gradient_of_each",
    "kind_of",
    "loss",
    "loss_of_each",
    "num_array_bytes",
    "num_elements",
    "part_of_denominator",
    "softmax",
    "softmax_of_each",
]

Compared = TypeVar("Compared", LossRequest, GradientRequest)
SUMMARY = tuple(SummaryBody.model_fields)
"""The members of a summary."""
_summary_values = attrgetter(*SUMMARY)


def softmax(request: SoftmaxRequest, work: Work) -> SoftmaxReply:
    """Answer `/softmax`."""
    (reply,) = softmax_of_each([request], work)
    return reply


def softmax_of_each(requests: Sequence[SoftmaxRequest], work: Work) -> list[SoftmaxReply]:
    """Answer several calls of `/softmax` that are alike."""
    request = joined(requests)
    scores, names = scores_of(request), _names(request)
    check_shapes(scores)
    take_on(scores, names, dtype_of(request), work)
    (scores,) = in_dtype(dtype_of(request), scores)
    arrays = softmax_arrays(scores, dict.fromkeys(names), work.execution)
    applied = SoftmaxApplied.of(**scores_applied(request))
    return [SoftmaxReply.of(**_of_rows(arrays, rows), applied=applied) for rows in rows_of(requests)]


def loss(request: LossRequest, work: Work) -> LossReply:
    """Answer `/loss`."""
    (reply,) = loss_of_each([request], work)
    return reply


def loss_of_each(requests: Sequence[LossRequest], work: Work) -> list[LossReply]:
    """Answer several calls of `/loss` that are alike."""

    @cache
    def applied(denominator: float | None) -> LossApplied:
        return LossApplied.of(**supervised_applied(requests[0], denominator))

    return [
        LossReply.of(**outputs, applied=applied(denominator)) for outputs, denominator in _evaluated(requests, work)
    ]


def gradient(request: GradientRequest, work: Work) -> GradientReply:
    """Answer `/gradient`."""
    (reply,) = gradient_of_each([request], work)
    return reply


def gradient_of_each(requests: Sequence[GradientRequest], work: Work) -> list[GradientReply]:
    """Answer several calls of `/gradient` that are alike."""
    request = requests[0]

    @cache
    def applied(denominator: float | None) -> GradientApplied:
        options = supervised_applied(request, denominator)
        if request.objective is not Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
            options["curvature"] = request.curvature
        return GradientApplied.of(**options)

    return [
        GradientReply.of(**outputs, applied=applied(denominator)) for outputs, denominator in _evaluated(requests, work)
    ]


def _evaluated(requests: Sequence[Compared], work: Work) -> Iterator[tuple[dict[str, Any], float | None]]:
    """Yield the outputs of each request, and the number that its `mean` divided by."""
    request = joined(requests)
    check_conflicts(request)
    groups = tuple(rows_of(requests))
    scores, supervision, names = scores_of(request), supervision_of(request), _names(request)
    rule = rule_of(request, groups)
    check_shapes(scores, supervision, rule)
    take_on(scores, names, dtype_of(request), work)
    scores, supervision, rule = in_dtype(dtype_of(request), scores, supervision, rule)
    evaluation = loss_and_gradient(scores, supervision, rule, dict.fromkeys(names), work.execution)
    for rows, reduced in zip(groups, evaluation.groups, strict=True):
        outputs = _of_rows(evaluation.arrays, rows)
        _add_reduced(outputs, reduced)
        yield outputs, reduced.denominator


def _names(request: SoftmaxRequest | LossRequest | GradientRequest) -> list[str]:
    """Return the outputs asked for; by default with `losses` in place of the `loss` that `none` has not."""
    names = [output.value for output in request.include]
    if isinstance(request, SupervisedBody) and request.reduction is Reduction.NONE:
        names = ["losses" if name == "loss" else name for name in names]
    return names


def _of_rows(arrays: dict[str, Array], rows: slice) -> dict[str, Any]:
    return {name: array[rows] for name, array in arrays.items()}


def _add_reduced(outputs: dict[str, Any], group: Reduced) -> None:
    if group.loss is not None:
        outputs["loss"] = group.loss
    if group.summary is not None:
        outputs["summary"] = SummaryBody.of(**dict(zip(SUMMARY, _summary_values(group.summary), strict=True)))
