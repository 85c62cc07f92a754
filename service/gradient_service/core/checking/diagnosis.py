"""Which known mistakes reproduce a claim that is not right: each is made, and compared.

A few rows, the worst among them, are enough to dismiss most. What explains these is followed through all rows. Pairs
are looked for where no single mistake explains an output. What nothing reproduces to its last digits is looked at once
more within the caller's tolerance.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice

from gradient_service.core.checking.claims import Tolerance
from gradient_service.core.checking.codes import DiagnosisCode
from gradient_service.core.checking.comparison import USUAL, Comparison
from gradient_service.core.checking.fewer_digits import lower_precision
from gradient_service.core.checking.infinities import infinities
from gradient_service.core.checking.mistakes import SCALINGS, STEPS, Scaling
from gradient_service.core.checking.recipes import Recipe
from gradient_service.core.checking.variants import Judge, Left, Variant, judge_of

BETTER = 4
"""What explains a claim leaves so many times less of its error."""
CLEARLY_BETTER = 16
"""The same of what explains it within the caller's tolerance only, where more comes near by chance."""
BY_CHANCE = 5e-3, 5e-4
"""As near to a single number, of its size, comes some mistake, some pair of them, to any number."""
MAX_PAIRS = 8
"""Enough of them are told."""
MAX_DIAGNOSES = 6
FEW_ELEMENTS = 1 << 20
"""A mistake that looks at the whole batch beforehand is combined with other steps up to this size."""
PLACES = {code: place for place, code in enumerate(DiagnosisCode)}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A mistake that reproduces what was claimed."""

    code: DiagnosisCode
    explanation: str
    residual: float
    """The largest error that it leaves, over its size."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One or two mistakes that together reproduce an output."""

    codes: tuple[DiagnosisCode, ...]
    output: str
    residual: float
    excess: float = 0.0
    """The largest error that they leave, over what is tolerated."""


def diagnose(
    recipe: Recipe, compared: Sequence[Comparison], tolerance: Tolerance, checkpoint: Callable[[], None]
) -> list[Diagnosis]:
    """Return what explains a claim, best first; nothing for one that is right, but that it lost digits.

    Args:
        recipe: the right one.
        compared: each claimed output beside the reference.
        tolerance: what the caller tolerates.
        checkpoint: called before each recipe; what it raises ends the search.
    """
    if all(found.is_match for found in compared):
        lost = [found for found in compared if found.has_lost_digits.any()]
        return _told([Finding((DiagnosisCode.CANCELLATION,), found.claim.name, _residual(found)) for found in lost])
    findings: list[Finding] = []
    for found in compared:
        if not found.is_match:
            findings += _findings(recipe, found, tolerance, checkpoint)
    return _told(findings)


def _findings(recipe: Recipe, found: Comparison, tolerance: Tolerance, checkpoint: Callable[[], None]) -> list[Finding]:
    """Return what reproduces an output to its last digits, else what does as far as the caller tolerates."""
    if found.usual_excess.max(initial=0) <= 1 or not recipe.batch_size:
        return []  # no mistake errs so little, and of no rows none is made
    exact = Search(recipe, found, USUAL, BETTER, checkpoint).findings()
    if tolerance == USUAL or any(finding.codes != (DiagnosisCode.LOWER_PRECISION,) for finding in exact):
        return exact
    return exact + _closest(Search(recipe, found, tolerance, CLEARLY_BETTER, checkpoint).findings())


def _closest(findings: list[Finding]) -> list[Finding]:
    """Return those that leave little more than the best does."""
    least = min((finding.excess for finding in findings), default=0.0)
    return [finding for finding in findings if finding.excess <= BETTER * least]


def _residual(found: Comparison) -> float:
    """Return how far the rows that lost digits are off; beside nothing any number is infinitely far."""
    return min(float(found.relative.max(where=found.has_lost_digits, initial=0)), sys.float_info.max)


