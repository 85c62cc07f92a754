"""The JavaScript example under Node: it finds what a naive program gets wrong, and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .test_real_callers import program

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "check_naive.js"
FIELDS = ["logits", "labels", "reduction", "include"]
OVERFLOWS, VANISHES = 709.8, -745.2
"""The logits beyond which the exponentials of float64 are infinite, or 0."""

Entry = dict[str, Any]


def asked() -> list[Entry]:
    """The cases that the example asks: labels, no options, float64."""
    cases = json.loads((ROOT / "openapi" / "golden" / "manifest.json").read_bytes())["cases"]
    plain = [case for case in cases if [*case["request"]] == FIELDS and case["request"]["reduction"] == "none"]
    return [case for case in plain if "float64" in case["expected"]]


def losses(case: Entry) -> list[float]:
    """The exact losses of a case in float64."""
    values: list[float] = case["expected"]["float64"]["losses"]["values"]
    return values


def is_extreme(case: Entry) -> bool:
    """Whether exponentials overflow or all vanish, or digits of a small loss get lost beside 1."""
    winners = [max(row) for row in case["request"]["logits"]]
    return any(winner > OVERFLOWS or winner < VANISHES for winner in winners) or any(0 < e < 1e-5 for e in losses(case))


def is_ordinary(case: Entry) -> bool:
    """Whether all logits are of a usual size, and no label is nearly certain or all but excluded."""
    is_small = all(abs(logit) < 700 for row in case["request"]["logits"] for logit in row)
    return is_small and all(loss == 0 or 0.1 < loss < 700 for loss in losses(case))


def run(*arguments: str) -> tuple[int, set[str], str]:
    """The exit code of the example, the cases that it names, and its last line."""
    command = [program("node"), str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    *lines, last = done.stdout.splitlines()
    return done.returncode, {line.partition(":")[0] for line in lines}, last


def test_extreme_cases_fail_and_ordinary_ones_pass() -> None:
    """Cases with exponentials out of range or nearly certain labels are named, those with ordinary rows never."""
    code, failed, last = run()
    cases = asked()
    extreme, ordinary = ({case["id"] for case in cases if kind(case)} for kind in (is_extreme, is_ordinary))
    assert (code, last) == (1, f"{len(failed)} of {len(cases)} cases fail")
    assert (extreme - failed, ordinary & failed) == (set(), set())
    assert min(len(extreme), len(ordinary)) >= 40
    assert {"labels.offset_1000", "labels.offset_1e+300", "labels.dominant_40"} <= extreme
    assert {"labels.normal_1", "labels.classes_2", "border.ties"} <= ordinary


def test_the_number_of_ulp_counts() -> None:
    """The fewer ulp are allowed, the more cases fail; where all but NaN and infinity passes, only overflow is left."""
    strict, usual, lenient = (run(bound)[1] for bound in ("5", "64", "1e17"))
    assert strict > usual > lenient
    assert "labels.dominant_40" in usual - lenient
