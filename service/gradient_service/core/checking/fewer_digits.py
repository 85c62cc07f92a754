"""A mistake of floating point itself: numbers with fewer digits than they show."""

from collections.abc import Callable

import numpy as np

from gradient_service.core.checking.claims import BFLOAT16, FLOAT16, FLOAT32, NumberType
from gradient_service.core.checking.comparison import USUAL, Comparison, by_row
from gradient_service.core.checking.plain import PlainRows
from gradient_service.core.checking.recipes import Recipe

HALF_ROUNDINGS = 16
"""So many times less errs what is only read in half precision, and computed in float32."""
COARSE = 0.25
"""Whoever errs more, of a number, has no type to blame."""
FEW = 4
"""So many of the smallest numbers of a type errs what is smaller than its normal ones."""
HALF = 0.5
"""At least so many rows are off where the type is to blame."""


def lower_precision(recipe: Recipe, found: Comparison, checkpoint: Callable[[], None]) -> float | None:
    """Return the error where most rows have one, and all have what is usual of a type with fewer digits; else None.

    What the checkpoint raises ends the work.
    """
    is_something = found.reference.reshape(len(found.excess), -1).any(axis=1)
    if np.count_nonzero(found.usual_excess[is_something] > 1) < max(1, HALF * np.count_nonzero(is_something)):
        return None
    lower_types = [each for each in (FLOAT32, BFLOAT16, FLOAT16) if each.epsilon > found.claim.type.epsilon]
    errors = (_usual_error(recipe, found, each, checkpoint) for each in lower_types)
    return next((error for error in errors if error is not None), None)


def _usual_error(recipe: Recipe, found: Comparison, lower: NumberType, checkpoint: Callable[[], None]) -> float | None:
    """Return the largest error, by the size of a number or by the smallest normal one, if all are usual of a type.

    Half precision shows in every number, or in fewer digits than it has where it was only read.
    """
    values, is_loss = found.claim.values, found.claim.name == "loss"
    relative, least = USUAL.relative(FLOAT32, found.spread, recipe.num_classes), FEW * lower.smallest_subnormal
    if lower.is_half:
        is_stored = all((lower.rounded(part) == part).all() for part in map(values.__getitem__, recipe.blocks()))
        if is_loss and not is_stored:
            return None  # one number is within so wide a bound by chance
        relative = relative / FLOAT32.epsilon * lower.epsilon / (1 if is_stored and not is_loss else HALF_ROUNDINGS)
        least = least if is_stored else 0.0
    relative = np.minimum(relative, COARSE)
    if is_loss:
        return float(found.relative[0]) if found.relative[0] <= relative[0] else None
    largest = 0.0
    for rows in recipe.blocks():
        checkpoint()
        sizes = PlainRows(recipe, rows).output(found.claim.name)[1]
        error = np.abs(values[rows] - found.reference[rows])
        if not (error <= least + by_row(relative[rows], sizes) * sizes).all():
            return None
        largest = max(largest, float((error / np.maximum(sizes, lower.smallest_normal)).max(initial=0)))
    return largest
