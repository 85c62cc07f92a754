"""How far numbers are off, in the three ways that people ask for."""

from dataclasses import dataclass, field
from sys import float_info

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checking.claims import NumberType

SAMPLED_ELEMENTS = 256 * 1024
"""So many elements tell the medians."""
ERRORS = ("ulp", "absolute", "relative")


@dataclass(frozen=True, slots=True)
class Errors:
    """How far some numbers are off: the largest and the middle error of each kind, of finite numbers."""

    maximum: dict[str, float]
    median: dict[str, float]


@dataclass(slots=True)
class Figures:
    """The largest errors of blocks of numbers, and the middle ones of some of these blocks."""

    type: NumberType
    maximum: dict[str, float] = field(default_factory=dict)
    kept: dict[str, list[Array]] = field(default_factory=lambda: {name: [] for name in ERRORS})

    def add(self, values: Array, reference: Array, sizes: Array, *, is_sampled: bool = True) -> None:
        """Take note of some numbers; those that are not finite have no error."""
        is_finite = np.isfinite(values)
        if not is_finite.all():
            values, reference, sizes = values[is_finite], reference[is_finite], sizes[is_finite]
        if not values.size:
            return
        with np.errstate(over="ignore"):
            absolute = np.abs(values - reference)
            errors = {
                "ulp": absolute / self.type.spacing(sizes),
                "absolute": absolute,
                "relative": absolute / np.maximum(np.abs(reference), self.type.smallest_normal),
            }
        for name, each in errors.items():
            self.maximum[name] = max(self.maximum.get(name, 0.0), float(each.max()))
            if is_sampled:
                self.kept[name].append(each.ravel())

    def errors(self) -> Errors | None:
        """Return what was found; numbers beyond float64 count as its largest."""
        if not self.kept["ulp"]:
            return None
        median = {name: float(np.median(np.concatenate(parts))) for name, parts in self.kept.items()}
        return Errors(_bounded(self.maximum), _bounded(median))


def _bounded(errors: dict[str, float]) -> dict[str, float]:
    return {name: min(value, float_info.max) for name, value in errors.items()}
