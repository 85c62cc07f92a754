"""A claimed reduced loss held against the reference, and what recipes make of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradient_service.core.blocks import WIDE, Array
from gradient_service.core.checking.claims import Claim, NumberType, Tolerance
from gradient_service.core.checking.comparison import MANY_TIMES, SURE, USUAL, Comparison, held
from gradient_service.core.checking.figures import Figures
from gradient_service.core.checking.plain import FLOAT64, HALF, LARGEST, PlainRows
from gradient_service.core.checking.recipes import Recipe


def compare_loss(
    claim: Claim, reference: Array, recipe: Recipe, tolerance: Tolerance, checkpoint: Callable[[], None]
) -> Comparison:
    """Hold a reduced loss against the reference; its size is the sum of the rows' sizes.

    Args:
        claim: `loss`, (1,).
        reference: (1,).
        recipe: the right one.
        tolerance: what the caller tolerates.
        checkpoint: called now and then; what it raises ends the work.
    """
    of, found = claim.type, reduced(recipe, claim.type, checkpoint)
    as_usual = found
    if of.computed_in != FLOAT64 or recipe.temperature != 1:
        as_usual = reduced(replace(recipe, divides_first=True), of, checkpoint, of.computed_in)
    if found.is_beyond:
        found = reduced(recipe, of, checkpoint, WIDE)
    plainly, tolerated = (found.tolerated(each, claim) for each in (USUAL, tolerance))
    usual, tolerated = plainly + found.doubt, tolerated + (found.doubt if tolerance.rtol is None else 0.0)
    error = np.where(np.isfinite(claim.values), np.abs(claim.values - reference), np.inf)
    size = np.maximum(found.size, of.smallest_normal)
    bounds = tolerated, usual, usual + found.lost_far_off, size
    excess, of_usual, usual_excess, relative = (held(np.where(error == 0, 0, error / each)) for each in bounds)
    of_number = MANY_TIMES * (plainly - of.smallest_normal) / size * np.abs(reference)
    claimed, plain = Figures(of), Figures(of)
    claimed.add(claim.values, reference, np.abs(reference))
    plain.add(of.rounded(np.array([as_usual.loss])), reference, np.abs(reference))
    is_lost = (np.abs(reference) < SURE * found.size) & (error > of_number + of.smallest_normal)
    is_lost |= error > np.maximum(plainly, MANY_TIMES * of.epsilon * np.abs(reference))
    is_lost &= of_usual <= 1
    return Comparison(
        claim,
        reference,
        excess,
        usual_excess,
        np.zeros(1, np.intp),
        relative,
        is_lost,
        np.zeros(1),
        row_sum=0.0,
        row_sum_excess=0.0,
        num_opposite=int(np.sign(claim.values[0]) * np.sign(reference[0]) < 0),
        claimed_errors=claimed.errors(),
        plain_errors=plain.errors(),
    )


@dataclass(frozen=True, slots=True)
class Reduced:
    """The reduced loss of a recipe, and what its error is measured by."""

    loss: float
    size: np.floating
    """Σ of the sizes of the rows, over D; `LARGEST` where it leaves the range of its dtype, if only on the way."""
    mean_spread: float
    """The mean of the g of the rows, weighed by their sizes."""
    doubt: np.floating
    """What the rows may be off more where they go through 1 − p, over D; at most half of the size."""
    lost_far_off: np.floating
    """The same where scores lie far from 0."""
    has_vanishing: bool
    """Whether what a row weighs has lost digits on the way."""
    num_classes: int
    num_rows: int

    @property
    def is_beyond(self) -> bool:
        """Whether the size leaves the range, on the way or in the end, at either end of it."""
        return self.has_vanishing or bool(self.size == LARGEST)

    def tolerated(self, tolerance: Tolerance, claim: Claim) -> np.floating:
        """Return atol + Σ rtol_n size_n / D."""
        return tolerance.absolute(claim.type) + self.relative(tolerance, claim)

    def relative(self, tolerance: Tolerance, claim: Claim) -> np.floating:
        """Return Σ rtol_n size_n / D."""
        spread = np.array([self.mean_spread])
        return float(tolerance.relative(claim.type, spread, self.num_classes, self.num_rows)[0]) * self.size


def reduced(
    recipe: Recipe, of: NumberType, checkpoint: Callable[[], None], dtype: np.dtype[np.floating] = FLOAT64
) -> Reduced:
    """Follow a recipe through all rows, and reduce their losses in a dtype, for a claim of some type."""
    found, doubt, has_vanishing = [], dtype.type(0), False
    for rows in recipe.blocks():
        checkpoint()
        here = PlainRows(recipe, rows, dtype)
        losses, sizes = here.output("losses")
        found.append((losses, sizes, here.spread(of), here.lost_far_off(of) * np.ones_like(sizes)))
        doubt += np.sum(here.doubt("losses", of))
        has_vanishing = has_vanishing or here.has_vanishing
    parts = zip(*found, strict=True) if found else ((),) * 4
    losses, sizes, spread, lost_far_off = (np.concatenate([np.zeros(0), *part]) for part in parts)
    divisor = recipe.denominator
    with np.errstate(over="ignore"):
        shares, doubt = sizes / divisor, doubt / divisor
    size = shares.sum()
    mean_spread = float(shares / size @ spread) if size else 0.0
    far_off = shares @ lost_far_off
    if not (sizes.max(initial=0) < np.finfo(dtype).max and np.isfinite(size) and np.isfinite(doubt)):
        size, mean_spread, far_off = np.float64(LARGEST), 0.0, np.float64(0)
    return Reduced(
        loss=float(losses.sum() / divisor),
        size=size,
        mean_spread=mean_spread,
        doubt=min(doubt, HALF * size),
        lost_far_off=far_off,
        has_vanishing=has_vanishing,
        num_classes=recipe.num_classes,
        num_rows=recipe.batch_size,
    )
