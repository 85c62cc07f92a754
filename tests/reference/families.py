"""Named families of adversarial rows, each drawn from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Generator = np.random.Generator
Draw = Callable[[Generator], Array]
JACOBIAN_CLASSES = 64
FLOAT32_SHIFT = -896


@dataclass(frozen=True)
class Family:
    """Rows of one kind.

    `is_huge` marks rows whose largest gap is beyond any dtype's losses: only labels at the row's maximum
    have a loss in range.
    """

    name: str
    num_classes: int
    draw: Draw
    is_huge: bool = False

    def __call__(self, rng: Generator) -> Array:
        """Draw logits (N, K) float64."""
        return self.draw(rng)

    def float32(self, rng: Generator) -> Array:
        """Draw logits (N, K) rounded to float32, first scaled by 2⁻⁸⁹⁶ if they leave its range."""
        logits = self.draw(rng)
        if np.abs(logits).max() > np.finfo(np.float32).max:
            logits = np.ldexp(logits, FLOAT32_SHIFT)
        return logits.astype(np.float32)


def _rows(*rows: list[float]) -> Draw:
    return lambda _: np.array(rows, dtype=float)


def _normal(scale: float, num_classes: int, batch_size: int = 4) -> Draw:
    return lambda rng: rng.normal(0.0, scale, (batch_size, num_classes))


def _spread(width: float, num_classes: int) -> Draw:
    return lambda rng: rng.uniform(-width, width, (4, num_classes))


def _dominant(gap: float) -> Draw:
    """The winner, first, in the middle and last, leads the runner-up by the gap."""

    def draw(rng: Generator) -> Array:
        logits = -rng.exponential(3.0, (4, 5))
        for row, place in enumerate((0, 2, 4, 1)):
            logits[row, (place + 1) % 5] = 0.0
            logits[row, place] = gap
        return logits

    return draw


def _offset(offset: float) -> Draw:
    return lambda rng: rng.normal(0.0, 3.0, (4, 6)) + offset


def _near_spacing(base: float) -> Draw:
    """Neighbouring numbers: differences of one to four spacings."""
    return lambda rng: base + np.spacing(base) * rng.integers(0, 5, (4, 6))


def _two_way(gap: float) -> Draw:
    """Two near-equal winners far above the rest."""

    def draw(rng: Generator) -> Array:
        logits = rng.normal(-40.0, 5.0, (4, 7))
        logits[:, 2], logits[:, 5] = 3.0, 3.0 + gap
        return logits

    return draw


def _ties(winners: int, num_classes: int, below: float) -> Draw:
    """Many equal maxima at random places, the other classes equal too."""

    def draw(rng: Generator) -> Array:
        logits = np.full((2, num_classes), 1.3 - below)
        for row in logits:
            row[rng.choice(num_classes, winners, replace=False)] = 1.3
        return logits

    return draw


def _boundary(low: float, high: float) -> Draw:
    """Gaps across the edge where exponentials become subnormal and vanish."""

    def draw(rng: Generator) -> Array:
        logits = rng.uniform(low, high, (5, 8))
        logits[np.arange(5), rng.integers(0, 8, 5)] = 0.0
        return logits

    return draw


def _trained(num_classes: int) -> Draw:
    """A trained network's logits: one class mostly ahead, correlated errors, float32 noise."""

    def draw(rng: Generator) -> Array:
        logits = rng.normal(-4.0, 2.5, (6, num_classes))
        logits[np.arange(6), rng.integers(0, num_classes, 6)] += rng.gamma(4.0, 4.0, 6)
        return logits.astype(np.float32).astype(float)

    return draw


def _placed(place: int) -> Draw:
    """Random rows whose maximum stands at one place."""

    def draw(rng: Generator) -> Array:
        logits = rng.normal(0.0, 4.0, (4, 9))
        logits[:, place] = logits.max(axis=1) + rng.exponential(2.0, 4)
        return logits

    return draw


def _family_list() -> list[Family]:
    families = [Family(f"dominant_{gap}", 5, _dominant(float(gap))) for gap in DOMINANT_GAPS]
    families += [Family(f"normal_{scale:g}", 10, _normal(scale, 10)) for scale in NORMAL_SCALES]
    families += [Family(f"classes_{count}", count, _normal(4.0, count)) for count in CLASS_COUNTS]
    families += [Family(f"offset_{offset:g}", 6, _offset(offset)) for offset in OFFSETS]
    families += [Family(f"neighbours_at_{base:g}", 6, _near_spacing(base)) for base in (1.0, 1e6, 1e16, 1e300)]
    families += [Family(f"two_way_{gap:g}", 7, _two_way(gap)) for gap in (2e-15, 1e-12, 1e-8, 1e-4, 0.1)]
    families += [Family(f"maximum_at_{place}", 9, _placed(place)) for place in (0, 4, 8)]
    families += [Family(f"trained_{count}", count, _trained(count)) for count in (10, 50, 1000)]
    return [*families, *_tied(), *_shaped(), *_tiny(), *_huge(), *_large()]


