"""What one part of the benchmarks found: text and tables, plots, and whether its goals were reached."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module


@dataclass(frozen=True)
class Goal:
    """A figure that was to be reached."""

    what: str
    wanted: str
    found: str
    is_reached: bool

    @property
    def verdict(self) -> str:
        """The one word."""
        return "reached" if self.is_reached else "**missed**"


@dataclass(frozen=True)
class Part:
    """One section of the page."""

    title: str
    blocks: Sequence[str]
    """Paragraphs and tables in Markdown."""
    goals: Sequence[Goal]
    plots: Mapping[str, str] = field(default_factory=dict)
    """SVG by file name."""

    @property
    def text(self) -> str:
        """The section in Markdown; plots stand before the tables."""
        pictures = [f"![{name.removesuffix('.svg').replace('-', ' ')}](plots/{name})" for name in self.plots]
        intro, *rest = self.blocks
        return "\n\n".join([f"### {self.title}", intro, goals_table(self.goals), *pictures, *rest])


def goals_table(goals: Iterable[Goal]) -> str:
    """The verdicts as a table."""
    return table(
        ("figure", "to reach", "found", "verdict"),
        [(each.what, each.wanted, each.found, each.verdict) for each in goals],
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are aligned to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def measured(name: str, quick: bool) -> Part:  # noqa: FBT001 - handed to another process by place
    """Measure the part of this name."""
    part: Part = import_module(f"benchmarks.{name}.__main__").measure(quick)
    return part


def run(measure: Callable[[bool], Part]) -> int:
    """Measure one part alone and print it; the exit code is 1 where a goal was missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few rounds: for a look, not for the record")
    part = measure(parser.parse_args().quick)
    print(part.text)
    return int(not all(goal.is_reached for goal in part.goals))
