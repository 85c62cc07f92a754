"""A claim held against the reference: how far it is off, where most, and what holds of it by itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checking.claims import Claim, Tolerance
from gradient_service.core.checking.figures import SAMPLED_ELEMENTS, Errors, Figures
from gradient_service.core.checking.plain import FLOAT64, LARGEST, PlainRows
from gradient_service.core.checking.recipes import Recipe

USUAL = Tolerance()
MANY_TIMES = 1000
"""An error so many times the usual one has lost digits that the number itself has."""
ROUNDINGS = 4
"""Units in the last place of the largest number that equal numbers of a type may differ by in the reference."""
SURE = 0.01
"""Of a row's weight: a loss below it, or a derivative at its target, is what is left where much cancels."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One output of a claim beside the reference; the reduced loss counts as one row."""

    claim: Claim
    reference: Array
    excess: Array
    """(N,): the largest error of each row over what is tolerated; ∞ where it is not finite."""
    usual_excess: Array
    """The same over what is usual, whatever the caller tolerates, of scores far from 0 too."""
    worst_class: Array
    """(N,): where that is."""
    relative: Array
    """(N,): the largest error of each row over its size."""
    has_lost_digits: Array
    """(N,), where a number next to 0 lost its digits, although what it is left of is right."""
    spread: Array
    """g, (N,)."""
    row_sum: float
    """The largest |Σ_j| of a row."""
    row_sum_excess: float
    """The same over what is usual for a sum that is 0."""
    num_opposite: int
    """Elements whose sign is wrong, and not by rounding."""
    claimed_errors: Errors | None
    """None without a finite number."""
    plain_errors: Errors | None
    """What plain NumPy would err in the same type."""

    @property
    def is_match(self) -> bool:
        """Whether every element is within the tolerance, and the claim says something."""
        return bool((self.excess <= 1).all()) and not self.is_empty

    @property
    def is_empty(self) -> bool:
        """Whether the claim says nothing: its elements are equal, and the reference's differ by more than roundings."""
        if not self.claim.is_constant:
            return False
        of, largest = self.claim.type, float(np.abs(self.reference).max())
        return bool(np.ptp(self.reference) > ROUNDINGS * of.spacing(np.array([largest]))[0])

    @property
    def says_nothing(self) -> bool:
        """Whether no mistake is looked for: a claim of zeros, or of equal elements, is reproduced by too many."""
        return self.is_empty or not self.claim.values.any()

    def excess_over(self, tolerance: Tolerance) -> Array:
        """Return the largest error of each row over what is usual, or over what the caller tolerates, (N,)."""
        return self.usual_excess if tolerance is USUAL else self.excess

    @property
    def num_not_finite(self) -> int:
        """Elements that are NaN or infinite."""
        return int(self.claim.values.size - np.count_nonzero(np.isfinite(self.claim.values)))


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What the errors of some rows are measured by, (rows,) or (rows, K)."""

    spread: Array
    """g, (rows,)."""
    values: Array
    tolerated: Array
    usual: Array
    doubt: Array | float
    """What of `usual` is so only where numbers go through 1 − p."""
    lost_far_off: Array
    """What is usual beside it where scores lie far from 0."""
    of_number: Array
    """What is usual for an error of the number itself, however small beside the size."""
    of_digits: Array
    """The same where it is only usual through 1 − p."""
    of_ulp: Array


@dataclass(frozen=True, slots=True)
class Comparing:
    """What one output is held against.

    Args:
        claim: `losses`, `gradient` or `probabilities`.
        reference: the same, float64.
        recipe: the right one.
        tolerance: what the caller tolerates.
        checkpoint: called now and then; what it raises ends the work.
    """

    claim: Claim
    reference: Array
    recipe: Recipe
    tolerance: Tolerance
    checkpoint: Callable[[], None]

    def compared(self) -> Comparison:
        """Go through all rows."""
        claim, recipe = self.claim, self.recipe
        claimed, plain = Figures(claim.type), Figures(claim.type)
        found: list[dict[str, Array]] = []
        every = 1 + recipe.logits.size // SAMPLED_ELEMENTS
        for number, rows in enumerate(recipe.blocks()):
            self.checkpoint()
            is_sampled = number % every == 0
            here = PlainRows(recipe, rows)
            sizes = self._sizes(here, self.reference[rows])
            found.append(self._judged(rows, sizes))
            claimed.add(claim.values[rows], self.reference[rows], sizes.of_ulp, is_sampled=is_sampled)
            if is_sampled:
                plain.add(self._as_usual(rows, here), self.reference[rows], sizes.of_ulp)

        def joined(name: str) -> Array:
            return np.concatenate([np.zeros(0), *(block[name] for block in found if name in block)])

        return Comparison(
            claim,
            self.reference,
            excess=joined("excess"),
            usual_excess=joined("usual_excess"),
            worst_class=joined("worst_class"),
            relative=joined("relative"),
            has_lost_digits=joined("has_lost_digits") > 0,
            spread=joined("spread"),
            row_sum=float(joined("row_sum").max(initial=0)),
            row_sum_excess=float(joined("row_sum_excess").max(initial=0)),
            num_opposite=int(joined("opposite").sum()),
            claimed_errors=claimed.errors(),
            plain_errors=plain.errors(),
        )

    def _as_usual(self, rows: slice, here: PlainRows) -> Array:
        """Return what plain NumPy makes of the rows in the claimed type."""
        of = self.claim.type
        if of.computed_in != FLOAT64 or self.recipe.temperature != 1:
            here = PlainRows(replace(self.recipe, divides_first=True), rows, of.computed_in)
        return of.rounded(here.output(self.claim.name)[0].astype(np.float64))

    def _sizes(self, here: PlainRows, reference: Array) -> _Sizes:
        of, recipe, magnitudes = self.claim.type, self.recipe, np.abs(reference)
        of_terms, doubt = here.measures(self.claim.name, of)
        sizes = np.fmax(magnitudes, of_terms)  # at the least: the terms of a result may vanish where it does not
        spread = here.spread(of)

        def relative(tolerance: Tolerance) -> Array:
            return by_row(tolerance.relative(of, spread, recipe.num_classes), sizes)

        is_difference = recipe.labels is None or recipe.smoothing > 0 or (recipe.is_softmax and recipe.is_binary)
        return _Sizes(
            spread=spread,
            values=sizes,
            tolerated=self.tolerance.absolute(of)
            + relative(self.tolerance) * sizes
            + (doubt if self.tolerance.rtol is None else 0.0),
            usual=USUAL.absolute(of) + relative(USUAL) * sizes + doubt,
            doubt=doubt,
            lost_far_off=by_row(here.lost_far_off(of), sizes) * sizes,
            of_number=USUAL.absolute(of) + MANY_TIMES * relative(USUAL) * magnitudes,
            of_digits=MANY_TIMES * of.epsilon * magnitudes,
            of_ulp=held(np.minimum(sizes, LARGEST)) if self.claim.name == "gradient" and is_difference else magnitudes,
        )

    def _judged(self, rows: slice, sizes: _Sizes) -> dict[str, Array]:
        claimed, reference = self.claim.values[rows], self.reference[rows]
        error = np.abs(claimed - reference)
        error[~np.isfinite(claimed)] = np.inf
        least = self.claim.type.smallest_normal
        bounds = sizes.tolerated, sizes.usual, sizes.usual + sizes.lost_far_off, np.maximum(sizes.values, least)
        excess, plainly, usual, relative = (held(np.where(error == 0, 0, error / np.fmax(each, 0))) for each in bounds)
        is_opposite = (np.sign(claimed) * np.sign(reference) < 0) & (usual > 1)
        judged = {
            "worst_class": excess.argmax(axis=1) if excess.ndim > 1 else np.zeros(len(excess), np.intp),
            "excess": _largest(excess),
            "usual_excess": _largest(usual),
            "relative": _largest(relative),
            "has_lost_digits": self._has_lost_digits(rows, sizes, error, (error > sizes.of_number) & (plainly <= 1)),
            "spread": sizes.spread,
            "opposite": is_opposite.reshape(len(error), -1).sum(axis=1),
        }
        return judged | self._row_sums(claimed, sizes)

    def _has_lost_digits(self, rows: slice, sizes: _Sizes, error: Array, is_off: Array) -> Array:
        """Return the rows where some number is off that a row's weight nearly cancels to, or that 1 − p has made."""
        is_lost = (error > np.maximum(sizes.usual - sizes.doubt, sizes.of_digits)) & (error <= sizes.usual)
        if self.claim.name == "losses":
            return is_lost | (is_off & (np.abs(self.reference[rows]) < SURE * sizes.values))
        if self.claim.name == "probabilities" or not (is_off | is_lost).any():
            return np.zeros(len(is_off), bool)
        weighted = self.recipe.weights * self.recipe.target_rows(rows)
        total = weighted.sum(axis=1, keepdims=True) if self.recipe.is_softmax else self.recipe.weights
        is_small = is_off & (np.abs(self.reference[rows]) < SURE * sizes.values)
        return np.asarray((is_lost | (is_small & (weighted == total))).any(axis=1))

    def _row_sums(self, claimed: Array, sizes: _Sizes) -> dict[str, Array]:
        if self.claim.name != "gradient" or not self.recipe.is_softmax:
            return {}
        sums = np.abs(claimed.sum(axis=1))
        sums[~np.isfinite(sums)] = np.inf
        return {"row_sum": sums, "row_sum_excess": held(sums / (sizes.usual + sizes.lost_far_off).sum(axis=1))}


def held(values: Array) -> Array:
    """Return numbers in float64, whose sizes may be in a wider type."""
    return values.astype(FLOAT64, copy=False)


def by_row(values: Array, sizes: Array) -> Array:
    """Return a number for each row so that it meets the sizes of an output, (rows,) or (rows, K)."""
    return values if sizes.ndim == 1 else values[:, np.newaxis]


def _largest(values: Array) -> Array:
    return values.reshape(len(values), -1).max(axis=1)
