"""The questions of the golden pack: rows of every family, every combination of options, and the borders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from tests.core.accuracy_cases import CURVATURES, Options, cases_of, combinations
from tests.core.calls import OF_SCORES, SIGMOID, SOFTMAX, TEXTBOOK, Array
from tests.golden.borders import BORDERS, BORDERS_OF_SCORES
from tests.reference import draws
from tests.reference.families import FAMILIES, Family, families_up_to

SEED = 20261127
SCORE_OUTPUTS = ("probabilities", "log_probabilities", "entropy", "log_normalizer", "predicted_labels", "one_hot")
FACTORS = ("loss_wrt_probabilities", "jacobian", "gradient_diagonal_only")
FACTOR_CLASSES = 6
"""Of so many classes at the most a case has the factors of the chain rule, whose Jacobian is long."""
SMALL, MIDDLE = 12, 65
"""The most classes of families asked with all options and digits, and of families asked at all, but for the long."""
LONG = ("trained_1000", "classes_1023")
WIDE = 16
"""Of more classes than these one row is enough, of others three."""
PAIR = 2
"""How many it has of a combination of options."""
OF_ROWS = ("labels", "targets", "element_mask", "sample_weights", "upstream")
SHORT = {SOFTMAX: "cross_entropy", SIGMOID: "sigmoid", TEXTBOOK: "binary_sum"}
OF_POWERS = ("geometric_ladder", "mixed_magnitudes")
"""Families of powers, whose last digit of float64 NumPy computes by the processor: they are asked as float32 alone."""
REDUCTIONS: dict[str, Options] = {
    "none": {"reduction": "none"},
    "sum": {"reduction": "sum"},
    "mean by weights": {},
    "mean by examples": {"denominator": "examples"},
    "mean by batch": {"denominator": "batch"},
    "mean by a number": {"denominator_value": 12.5},
}


@dataclass(frozen=True)
class Case:
    """One question: its arrays of numbers are float32, then it is asked in both dtypes, or float64."""

    id: str
    covers: tuple[str, ...]
    logits: Array
    options: Options
    outputs: tuple[str, ...]

    @property
    def operation(self) -> str:
        """Which path answers it."""
        return "softmax" if self.outputs[0] in SCORE_OUTPUTS else "gradient"

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that hold its numbers exactly."""
        return ("float32", "float64") if self.logits.dtype == np.float32 else ("float64",)


def all_cases() -> Iterator[Case]:
    """Every case of the pack, in its order."""
    yield from _scores()
    yield from _scores_with_options()
    yield from _labelled()
    yield from _combined()
    yield from _reduced()
    yield from _bordering()


def _rng(*words: str) -> np.random.Generator:
    return np.random.default_rng([SEED, *map(ord, "".join(words))])


def _rows(family: Family, dtype: Any = np.float32) -> Array:
    """The first rows of a family."""
    rng = _rng(family.name)
    rows = family.float32(rng) if dtype is np.float32 else family(rng)
    return rows[: 1 if family.num_classes > WIDE else 3]


def _families() -> list[Family]:
    return [*families_up_to(MIDDLE), *(FAMILIES[name] for name in LONG)]


def _dtype_of(family: Family) -> Any:
    """The type in which a family is asked: float32 for both, unless it makes one number of all."""
    return np.float32 if np.unique(_rows(family)).size > 1 else np.float64


def _scores() -> Iterator[Case]:
    for family in _families():
        outputs = SCORE_OUTPUTS[:2] if family.num_classes > MIDDLE else SCORE_OUTPUTS
        yield Case(_id("softmax", family.name), (_title(family),), _rows(family, _dtype_of(family)), {}, outputs)


def _scores_with_options() -> Iterator[Case]:
    for name in ("normal_1", "normal_100", "offset_1e+08", "dominant_40", "float32_underflow_boundary"):
        logits = _rows(FAMILIES[name])
        dressings: dict[str, Options] = {
            "temperature 0.7": {"temperature": 0.7},
            "temperature 3": {"temperature": 3.0},
            "masked elements": {"element_mask": draws.element_mask(_rng(name), (len(logits), logits.shape[1]))},
            "masked classes": {"class_mask": draws.class_mask(_rng(name), logits.shape[1])},
        }
        for words, options in dressings.items():
            covers = (_title(FAMILIES[name]), words)
            yield Case(_id("softmax", name, words), covers, logits, options, SCORE_OUTPUTS)


