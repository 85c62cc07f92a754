"""What `check` returns: a verdict, what explains it, and the figures behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ._records import ReadOnlyMapping, Result

__all__ = ["CheckResult", "Diagnosis", "Invariant", "WorstRow"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A known mistake that reproduces what was claimed."""

    code: str
    """Such as `sum_instead_of_mean`; a newer service may know more."""
    explanation: str
    """Which outputs it explains, and in plain words what it is."""
    residual: float
    """The largest error that it leaves, over its size."""


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A row, and its element that is off the most."""

    output: str
    row: int
    column: int | None
    """The class; None for losses, which have none."""
    claimed: float | None
    """None where it is no finite number."""
    reference: float


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that holds of every right claim."""

    name: str
    holds: bool
    value: float


class CheckResult(Result):
    """The answer of `check`."""

    verdict: Literal["match", "mismatch"]
    diagnoses: tuple[Diagnosis, ...]
    """Best first; none for a right claim, but `cancellation` where digits next to 0 are lost."""
    worst_rows: tuple[WorstRow, ...]
    """Those with the largest errors, worst first."""
    statistics: Mapping[str, ReadOnlyMapping[object]]
    """Of each claimed output: `claimed` and `plain`, each with `ulp`, `absolute` and `relative` errors."""
    invariants: tuple[Invariant, ...]

    @property
    def is_match(self) -> bool:
        """Whether every element is within the tolerance."""
        return self.verdict == "match"

    def explain(self) -> str:
        """The report in plain words, one line for each diagnosis and for the worst element."""
        lines = [f"{each.code}: {each.explanation} (residual {each.residual:.3g})" for each in self.diagnoses]
        if not (self.is_match or lines):
            lines.append("no known mistake reproduces it")
        if not self.is_match and self.worst_rows:
            lines.append(f"worst: {_shown(self.worst_rows[0])}")
        return "\n".join([f"the claim is a {self.verdict}", *lines])


def _shown(worst: WorstRow) -> str:
    index = f"{worst.row}" if worst.column is None else f"{worst.row}, {worst.column}"
    claimed = "no finite number" if worst.claimed is None else repr(worst.claimed)
    return f"{worst.output}[{index}] is {claimed}, where {worst.reference!r} is right"
