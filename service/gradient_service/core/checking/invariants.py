"""What holds of every right claim, and can be seen without the reference or by its signs alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sys import float_info

from gradient_service.core.checking.comparison import Comparison
from gradient_service.core.checking.recipes import Recipe
from gradient_service.core.options import Choice


class Invariant(Choice):
    """What holds of a right claim, whatever the reference says."""

    FINITE = "finite", "every claimed number is finite; the value counts those that are not"
    GRADIENT_ROWS_SUM_TO_ZERO = (
        "gradient_rows_sum_to_zero",
        "softmax: scores that all grow alike change nothing; the value is the largest sum of a row",
    )
    GRADIENT_SIGNS = (
        "gradient_signs",
        "positive where there is too much probability, negative where too little; the value counts wrong signs",
    )


@dataclass(frozen=True, slots=True)
class Held:
    """An invariant, whether it holds, and its value."""

    invariant: Invariant
    holds: bool
    value: float


def invariants_of(recipe: Recipe, compared: Sequence[Comparison]) -> Iterator[Held]:
    """Yield each invariant that the claimed outputs have."""
    num_not_finite = sum(found.num_not_finite for found in compared)
    yield Held(Invariant.FINITE, num_not_finite == 0, num_not_finite)
    for found in compared:
        if found.claim.name == "gradient":
            if recipe.is_softmax:
                value = min(found.row_sum, float_info.max)
                yield Held(Invariant.GRADIENT_ROWS_SUM_TO_ZERO, found.row_sum_excess <= 1, value)
            yield Held(Invariant.GRADIENT_SIGNS, found.num_opposite == 0, found.num_opposite)
