"""A denominator in parts: whatever their number and sizes, they add up to that of all rows, to the last bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from gradient_service.core.denominators import denominator_of, denominator_part, whole_denominator
from gradient_service.core.exact_sum import Total
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Denominator
from gradient_service.core.reduction import Weighing, weigh

ROWS, CLASSES = 200, 5


def weighed(rows: slice) -> Weighing:
    """Some rows, whose weights spread over the range of float64, and below it where two of them meet."""
    generator = np.random.default_rng(8)
    labels = generator.integers(0, CLASSES, ROWS)
    weights = 2.0 ** generator.uniform(-1000, 1000, ROWS)
    return weigh(
        Scores(logits=np.zeros((len(labels[rows]), CLASSES))),
        Supervision(
            labels=labels[rows],
            sample_weights=weights[rows],
            class_weights=2.0 ** generator.uniform(-300, 20, CLASSES),
            ignore_label=2,
        ),
    )


@pytest.mark.parametrize("denominator", Denominator)
@pytest.mark.parametrize("rows_a_part", [1, 7, 199])
def test_parts_add_up_to_the_whole(denominator: Denominator, rows_a_part: int) -> None:
    """Nothing is rounded before the last part is added."""
    rule, whole = ReductionRule(denominator=denominator), weighed(slice(None))
    starts = range(0, ROWS, rows_a_part)
    parts = [denominator_part(rule, weighed(slice(start, start + rows_a_part))) for start in starts]
    total = whole_denominator(Total(units=sum(part.units for part in parts if part is not None)), whole)
    expected = denominator_of(rule, whole)
    assert total is not None
    assert expected is not None
    assert total.units == expected.units


def test_a_target_sum_is_exact_for_the_largest_weights() -> None:
    """What rounding leaves out of a product is known where halves of the weight would overflow."""
    weights = np.array([5.348999931723383e303, 8.480579390302146e303])
    targets = np.array([[0.9996083146075878, 0.0003916853924121879]])
    question = Scores(logits=np.zeros((1, 2))), Supervision(targets=targets, class_weights=weights)
    denominator = denominator_of(ReductionRule(), weigh(*question))
    exact = sum(Fraction(weight) * Fraction(target) for weight, target in zip(weights, targets[0], strict=True))
    assert denominator is not None
    assert denominator.nearest == float(exact)
