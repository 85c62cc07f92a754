"""Mistakes of floating point itself: what overflows, and what has fewer digits than it shows."""

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checking.claims import BFLOAT16, FLOAT16, FLOAT32, NumberType
from gradient_service.core.checking.comparison import USUAL, Comparison
from gradient_service.core.checking.plain import PlainRows
from gradient_service.core.checking.recipes import Recipe

HALF_ROUNDINGS = 16
"""So many times less errs what is only read in half precision, and computed in float32."""
VANISHED = 1 + 1e-9
"""The relative error of a number that became 0, and what rounding adds to it."""
HALF = 0.5
"""At least so many rows are off where the type is to blame."""


def overflow_unshifted(recipe: Recipe, found: Comparison) -> float | None:
    """Return what is left of the error outside of the rows whose own exponentials overflow or all vanish.

    None where there is no such row, where one that is has finite numbers and yet not those that would come out, and
    where others are off.
    """
    claim = found.claim
    farthest = max(recipe.logits.max(), -recipe.logits.min()) / recipe.temperature
    if farthest < claim.type.largest_power - np.log(recipe.num_classes):
        return None
    is_beyond = np.concatenate([_is_beyond(recipe, rows, claim.type) for rows in recipe.blocks()])
    if claim.name == "loss":
        return 0.0 if is_beyond.any() and found.num_not_finite else None
    is_explained = is_beyond & ~np.isfinite(claim.values).reshape(len(is_beyond), -1).all(axis=1)
    is_explained |= is_beyond & _is_vanished(recipe, found)
    is_off = found.usual_excess > 1
    if not (is_off & is_explained).any() or (is_off & ~is_explained).any():
        return None
    return float(found.relative[~is_off].max(initial=0))


def _is_beyond(recipe: Recipe, rows: slice, of: NumberType) -> Array:
    scores = recipe.scores(rows)
    exponentials = np.exp(scores.astype(np.float16 if of == FLOAT16 else of.computed_in))
    if not recipe.is_softmax:
        return np.asarray(np.isinf(exponentials).any(axis=1))
    totals = exponentials.sum(axis=1)
    return np.asarray(np.isinf(totals) | (totals == 0))


def _is_vanished(recipe: Recipe, found: Comparison) -> Array:
    """Return the rows where all probabilities came out as 0: each finite exponential over an infinite sum."""
    if found.claim.name == "probabilities":
        return np.asarray((found.claim.values == 0).all(axis=1))
    if found.claim.name != "gradient":
        return np.zeros(len(found.excess), bool)
    return np.concatenate(
        [np.asarray((found.claim.values[rows] == 0).sum(axis=1) >= recipe.num_classes - 1) for rows in recipe.blocks()]
    )


def lower_precision(recipe: Recipe, found: Comparison) -> float | None:
    """Return the error where most rows have one, and all have what is usual of a type with fewer digits; else None."""
    if found.relative.max() > VANISHED:
        return None  # no type is that coarse
    is_something = found.reference.reshape(len(found.excess), -1).any(axis=1)
    if np.count_nonzero(found.usual_excess[is_something] > 1) < max(1, HALF * np.count_nonzero(is_something)):
        return None
    lower_types = [each for each in (FLOAT32, BFLOAT16, FLOAT16) if each.epsilon > found.claim.type.epsilon]
    is_usual = any(_is_usual(recipe, found, each) for each in lower_types)
    return float(found.relative.max(initial=0)) if is_usual else None


def _is_usual(recipe: Recipe, found: Comparison, lower: NumberType) -> bool:
    """Return whether errors are usual of a type: where it shows in every number, of what computes in half precision."""
    values = found.claim.values
    least = lower.smallest_normal
    relative = USUAL.relative(FLOAT32, found.spread, recipe.num_classes)
    is_loss = found.claim.name == "loss"
    if lower.is_half:
        is_stored = all((lower.rounded(part) == part).all() for part in map(values.__getitem__, recipe.blocks()))
        if is_loss and not is_stored:
            return False  # one number is within so wide a bound by chance
        relative = relative / FLOAT32.epsilon * lower.epsilon / (1 if is_stored and not is_loss else HALF_ROUNDINGS)
        least = least if is_stored else 0.0
    if is_loss:
        return bool((found.relative <= relative).all())
    return all(
        (np.abs(values[rows] - found.reference[rows]) <= least + _by_row(relative[rows], sizes) * sizes).all()
        for rows in recipe.blocks()
        for sizes in [PlainRows(recipe, rows).output(found.claim.name)[1]]
    )


def _by_row(relative: Array, sizes: Array) -> Array:
    return relative if sizes.ndim == 1 else relative[:, np.newaxis]
