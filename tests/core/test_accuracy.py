"""Every output against the arbitrary-precision reference, within the bounds of the accuracy contract."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from tests.core.accuracy_bounds import Measurement, ScoresMeasurement
from tests.core.accuracy_cases import Case, cases_of, dealt
from tests.core.calls import SOFTMAX, TEXTBOOK
from tests.reference.families import FAMILIES, Family, families_up_to

FIXED_SEED = 20261124
FRESH_SEED = int.from_bytes(os.urandom(4), "big")
SEEDS = {"fixed": FIXED_SEED, "fresh": FRESH_SEED}
SMALL = families_up_to(65)
MIDDLE = families_up_to(129)
LARGE = [family for family in FAMILIES.values() if family not in MIDDLE]
DTYPES = ("float64", "float32")
PRECISIONS = ("accurate", "fast")
SHARES = {"fixed": 2, "fresh": 1}
FULL_SHARE = 6
ROOT = Path(__file__).parents[2]

OFF = """
import sys
from numpy._core._multiarray_umath import __cpu_features__
left = [name for name in {names} if __cpu_features__.get(name)]
assert not left, left
print("features off")
import pytest
sys.exit(pytest.main({arguments}))
"""


def named(families: list[Family]) -> list[str]:
    """The names of families, for the ids of tests."""
    return [family.name for family in families]


def broken_bounds(family: Family, dtype: str, seed: int, chosen: list[tuple[str, str, str]]) -> list[str]:
    """What breaks the contract on a family, each with the words that find the question again."""
    broken: list[str] = []
    for case in cases_of(family, seed, dtype, chosen):
        kinds = (Measurement, ScoresMeasurement) if case.objective == SOFTMAX else (Measurement,)
        for kind, precision in product(kinds, PRECISIONS):
            excesses = kind(case, precision).run().excesses
            broken += [f"{case}, {precision}: {excess}" for excess in excesses]
    return broken


@pytest.mark.parametrize("which", ["fixed", pytest.param("fresh", marks=pytest.mark.full)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", SMALL, ids=named(SMALL))
def test_outputs_are_within_their_bounds(family: Family, dtype: str, which: str) -> None:
    """Every output of the questions dealt to a family is within its bound."""
    seed = SEEDS[which]
    chosen = dealt(SMALL, seed + DTYPES.index(dtype), SHARES[which])[family.name]
    assert not broken_bounds(family, dtype, seed, chosen), f"fresh seed {FRESH_SEED}"


@pytest.mark.full
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", MIDDLE, ids=named(MIDDLE))
def test_more_options_are_within_their_bounds(family: Family, dtype: str) -> None:
    """The same holds for several times as many questions, drawn anew in each run."""
    seed = FRESH_SEED + 1 + DTYPES.index(dtype)
    chosen = dealt(MIDDLE, seed, FULL_SHARE)[family.name]
    assert not broken_bounds(family, dtype, seed, chosen), f"fresh seed {FRESH_SEED}"


@pytest.mark.full
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", LARGE, ids=named(LARGE))
def test_many_classes_are_within_their_bounds(family: Family, dtype: str) -> None:
    """The same holds for hundreds to a hundred thousand classes."""
    seed = FRESH_SEED + 11 + DTYPES.index(dtype)
    chosen = dealt(LARGE, seed, 1)[family.name]
    assert not broken_bounds(family, dtype, seed, chosen), f"fresh seed {FRESH_SEED}"


@pytest.mark.parametrize(
    ("logits", "label", "weights"),
    [
        ([-1.1, 0.9, 0.9], 1, [0.08, 0.04, 19.26]),
        ([1.6, -1.7, -0.6, 2.2], 1, [99.83, 0.51, 0.01, 0.03]),
        ([1.2, -2.8, 1.1, -1.1], 0, [0.02, 0.04, 4.88, 0.41]),
        ([1.6, 2.2, 2.0, -2.9], 0, [0.09, 0.82, 14.56, 20.7]),
    ],
)
def test_roundings_of_the_textbook_gradient_do_not_add_up(
    logits: list[float], label: int, weights: list[float]
) -> None:
    """Rows found among millions, whose gradient once was up to 7 ulp off, where 6 are promised."""
    options = {
        "objective": TEXTBOOK,
        "reduction": "sum",
        "labels": np.array([label]),
        "class_weights": np.array(weights),
    }
    measurement = Measurement(Case("found by chance", np.array([logits]), options, 0), "accurate").run()
    assert "gradient" in measurement.worst
    assert not measurement.excesses


@pytest.mark.parametrize(("output", "of_label"), [("gradient", 0.0), ("losses", -1e6)])
def test_smoothing_next_to_one_leaves_the_label_its_share(output: str, of_label: float) -> None:
    """1 − ε was taken in float32, where such an ε is 1: both were some 70 ulp off, of 12 that `fast` may."""
    logits = np.zeros((1, 4096), np.float32)
    logits[0, 7] = of_label
    options = {"objective": SOFTMAX, "reduction": "sum", "labels": np.array([7]), "label_smoothing": 0.999999999}
    measurement = Measurement(Case("all but even", logits, options, 0), "fast").run()
    assert output in measurement.worst
    assert not measurement.excesses


@pytest.mark.full
def test_bounds_hold_without_wide_vector_instructions() -> None:
    """The default questions are within their bounds where NumPy may use no AVX2, AVX-512 or their like."""
    wide = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]  # X86_V3 is AVX2, X86_V4 AVX-512
    arguments = ["-q", "-m", "not full", "-p", "no:cacheprovider", str(Path(__file__).relative_to(ROOT))]
    result = subprocess.run(
        [sys.executable, "-c", OFF.format(names=wide, arguments=arguments)],
        cwd=ROOT,
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(wide)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.startswith("features off"), result.stderr
    assert result.returncode == 0, result.stdout[-3000:]


def test_dtypes_of_answers_follow_the_logits() -> None:
    """The cases ask in both dtypes, and no family is left out of the default slice for its shape alone."""
    for dtype in ("float32", "float64"):
        case = next(cases_of(SMALL[0], FIXED_SEED, dtype, [(SOFTMAX, "best", "plain")]))
        assert case.logits.dtype == np.dtype(dtype)
    assert len(SMALL) >= 40
