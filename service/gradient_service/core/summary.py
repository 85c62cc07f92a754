"""The mergeable summary of a batch: exact sums and counts that add up over any split of the rows."""

from collections.abc import Iterable

from gradient_service.core.exact_sum import rounded_with_tail, sum_of_parts
from gradient_service.core.records import record


@record()
class Summary:
    """What a set of rows adds to a loss; sums are float64, their tails list what rounding left out.

    `loss_sum` is in nats and may be infinite above the range of float64; then it has no tail.
    """

    loss_sum: float
    loss_tail: tuple[float, ...]
    weight_sum: float
    weight_tail: tuple[float, ...]
    example_count: int
    ignored_count: int
    correct_count: int


def merge_summaries(summaries: Iterable[Summary]) -> Summary:
    """Return the summary of all rows from those of disjoint parts, to the bit what one call would give."""
    parts = tuple(summaries)
    loss_sum, loss_tail = rounded_with_tail(
        sum_of_parts(number for part in parts for number in (part.loss_sum, *part.loss_tail))
    )
    weight_sum, weight_tail = rounded_with_tail(
        sum_of_parts(number for part in parts for number in (part.weight_sum, *part.weight_tail))
    )
    return Summary(
        loss_sum=loss_sum,
        loss_tail=loss_tail,
        weight_sum=weight_sum,
        weight_tail=weight_tail,
        example_count=sum(part.example_count for part in parts),
        ignored_count=sum(part.ignored_count for part in parts),
        correct_count=sum(part.correct_count for part in parts),
    )
