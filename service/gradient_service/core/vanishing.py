"""Rows whose probabilities or coefficients vanish although a result made from them does not.

A probability below the ordinary numbers of its dtype has lost digits, or is 0. A large weight, a small denominator or a
small temperature may bring the result back into the range, where every digit counts. Such rows are rare; they are
computed once more, by the same formulas, in the dtype of the widest range.
"""

import math

import numpy as np

from gradient_service.core.blocks import Array, are_finite
from gradient_service.core.inputs import Supervision
from gradient_service.core.objectives import BlockObjective
from gradient_service.core.options import Objective, TargetsSum
from gradient_service.core.scaled import Scaled


def vanishing_rows(objective: BlockObjective, factor: Scaled, supervision: Supervision) -> Array:
    """Return the rows in which something vanishes that their results still hold.

    Args:
        objective: the rows as they were computed.
        factor: what multiplies each row's results beside its weights, (rows,) or one for all.
        supervision: what the rows are compared with.

    Returns:
        (n,) places in the block, ascending; they depend on nothing but each row, its factor and the options.
    """
    if not _may_vanish(factor, supervision):
        return np.empty(0, np.intp)
    least, largest = _weights(objective, supervision)
    log_gain = _log_magnitude(factor) + np.log(largest)
    is_raised = log_gain > 0
    is_mixed = bool(supervision.label_smoothing) or supervision.class_weights is not None
    is_vanishing = np.zeros(objective.top.shape, dtype=bool)
    if is_mixed or is_raised.any():
        is_vanishing |= (is_raised | is_mixed) & objective.targets.has_vanishing()
    if is_raised.any():
        is_vanishing |= is_raised & _has_vanishing_products(objective.powers, np.log(least), log_gain)
    return np.flatnonzero(is_vanishing)


def rows_beyond_range(objective: BlockObjective, factor: Scaled, supervision: Supervision, losses: Scaled) -> Array:
    """Return the rows whose losses overflow on the way, and those in which something vanishes that losses hold."""
    vanishing = vanishing_rows(objective, factor, supervision)
    if are_finite(losses.mantissa):
        return vanishing
    return np.union1d(vanishing, np.flatnonzero(~np.isfinite(losses.mantissa)))


def _may_vanish(factor: Scaled, supervision: Supervision) -> bool:
    """Return whether anything multiplies the rows that could lift what vanishes; in most calls nothing does."""
    is_weighted = supervision.class_weights is not None or bool(supervision.label_smoothing)
    is_summed = supervision.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY
    if is_weighted or is_summed or supervision.targets_sum is TargetsSum.ANY:
        return True
    return not factor.is_one and bool((factor.exponent > 0).any())


def _log_magnitude(factor: Scaled) -> Array:
    return np.asanyarray(np.log(np.abs(factor.mantissa)) + factor.exponent * math.log(2))


def _weights(objective: BlockObjective, supervision: Supervision) -> tuple[Array | float, Array | float]:
    """Return the least ≤ 1 and the largest ≥ 1 that may multiply a probability beside the factor.

    These are class weights, their sum by the targets of a row, and for the third objective a sum over classes.
    """
    least, largest = 1.0, 1.0
    weights = supervision.class_weights
    if weights is not None:
        least, largest = float(weights.min(where=weights > 0, initial=1.0)), max(1.0, float(weights.max()))
    if supervision.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
        largest *= objective.targets.shape[0]
    if supervision.targets_sum is TargetsSum.ANY:
        total = objective.targets.total()
        return np.where(total > 0, np.minimum(total, least), least), np.maximum(total, largest)
    return least, largest


def _has_vanishing_products(powers: Array, log_least: Array | float, log_gain: Array) -> Array:
    """Return the rows in which some exp(power), times the least weight, lies below the ordinary numbers.

    Not so far below, though, that the result vanishes all the same.
    """
    numbers = np.finfo(powers.dtype)
    top = math.log(numbers.tiny) - log_least
    bottom = math.log(numbers.smallest_subnormal) - 1 - np.maximum(log_gain, 0)
    return np.asanyarray(((powers < top) & (powers > bottom)).any(axis=0))
