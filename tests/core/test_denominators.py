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


@pytest.mark.parametrize(
    ("targets", "class_weights", "sample_weight"),
    [
        ([0.6, 0.4], [5e-324, 0.0], 1e308),
        ([0.03, 0.97], [1e-308, 0.0], 1e308),
        ([0.3, 0.7], [5e-324, 0.0], 1e308),
        ([1e-200, 3e-201], [1e-120, 1e-121], 1e300),
        ([1e-200, 0.0], [1e-200, 1.0], 1e300),
        ([5e-324, 1e-300], [5e-324, 0.0], 1.7e308),
        ([1e300, 1e-300], [1e300, 1e300], 1e-300),
        ([1.5e308, 1.5e308], None, 1e-300),
        ([0.0, 0.0], [1.0, 5e-324], 1e308),
    ],
)
def test_a_target_sum_is_exact_where_products_leave_the_range(
    targets: list[float], class_weights: list[float] | None, sample_weight: float
) -> None:
    """A weight of the row brings a sum back whose products left the range: they were rounded to 0, or refused."""
    supervision = Supervision(
        targets=np.array([targets, [1.0, 0.0]]),
        class_weights=None if class_weights is None else np.array(class_weights),
        sample_weights=np.array([sample_weight, 0.0]),
    )
    denominator = denominator_of(ReductionRule(), weigh(Scores(logits=np.zeros((2, 2))), supervision))
    pairs = zip(class_weights or [1.0, 1.0], targets, strict=True)
    exact = Fraction(sample_weight) * sum(Fraction(weight) * Fraction(target) for weight, target in pairs)
    assert denominator is not None
    assert denominator.nearest == float(exact)
