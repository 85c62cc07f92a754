"""What a mean divides by: of all rows at once, or of parts of them that add up to it without rounding."""

from math import isfinite

from gradient_service.core.exact_sum import Total
from gradient_service.core.inputs import ReductionRule
from gradient_service.core.options import Denominator, Reduction
from gradient_service.core.reduction import Weighing


def denominator_of(reduction: ReductionRule, weighing: Weighing) -> Total | None:
    """Return D, what `mean` divides by; None for the other reductions.

    Raises:
        InvalidInputError: `number-out-of-range` where it leaves the range; below it, D is 0.
    """
    return whole_denominator(denominator_part(reduction, weighing), weighing)


def denominator_part(reduction: ReductionRule, weighing: Weighing) -> Total | None:
    """Return what rows add to D; None for the other reductions, and a number that was given for each part."""
    if reduction.kind is not Reduction.MEAN:
        return None
    if reduction.denominator_value is not None:
        return Total.number(reduction.denominator_value)
    match reduction.denominator:
        case Denominator.WEIGHTS:
            return weighing.weight_total()
        case Denominator.EXAMPLES:
            return Total.number(float(weighing.example_count))
        case Denominator.BATCH:
            return Total.number(float(weighing.example_count + weighing.ignored_count))


def whole_denominator(total: Total | None, weighing: Weighing) -> Total | None:
    """Return the sum of all parts as D.

    Args:
        total: of the parts.
        weighing: of any of the rows, which knows what to name in a refusal.

    Raises:
        InvalidInputError: `number-out-of-range` where it leaves the range; below it, D is 0.
    """
    if total is None:
        return None
    if not isfinite(total.nearest):
        raise weighing.out_of_range("The sum of the weights")
    return total if total.nearest else Total()
