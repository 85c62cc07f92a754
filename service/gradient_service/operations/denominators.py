"""The denominator of a batch whose rows come in parts: requests that hold its rows, whatever their logits."""

from collections.abc import Iterable

from gradient_service.core.checks import check_shapes, check_values
from gradient_service.core.denominators import denominator_part, whole_denominator
from gradient_service.core.exact_sum import Total
from gradient_service.core.inputs import ReductionRule
from gradient_service.core.options import Reduction
from gradient_service.core.reduction import Weighing, weigh
from gradient_service.operations.inputs import dtype_of, in_dtype, rule_of, scores_of, supervision_of
from gradient_service.schemas.conflicts import check_conflicts
from gradient_service.schemas.requests import SupervisedBody


def part_of_denominator(request: SupervisedBody) -> Total | None:
    """Return what the rows of a request add to the number that its `mean` divides by; None for other reductions.

    Raises:
        InvalidInputError: labels, targets or weights break a rule.
    """
    rule, weighing = _weighed(request)
    return denominator_part(rule, weighing)


def denominator_of_parts(request: SupervisedBody, parts: Iterable[Total | None]) -> Total | None:
    """Return what the parts of a batch make together; None for other reductions.

    Args:
        request: any part of the batch.
        parts: of the denominator.

    Raises:
        InvalidInputError: their sum leaves the range of float64.
    """
    rule, weighing = _weighed(request)
    total = Total(units=sum(part.units for part in parts if part is not None))
    return whole_denominator(total if rule.kind is Reduction.MEAN else None, weighing)


def _weighed(request: SupervisedBody) -> tuple[ReductionRule, Weighing]:
    check_conflicts(request)
    scores, supervision, rule = scores_of(request), supervision_of(request), rule_of(request)
    check_shapes(scores, supervision, rule)
    scores, supervision, rule = in_dtype(dtype_of(request), scores, supervision, rule)
    check_values(scores, supervision, rule)
    return rule, weigh(scores, supervision)
