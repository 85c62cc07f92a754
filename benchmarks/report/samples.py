"""What was measured again and again: medians, spread, and the ratios of what was measured in the same round."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Samples:
    """One figure of each round."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """Half are above."""
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Half are between."""
        if len(self.values) == 1:  # which `quantiles` refuses
            return self.values[0], self.values[0]
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third

    def over(self, other: "Samples") -> "Samples":
        """Round by round, this divided by the other, so that what disturbed a round disturbs both sides of it."""
        return Samples([mine / theirs for mine, theirs in zip(self.values, other.values, strict=True)])

    def shown(self, scale: float = 1.0) -> str:
        """Median and quartiles; of one round only its figure."""
        if len(self.values) == 1:
            return figure(self.median * scale)
        return f"{figure(self.median * scale)} ({' … '.join(figure(value * scale) for value in self.quartiles)})"


def figure(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
