"""How well a recipe with mistakes in it reproduces one claimed output: on a few rows, and on all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gradient_service.core.blocks import Array, Rows
from gradient_service.core.checking.claims import Tolerance
from gradient_service.core.checking.codes import DiagnosisCode
from gradient_service.core.checking.comparison import USUAL, Comparison, by_row
from gradient_service.core.checking.plain import LARGEST, PlainRows
from gradient_service.core.checking.recipes import BLOCK_ELEMENTS, Layout, Recipe
from gradient_service.core.checking.reduced_loss import Reduced, reduced

SAMPLED_ROWS = 4
"""The worst ones, and as many spread over the batch."""
SAMPLED_ELEMENTS = 4 * 1024
CONFIRMED_ELEMENTS = 1 << 22
"""A recipe is followed through so many elements at the most; of a larger batch these are rows spread over it."""
GLANCED_ELEMENTS = 1 << 27
"""So many elements are gone through in glances; where the rows are very long these are fewer than there are recipes."""
DOUBTED = 1 / 16
"""Of a number: so much of it a mistake may leave where it goes through 1 − p."""
REDUCED_ELEMENTS = 1 << 24
"""So many elements are gone through for all recipes of a reduced loss together, which no few rows can dismiss."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A recipe with one or two mistakes in it, and what they multiply its outputs by."""

    codes: tuple[DiagnosisCode, ...]
    recipe: Recipe
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Left:
    """What a recipe leaves of the error: the most over what is tolerated, and over the size."""

    excess: float
    residual: float

    @classmethod
    def of(cls, error: Array, tolerated: Array, sizes: Array) -> "Left":
        """Return what is left of some numbers; all of it where sizes are beyond the range: nothing is near to those."""
        error = np.where(np.isfinite(error) & (sizes < LARGEST), error, np.inf)
        excess, residual = (np.where(error == 0, 0, error / each) for each in (tolerated, sizes))
        return cls(float(excess.max(initial=0)), float(residual.max(initial=0)))


EVERYTHING = Left(np.inf, np.inf)


class Judge(Protocol):
    """Holds recipes against one output; beside the tolerance, what is usual: a recipe has errors of its own."""

    def at_a_glance(self, variant: Variant) -> Left:
        """Return what is left on a few rows."""

    def in_full(self, variant: Variant) -> Left:
        """Return what is left on all rows."""

    def has_effect(self, variant: Variant) -> bool:
        """Return whether the mistake changes anything."""

    def extremes(self, recipe: Recipe) -> tuple[float, float]:
        """Return the least and the largest probability at a glance, before any is kept away from 0."""