@dataclass(slots=True)
class Search:
    """The search for what reproduces one output."""

    recipe: Recipe
    found: Comparison
    tolerance: Tolerance
    better: float
    """How many times less of its error what explains a claim leaves."""
    checkpoint: Callable[[], None]
    _judge: Judge = field(init=False)
    _most: float = field(init=False)
    """What explains the claim leaves no more of its error, over what is tolerated."""

    def __post_init__(self) -> None:
        self._judge = judge_of(self.recipe, self.found, self.tolerance, self.checkpoint)
        self._most = min(1.0, self.found.excess_over(self.tolerance).max(initial=0) / self.better)

    def findings(self) -> list[Finding]:
        """Return the single mistakes that reproduce the output, else the pairs that do."""
        singles = [] if self.found.says_nothing else list(self._singles())
        alone = [*self._explaining(singles), *self._number_faults()]
        return alone or list(islice(self._explaining(self._pairs(singles)), MAX_PAIRS))

    def _explaining(self, variants: Iterable[Variant]) -> Iterator[Finding]:
        for variant in variants:
            self.checkpoint()
            if self._judge.at_a_glance(variant).excess <= self._most:
                left = self._judge.in_full(variant)
                if left.excess <= self._most and not self._is_by_chance(variant, left):
                    yield Finding(variant.codes, self.found.claim.name, left.residual, left.excess)

    def _is_by_chance(self, variant: Variant, left: Left) -> bool:
        return self.found.claim.values.size == 1 and left.residual > BY_CHANCE[len(variant.codes) - 1]

    def _number_faults(self) -> Iterator[Finding]:
        """Yield what the usual errors tell, and no tolerance."""
        if self.tolerance is not USUAL:
            return
        told = infinities(self.recipe, self.found, self.checkpoint)
        residual = None if self.found.says_nothing else lower_precision(self.recipe, self.found, self.checkpoint)
        if residual is not None:
            told[DiagnosisCode.LOWER_PRECISION] = residual
        for code, left in told.items():
            yield Finding((code,), self.found.claim.name, left)

    def _singles(self) -> Iterator[Variant]:
        for scaling in self._scalings():
            for factor in _factors(scaling, self.recipe):
                yield Variant((scaling.code,), self.recipe, factor)
        right = Variant((), self.recipe)
        for step in STEPS:
            for recipe in self._reaching(step.ways(self.recipe), right):
                yield Variant((step.code,), recipe)

    def _reaching(self, recipes: Iterable[Recipe], before: Variant) -> Iterator[Recipe]:
        """Yield recipes, but those that keep probabilities from numbers that none at a glance is near to.

        What is left out reproduces no more at a glance than the recipe before does, in which this one mistake is not.
        """
        extremes: tuple[float, float] | None = None
        for each in recipes:
            if each.floor is not before.recipe.floor:
                extremes = extremes or self._extremes(before)
                if not each.is_floor_reached(*extremes):
                    continue
            yield each

    def _extremes(self, variant: Variant) -> tuple[float, float]:
        """Return the least and the largest probability at a glance, any where more rows are to be looked at."""
        explains = self._judge.at_a_glance(variant).excess <= self._most
        return (0.0, 1.0) if explains else self._judge.extremes(variant.recipe)

    def _scalings(self) -> list[Scaling]:
        return [scaling for scaling in SCALINGS if self.found.claim.name in scaling.outputs]

    def _pairs(self, singles: list[Variant]) -> Iterator[Variant]:
        scaled = [each for each in singles if each.recipe is self.recipe]
        for first, second in combinations(scaled, 2):
            if first.codes != second.codes:
                yield Variant(first.codes + second.codes, self.recipe, first.factor * second.factor)
        steps = [each for each in singles if each.recipe is not self.recipe and self._judge.has_effect(each)]
        for step in steps:
            for scaling in self._scalings():
                for factor in _factors(scaling, self.recipe, step.recipe):
                    yield Variant((scaling.code, *step.codes), step.recipe, factor)
        yield from self._pairs_of_steps(steps)

    def _pairs_of_steps(self, made: list[Variant]) -> Iterator[Variant]:
        """Yield two steps gone wrong, each of which has an effect by itself."""
        is_small = self.recipe.logits.size <= FEW_ELEMENTS
        effective = {code for each in made for code in each.codes}
        steps = {step.code: step for step in STEPS if step.code in effective and (is_small or not step.is_of_batch)}
        for first in made:
            for code, second in steps.items():
                if first.codes[0] in steps and PLACES[code] > PLACES[first.codes[0]]:
                    for recipe in self._reaching(second.beside(first.recipe), first):
                        yield Variant((*first.codes, code), recipe)


def _factors(scaling: Scaling, *recipes: Recipe) -> list[float]:
    found = dict.fromkeys(factor for recipe in recipes for factor in scaling.factors(recipe))
    return [factor for factor in found if factor != 1]


def _told(findings: Iterable[Finding]) -> list[Diagnosis]:
    """Return findings by their mistakes: single ones first, then those that explain more outputs, then by order."""
    outputs: dict[tuple[DiagnosisCode, ...], dict[str, float]] = {}
    for finding in findings:
        left = outputs.setdefault(finding.codes, {})
        left[finding.output] = min(finding.residual, left.get(finding.output, finding.residual))
    ranked = sorted(outputs, key=lambda codes: (len(codes), -len(outputs[codes]), *(PLACES[code] for code in codes)))
    told: dict[DiagnosisCode, Diagnosis] = {}
    for codes in ranked:
        for code in codes:
            others = [other for other in codes if other != code]
            together = f" Together with {others[0]}." if others else ""
            explanation = f"{', '.join(outputs[codes])}: {code.meaning}.{together}"
            told.setdefault(code, Diagnosis(code, explanation, max(outputs[codes].values())))
    return list(told.values())[:MAX_DIAGNOSES]
