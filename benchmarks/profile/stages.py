"""Sampled stacks to stages of a call: which of our layers was at work, with whatever it had called."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

HTTP, PARSE, CHECKS, COMPUTE, ENCODE = "HTTP", "parse", "fields and checks", "compute", "encode"
STAGES = (HTTP, PARSE, CHECKS, COMPUTE, ENCODE)
FRAME = re.compile(r"(?P<name>[^;]+) \((?P<path>[^;()]+?)(?::\d+)?\)")
WRITES = re.compile(r"encode\w*|dump\w*|_array_parts|small|_plain|_output|_sorted")
WAITS = re.compile(r"(wait|get|select|poll|acquire) \((threading|queue|selectors)\.py")
"""A thread that waits for work; the sampler takes some of these for busy."""
OURS = "gradient_service/"
RULES = (
    ("core/checks.py", CHECKS),
    ("core/limits.py", CHECKS),
    ("core/", COMPUTE),
    ("schemas/", CHECKS),
    ("operations/", CHECKS),
    ("wire/", PARSE),
)
"""By the beginning of the file's name; anything else of ours, and of what stands around it, is HTTP."""


@dataclass
class Shares:
    """Samples by stage and by function."""

    stages: Counter[str] = field(default_factory=Counter)
    functions: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(cls, stacks: str) -> "Shares":
        """Count the sampler's lines: frames from the outermost inwards, then how often."""
        shares = cls()
        for line in stacks.splitlines():
            frames, _, count = line.rpartition(" ")
            if not WAITS.search(frames.rpartition(";")[2]):
                shares._add(frames, int(count))
        return shares

    def _add(self, frames: str, count: int) -> None:
        name, path = next(_ours_inwards(frames), ("event loop, sockets, framework, Python", ""))
        self.stages[_stage(name, path)] += count
        self.functions[name, path] += count

    def share(self, count: int) -> str:
        """A count as a share of all."""
        return f"{count / max(1, self.stages.total()):.0%}"


def _ours_inwards(frames: str) -> Iterator[tuple[str, str]]:
    """Yield our own frames, the innermost first."""
    for match in reversed(list(FRAME.finditer(frames))):
        if match["path"].startswith(OURS):
            yield match["name"].strip("; "), match["path"].removeprefix(OURS)


def _stage(name: str, path: str) -> str:
    if path.startswith("wire/") and (
        WRITES.fullmatch(name.rpartition(".")[2]) or path.endswith(("_writer.py", "_reply.py"))
    ):
        return ENCODE
    return next((stage for beginning, stage in RULES if path.startswith(beginning)), HTTP)