@dataclass(slots=True)
class RowsJudge:
    """Judges by rows: of losses, of the gradient or of probabilities."""

    recipe: Recipe
    found: Comparison
    tolerance: Tolerance
    checkpoint: Callable[[], None]
    _sample: Array = field(init=False)
    _turned: dict[Layout, Array] = field(default_factory=dict)
    _num_glanced: int = 0
    _last: tuple[Recipe, Array, Array, Array] | None = None
    _followed_through: dict[tuple[int, float], tuple[Recipe, Left]] = field(default_factory=dict)
    """By recipe, told apart by its id while it is kept, and factor."""

    def __post_init__(self) -> None:
        batch_size, num_classes = self.recipe.logits.shape
        count = min(SAMPLED_ROWS, max(1, SAMPLED_ELEMENTS // (2 * num_classes)), batch_size)
        worst = np.argpartition(-self.found.excess_over(self.tolerance), count - 1)[:count]
        even = np.linspace(0, batch_size - 1, count).astype(np.intp)
        self._sample = np.unique(np.concatenate([worst, even]))

    def at_a_glance(self, variant: Variant) -> Left:
        """Return what is left on the worst rows and some others; everything once time is up."""
        if self._last is None or self._last[0] is not variant.recipe:
            if self._num_glanced > GLANCED_ELEMENTS:
                return EVERYTHING
            self._last = variant.recipe, *self._glanced(variant.recipe)
        return self._left(variant, self._sample, self._last[1:])

    def in_full(self, variant: Variant) -> Left:
        """Return what is left on all rows, or on as many as there is time for; of what does not fit the beginning."""
        key = id(variant.recipe), variant.factor
        if key not in self._followed_through:  # several mistakes may make the same recipe, or the same factor
            self._followed_through[key] = variant.recipe, self._through_all(variant)
        return self._followed_through[key][1]

    def _through_all(self, variant: Variant) -> Left:
        worst = Left(0.0, 0.0)
        for rows in self._all_rows():
            here = self._left(variant, rows, self._followed(variant.recipe, rows))
            worst = Left(max(worst.excess, here.excess), max(worst.residual, here.residual))
            if worst.excess > 1:
                break
        return worst

    def has_effect(self, variant: Variant) -> bool:
        """Return whether the mistake changes anything on the few rows."""
        if variant.recipe.layout is not Layout.ROWS:
            return True
        if self._num_glanced > GLANCED_ELEMENTS:
            return False
        right, sizes, tolerated = self._glanced(self.recipe)
        made = self._glanced(variant.recipe)[0]
        return Left.of(np.abs(made - right), tolerated, sizes).excess > 1

    def extremes(self, recipe: Recipe) -> tuple[float, float]:
        """Return the same of the few rows."""
        return PlainRows(recipe, self._sample).extremes

    def _glanced(self, recipe: Recipe) -> tuple[Array, Array, Array]:
        self._num_glanced += len(self._sample) * recipe.num_classes
        return self._followed(recipe, self._sample)

    def _all_rows(self) -> Iterator[Rows]:
        batch_size, num_classes = self.recipe.logits.shape
        if batch_size * num_classes <= CONFIRMED_ELEMENTS:
            yield from self.recipe.blocks()
            return
        chosen = np.linspace(0, batch_size - 1, max(1, CONFIRMED_ELEMENTS // num_classes)).astype(np.intp)
        yield from np.array_split(chosen, max(1, len(chosen) * num_classes // BLOCK_ELEMENTS))

    def _followed(self, recipe: Recipe, rows: Rows) -> tuple[Array, Array, Array]:
        """Return the output of some rows, its sizes, and what errors of it are tolerated but for the smallest.

        Through 1 − p little of a number: beside a size of 0 a factor would make anything of the least doubt.
        """
        self.checkpoint()
        here, of = PlainRows(recipe, rows), self.found.claim.type
        values, sizes = here.output(self.found.claim.name)
        spread = here.spread(of)
        usual, given = (each.relative(of, spread, recipe.num_classes) for each in (USUAL, self.tolerance))
        relative = usual + given + here.lost_far_off(of)
        doubt = np.minimum(here.doubt(self.found.claim.name, of), DOUBTED * sizes)
        return values, sizes, sizes * by_row(relative, sizes) + doubt

    def _left(self, variant: Variant, rows: Rows, followed: tuple[Array, Array, Array]) -> Left:
        values, sizes, tolerated = followed
        scale = abs(variant.factor)
        error = np.abs(self._claimed(variant.recipe.layout)[rows] - variant.factor * values)
        least = sum(each.absolute(self.found.claim.type) for each in (self.tolerance, USUAL))
        return Left.of(error, scale * tolerated + least, np.maximum(scale * sizes, least))

    def _claimed(self, layout: Layout) -> Array:
        values = self.found.claim.values
        if layout is Layout.ROWS or values.ndim == 1:
            return values
        if layout not in self._turned:
            self._turned[layout] = layout.turned_back(values)
        return self._turned[layout]


@dataclass(slots=True)
class LossJudge:
    """Judges by the reduced loss, which takes all rows of each recipe; one after the other until time is up."""

    recipe: Recipe
    found: Comparison
    tolerance: Tolerance
    checkpoint: Callable[[], None]
    _right: Reduced | None = None
    _num_elements: int = 0
    _last: tuple[Recipe, Reduced] | None = None

    def at_a_glance(self, variant: Variant) -> Left:
        """Return what is left."""
        return self.in_full(variant)

    def in_full(self, variant: Variant) -> Left:
        """Return what is left; everything once time is up."""
        made = self._reduced(variant.recipe)
        if made is None:
            return EVERYTHING
        scale, claim = abs(variant.factor), self.found.claim
        error = np.abs(claim.values - variant.factor * made.loss)
        least = sum(each.absolute(claim.type) for each in (self.tolerance, USUAL))
        relative = sum(made.relative(each, claim) for each in (self.tolerance, USUAL)) + made.doubt + made.lost_far_off
        return Left.of(error, np.array([scale * relative + least]), np.array([max(scale * made.size, least)]))

    def has_effect(self, variant: Variant) -> bool:
        """Return whether the mistake changes the loss."""
        made, right = self._reduced(variant.recipe), self._reduced(self.recipe)
        if made is None or right is None:
            return False
        return bool(abs(made.loss - right.loss) > right.tolerated(self.tolerance, self.found.claim))

    def extremes(self, recipe: Recipe) -> tuple[float, float]:
        """Return the same of all rows; 0 and 1 once time is up."""
        if self._num_elements > REDUCED_ELEMENTS:
            return 0.0, 1.0
        self._num_elements += recipe.logits.size
        found = [PlainRows(recipe, rows).extremes for rows in recipe.blocks()]
        return min(least for least, _ in found), max(largest for _, largest in found)

    def _reduced(self, recipe: Recipe) -> Reduced | None:
        if recipe is self.recipe and self._right is not None:
            return self._right
        if self._last is None or self._last[0] is not recipe:
            if self._num_elements > REDUCED_ELEMENTS:
                return None
            self._num_elements += recipe.logits.size
            self._last = recipe, reduced(recipe, self.found.claim.type, self.checkpoint)
        if recipe is self.recipe:
            self._right = self._last[1]
        return self._last[1]


def judge_of(recipe: Recipe, found: Comparison, tolerance: Tolerance, checkpoint: Callable[[], None]) -> Judge:
    """Return who judges an output by what is tolerated; what the checkpoint raises ends the work."""
    return (LossJudge if found.claim.name == "loss" else RowsJudge)(recipe, found, tolerance, checkpoint)