DOMINANT_GAPS = (1, 5, 17, 30, 37, 40, 100, 500, 700, 745, 800)
NORMAL_SCALES = (1e-8, 1e-4, 0.01, 1.0, 10.0, 100.0, 1000.0)
CLASS_COUNTS = (1, 2, 3, 7, 8, 9, 63, 64, 65, 127, 128, 129, 255, 1000, 1023, 4097)
OFFSETS = (1e3, -1e5, 1e8, 1e15, 1e100, 1e300, -1e300)


def _tied() -> list[Family]:
    return [
        Family("all_equal", 6, _rows([0.0] * 6, [7.25] * 6, [-1e5] * 6)),
        Family("two_of_many_tied", 40, _ties(2, 40, 25.0)),
        Family("repeated_maxima", 12, _ties(5, 12, 3.0)),
        Family("all_but_one_tied", 64, _ties(63, 64, 50.0)),
        Family("ten_thousand_ties", 10_001, _ties(10_000, 10_001, 60.0)),
        Family("one_above_ten_thousand_ties", 10_001, _ties(1, 10_001, 45.0)),
    ]


def _shaped() -> list[Family]:
    steps = np.arange(12.0)
    return [
        Family("wide_range", 16, _spread(300.0, 16)),
        Family("very_wide_range", 16, _spread(2000.0, 16)),
        Family("arithmetic_ladder", 12, _rows(list(-steps), list(37.0 * steps), list(-70.0 * steps))),
        Family("geometric_ladder", 12, _rows(list(2.0**steps), list(-(3.0**steps)), list(10.0**-steps))),
        Family("inexact_steps", 12, _rows(list(0.1 * steps + 1e5), list(0.1 * steps - 1e5), list(steps / 3))),
        Family("inexact_gaps", 8, lambda rng: 1e5 + rng.normal(0.0, 30.0, (4, 8))),
        Family("integers", 10, lambda rng: rng.integers(-30, 31, (5, 10)).astype(float)),
        Family("underflow_boundary", 8, _boundary(-746.0, -707.0)),
        Family("float32_underflow_boundary", 8, _boundary(-105.0, -86.0)),
        Family("confident_boundary", 8, _boundary(-39.0, -34.0)),
        Family("float32_confident_boundary", 8, _boundary(-19.0, -14.0)),
        Family(
            "mixed_magnitudes",
            6,
            lambda rng: rng.choice([-1.0, 1.0], (5, 6)) * 10 ** rng.uniform(-6, 3, (5, 6)),
        ),
    ]


def _tiny() -> list[Family]:
    least = 5e-324
    return [
        Family("subnormals", 5, lambda rng: rng.integers(-9, 10, (4, 5)) * least),
        Family("smallest_normals", 5, lambda rng: rng.normal(0.0, 1.0, (4, 5)) * 2.3e-308),
        Family(
            "negative_zero",
            4,
            _rows([-0.0, 0.0, -0.0, 0.0], [0.0, -0.0, -1.0, 1.0], [-0.0, -0.0, -0.0, -0.0]),
        ),
        Family("tiny_beside_ordinary", 5, _rows([least, -least, 1.0, -1.0, 0.0], [1e-320, 0.0, 40.0, 1e-17, 3.0])),
    ]


def _huge() -> list[Family]:
    return [
        Family("opposite_extremes", 2, _rows([1e308, -1e308], [-1.7e308, 1.7e308], [0.0, -1.7e308]), is_huge=True),
        Family(
            "extremes_among_zeros",
            5,
            _rows([0.0, 1e308, 0.0, -1e308, 5.0], [1e300, 0.0, 1.0, 2.0, 3.0]),
            is_huge=True,
        ),
        Family("equal_extremes", 4, _rows([1e308] * 4, [-1e308] * 4, [1.7e308] * 4)),
        Family(
            "neighbours_at_1e308",
            4,
            lambda rng: 1e308 + np.spacing(1e308) * rng.integers(0, 3, (3, 4)),
            is_huge=True,
        ),
        Family("magnitude_ladder", 9, _rows([10.0**power for power in range(-80, 300, 45)]), is_huge=True),
    ]


def _large() -> list[Family]:
    def confident(rng: Generator) -> Array:
        logits = rng.normal(0.0, 3.0, (1, 100_000))
        logits[0, 61_803] = 55.0
        return logits

    return [
        Family("hundred_thousand_classes", 100_000, _normal(3.0, 100_000, 1)),
        Family("hundred_thousand_confident", 100_000, confident),
    ]


FAMILIES: dict[str, Family] = {family.name: family for family in _family_list()}


def families_up_to(num_classes: int) -> list[Family]:
    """Families of at most that many classes; `JACOBIAN_CLASSES` is the most a Jacobian is computed for."""
    return [family for family in FAMILIES.values() if family.num_classes <= num_classes]
