"""Mistakes after which numbers are none: exponentials that overflow, and logarithms of probabilities that vanish.

Where NaN stands, and where ∞, depends on the type and on how a formula is written: a few usual ways are followed in it,
and must spoil the same numbers as are spoilt. Callers may have put 0 for NaN, and the largest number for ∞.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checking.claims import FLOAT16, NumberType
from gradient_service.core.checking.codes import DiagnosisCode
from gradient_service.core.checking.comparison import Comparison
from gradient_service.core.checking.recipes import Recipe

NEAR = 0.05
"""So much of itself errs the logarithm of a number that has few digits before it is 0."""
ROUNDINGS = 4
"""So many units in the last place of the largest number err those beside it."""
Type = np.dtype[np.floating]
Made = tuple[Array, Array]
"""What some rows come to, and which of them are spoilt, (rows,)."""
LOSSES = {"losses", "loss"}
Summed = Callable[[Array, Array], Array]
"""Makes losses of the coefficients of logarithms and these, (rows, K) each."""


def looked_up(coefficients: Array, logs: Array) -> Array:
    """Only what the targets name: 0 · log 0 is 0."""
    return -np.where(coefficients == 0, 0, coefficients * logs).sum(axis=1)


def multiplied(coefficients: Array, logs: Array) -> Array:
    """All classes: 0 · log 0 is NaN."""
    return -(coefficients * logs).sum(axis=1)


@dataclass(frozen=True, slots=True)
class Naive:
    """Some rows computed as first written down."""

    recipe: Recipe
    rows: slice
    dtype: Type
    output: str

    def exponentials(self, *, is_shifted: bool) -> tuple[Array, Array]:
        """Return exp(s) and Σ exp(s); of sigmoids exp(s) and 1 + exp(s), or 1 and 1 + exp(−s)."""
        scores = self.recipe.scores(self.rows).astype(self.dtype)
        if self.recipe.is_softmax:
            powers = np.exp(scores - scores.max(axis=1, keepdims=True) if is_shifted else scores)
            return powers, powers.sum(axis=1, keepdims=True)
        powers = np.exp(-scores if is_shifted else scores)
        return (np.ones_like(powers), 1 + powers) if is_shifted else (powers, 1 + powers)

    @property
    def weighted(self) -> Array:
        """Return w c, (rows, K)."""
        return np.asarray(self.recipe.weights * self.recipe.target_rows(self.rows), self.dtype)

    def counted(self, losses: Array) -> Array:
        """Return losses times their weights, 0 where that is 0."""
        by_samples = self.recipe.by_samples(self.rows)
        return np.where(by_samples == 0, 0, by_samples * losses)


Way = Callable[[Naive], Made]


def of_logs(summed: Summed, *, is_shifted: bool, is_flushed: bool = False) -> Way:
    """Return −Σ w c log p, of binary objectives −Σ w (c log p + (1−c) log(1−p)), where p may be 0; or 1/p is ∞."""

    def way(here: Naive) -> Made:
        powers, totals = here.exponentials(is_shifted=is_shifted)
        p = powers / totals
        p = np.where(p < np.finfo(p.dtype).tiny, 0, p) if is_flushed else p
        losses = summed(here.weighted, np.log(p))
        if here.recipe.is_binary:
            losses = losses + summed(here.recipe.weights - here.weighted, np.log(1 - p))
        losses = here.counted(losses)
        return losses, ~np.isfinite(losses)

    return way


def subtracted(here: Naive) -> Made:
    """Return log Σ exp(s) − s, which is ∞ where p may be NaN."""
    totals = here.exponentials(is_shifted=False)[1]
    losses = here.counted(looked_up(here.weighted, here.recipe.scores(here.rows) - np.log(totals)))
    is_spoilt = ~np.isfinite(losses)
    return np.where(is_spoilt, np.inf, losses), is_spoilt


def by_hand(put_for_nan: Callable[[Array], Array]) -> Way:
    """Return p of unshifted exponentials, or W p − w c by it, of binary objectives w (p − c)."""

    def way(here: Naive) -> Made:
        powers, totals = here.exponentials(is_shifted=False)
        is_spoilt = np.asarray((np.isnan(powers / totals) | np.isinf(totals)).any(axis=1))
        p = put_for_nan(powers / totals)
        if here.output == "probabilities":
            return p, is_spoilt
        weighted = here.weighted
        total = here.recipe.weights if here.recipe.is_binary else weighted.sum(axis=1, keepdims=True)
        factor = here.recipe.factor(here.rows)[:, np.newaxis] / here.recipe.temperature
        return np.where(factor == 0, 0, factor * (total * p - weighted)), is_spoilt & (factor[:, 0] != 0)

    return way


def without_nan(p: Array) -> Array:
    """Put 0 for NaN."""
    return np.where(np.isnan(p), 0, p)


def derived(losses_of: Way) -> Way:
    """Return NaN for the rows whose loss is none, as its derivative has it."""

    def way(here: Naive) -> Made:
        is_spoilt = losses_of(here)[1]
        spoilt = np.where(is_spoilt, np.nan, 0)[:, np.newaxis]
        return np.broadcast_to(spoilt, (len(spoilt), here.recipe.num_classes)), is_spoilt

    return way


UNDERFLOWED, UNSHIFTED = (
    [
        of_logs(summed, is_shifted=is_shifted, is_flushed=is_flushed)
        for is_flushed in (False, True)
        for summed in (looked_up, multiplied)
    ]
    for is_shifted in (True, False)
)
"""Ways to losses; the flushed ones are those of compilers without subnormal numbers, and of 1/p, ∞ before p is 0."""
DERIVED, BY_HAND = [derived(way) for way in UNSHIFTED], [by_hand(np.asarray), by_hand(without_nan)]
WAYS: dict[str, dict[DiagnosisCode, list[Way]]] = {
    "losses": {
        DiagnosisCode.OVERFLOW_UNSHIFTED: [UNSHIFTED[0], subtracted, UNSHIFTED[1]],
        DiagnosisCode.LOG_OF_ZERO: UNDERFLOWED,
    },
    "gradient": {
        DiagnosisCode.OVERFLOW_UNSHIFTED: [*BY_HAND, *DERIVED],
        DiagnosisCode.LOG_OF_ZERO: [derived(way) for way in UNDERFLOWED],
    },
    "probabilities": {DiagnosisCode.OVERFLOW_UNSHIFTED: BY_HAND},
}
"""Those that are met most often first."""


def infinities(recipe: Recipe, found: Comparison, checkpoint: Callable[[], None]) -> dict[DiagnosisCode, float]:
    """Return the mistakes that spoil the very numbers that are none, and what is left of the error beside these.

    A reduced loss tells only NaN or ∞, which the way that is met most often explains. What the checkpoint raises ends
    the work.
    """
    if not (found.num_not_finite or _is_mended(found)):
        return {}
    output, told = found.claim.name, dict[DiagnosisCode, float]()
    ways = WAYS["losses" if output == "loss" else output]
    types = {
        code: _types(recipe, found.claim.type, is_beyond=code is DiagnosisCode.OVERFLOW_UNSHIFTED) for code in ways
    }
    for place in range(max(map(len, ways.values()))):
        for code in ways:
            if code in told or (told and output == "loss") or place >= len(ways[code]):
                continue
            if any(_explains(ways[code][place], recipe, found, dtype, checkpoint) for dtype in types[code]):
                told[code] = float(found.relative[found.usual_excess <= 1].max(initial=0))
    return told


def _is_mended(found: Comparison) -> bool:
    """Return whether numbers stand for what was none: 0, or the largest."""
    values = found.claim.values
    return bool((values == 0).any() or (np.abs(values) >= found.claim.type.largest).any())


def _types(recipe: Recipe, of: NumberType, *, is_beyond: bool) -> list[Type]:
    """Return what numbers of a type may have been computed in, and where unshifted exponentials fail, if they must."""
    narrowest = np.dtype(np.float16) if of == FLOAT16 else of.computed_in
    types: list[Type] = [np.dtype(each) for each in (np.float16, np.float32, np.float64)]
    tops = np.concatenate([recipe.scores(rows).max(axis=1) for rows in recipe.blocks()]) if is_beyond else np.zeros(1)
    return [
        each
        for each in types
        if each.itemsize >= narrowest.itemsize and (not is_beyond or _is_beyond(recipe, tops, np.finfo(each)))
    ]


def _is_beyond(recipe: Recipe, tops: Array, numbers: np.finfo[np.floating]) -> bool:
    """Return whether the exponentials of some row overflow, or all vanish; of a sigmoid the largest alone counts."""
    all_vanish = recipe.is_softmax and tops.min() < log(numbers.tiny)
    return bool(all_vanish or tops.max() + log(recipe.num_classes) >= log(numbers.max))


def _explains(way: Way, recipe: Recipe, found: Comparison, dtype: Type, checkpoint: Callable[[], None]) -> bool:
    """Return whether a way comes to what is claimed; the first rows that it does not explain dismiss it."""

    def blocks() -> Iterator[tuple[slice, Made]]:
        for rows in recipe.blocks():
            checkpoint()
            yield rows, way(Naive(recipe, rows, dtype, found.claim.name))

    if found.claim.name == "loss":
        total = np.sum([made.sum() for _, (made, _) in blocks()], keepdims=True)
        return not np.isfinite(total[0]) and bool(_is_like(found, found.claim.values, total)[0])
    spoils_any = False
    for rows, made in blocks():
        if not _fits(found, rows, made):
            return False
        spoils_any |= bool((made[1] & (found.usual_excess[rows] > 1)).any())
    return spoils_any


def _fits(found: Comparison, rows: slice, made: Made) -> bool:
    """Return whether just those rows are off that are spoilt, and as they are spoilt."""
    values, is_spoilt = made
    claimed, is_off = found.claim.values[rows], found.usual_excess[rows] > 1
    is_like = _is_like(found, claimed, values)
    if claimed.ndim == 1:
        off_by, of_way = (np.abs(each - found.reference[rows]) for each in (claimed, values))
        is_rough = of_way * found.usual_excess[rows] > off_by  # the way itself is off by more than is usual
        return bool(np.where(is_spoilt, is_like, ~is_off | (is_like & is_rough)).all())
    return bool(np.where(is_spoilt, is_like.all(axis=1), ~is_off).all())


def _is_like(found: Comparison, claimed: Array, made: Array) -> Array:
    """Return where numbers are near, both NaN or both ∞; 0 may stand for NaN, and the largest number for ∞."""
    largest = np.abs(made).max(initial=0, where=np.isfinite(made))
    is_near = np.abs(claimed - made) <= NEAR * np.abs(made) + ROUNDINGS * found.claim.type.epsilon * largest
    is_far = (np.sign(claimed) == np.sign(made)) & (np.abs(claimed) >= found.claim.type.largest)
    is_none = np.isnan(claimed) | (claimed == 0)
    return np.where(np.isnan(made), is_none, np.where(np.isinf(made), is_far, is_near))