def _labelled() -> Iterator[Case]:
    """Every family with labels: as float32, and those of few classes once more with the digits that this dropped."""
    for family in _families():
        yield _of_labels(family, _dtype_of(family))
    for family in families_up_to(SMALL):
        is_asked = np.array_equal(_rows(family, _dtype_of(family)), _rows(family, np.float64))
        if not is_asked and family.name not in OF_POWERS:
            yield _of_labels(family, np.float64, "all digits")


def _of_labels(family: Family, dtype: Any, *words: str) -> Case:
    """Rows with a label at the maximum, at the minimum and anywhere, in turn."""
    logits = _rows(family, dtype)
    best, worst, random = (draws.LABELS[kind](_rng(family.name), logits) for kind in ("best", "worst", "random"))
    # The losses of huge rows leave the range at all but the maximum.
    labels = best if family.is_huge else np.choose(np.arange(len(logits)) % 3, [best, worst, random])
    covers = (_title(family), SOFTMAX, "labels", *words)
    options = {"labels": labels, "reduction": "none"}
    return Case(_id("labels", family.name, *words), covers, logits, options, _outputs(options))


def _combined() -> Iterator[Case]:
    """Every objective with every kind of target and every dressing of options, on small rows in turn."""
    families = [family for family in families_up_to(SMALL) if _dtype_of(family) is np.float32 and not family.is_huge]
    for combination, family in zip(combinations(), cycle(families), strict=False):
        asked = next(cases_of(family, SEED, np.float32, [combination]))
        objective, *words = combination
        yield Case(
            _id(SHORT[objective], *words),
            (_title(family), *combination),
            asked.logits[:PAIR],
            {name: value[:PAIR] if name in OF_ROWS else value for name, value in asked.options.items()},
            (*_outputs(asked.options), *_factors(objective, family.num_classes)),
        )


def _outputs(options: Options) -> tuple[str, ...]:
    """What every case with a loss has: without a reduction the losses take the place of the loss."""
    return ("losses", "gradient") if options.get("reduction") == "none" else ("loss", "losses", "gradient")


def _factors(objective: str, num_classes: int) -> tuple[str, ...]:
    curved = ("hessian_diagonal",) if CURVATURES[objective] else ()
    return (*curved, *FACTORS) if num_classes <= FACTOR_CLASSES else curved


def _reduced() -> Iterator[Case]:
    """One batch with weights and an ignored label, under every reduction and denominator."""
    rng = _rng("reductions")
    logits = FAMILIES["normal_1"].float32(rng)
    batch = {
        "labels": np.array([2, 7, 2, 0]),
        "ignore_label": 7,
        "class_weights": draws.class_weights(rng, 10).astype(np.float32),
        "sample_weights": np.array([1.0, 5.0, 0.25, 3.0], np.float32),
    }
    for objective in (SOFTMAX, TEXTBOOK):
        for name, rule in REDUCTIONS.items():
            options = {**batch, "objective": objective, **rule}
            covers = (objective, name, "an ignored label", "weights")
            yield Case(_id("reduced", SHORT[objective], name), covers, logits, options, _outputs(options))


def _bordering() -> Iterator[Case]:
    for border in BORDERS:
        outputs = _outputs(border.options)
        yield Case(_id("border", border.covers), (border.covers,), border.logits, border.options, outputs)
    for border in BORDERS_OF_SCORES:
        options = {name: value for name, value in border.options.items() if name in OF_SCORES}
        yield Case(_id("softmax", border.covers), (border.covers,), border.logits, options, SCORE_OUTPUTS)


def _title(family: Family) -> str:
    return family.name.replace("_", " ")


def _id(*words: str) -> str:
    return ".".join(words).replace(" ", "_").replace(",", "")
