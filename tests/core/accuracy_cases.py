"""Questions for the accuracy tests: rows of a family, a kind of target, and a dressing of options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.core.calls import SIGMOID, SOFTMAX, TEXTBOOK, Array
from tests.reference import draws
from tests.reference.families import Family

Generator = np.random.Generator
Options = dict[str, Any]
SMOOTHINGS = (0.1, 0.5, 1e-3, 1e-9, 1 - 1e-9, 1.0)
CURVATURES = {
    SOFTMAX: ("exact", "upper_bound", "class_scaled", "absolute_residual"),
    SIGMOID: ("exact", "absolute_residual"),
    TEXTBOOK: (),
}
OF_SOFTMAX = ("label_smoothing", "targets_sum")
"""The options that the sigmoid objective does not have."""
LABEL_KINDS = tuple(draws.LABELS)
TARGET_KINDS = (*draws.TARGETS, "one_hot")
KINDS = {
    SOFTMAX: (*LABEL_KINDS, *TARGET_KINDS, "free"),
    SIGMOID: ("binary", "one_hot", "dirichlet"),
    TEXTBOOK: (*LABEL_KINDS, *TARGET_KINDS, "binary"),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One question, with the words that find it again; equal to none but itself, so that what it is asked is kept."""

    name: str
    logits: Array
    options: Options
    seed: int

    @property
    def objective(self) -> str:
        """The objective's name."""
        return str(self.options["objective"])

    def __str__(self) -> str:
        return f"{self.name}, {self.logits.dtype}, seed {self.seed}"


def _plain(_rng: Generator, _logits: Array) -> Options:
    return {"reduction": "sum"}


def _mean(_rng: Generator, _logits: Array) -> Options:
    return {"reduction": "mean"}


def _temperature(rng: Generator, _: Array) -> Options:
    return {"reduction": "sum", "temperature": float(rng.choice(draws.TEMPERATURES))}


def _class_weights(rng: Generator, logits: Array) -> Options:
    return {"reduction": "sum", "class_weights": draws.class_weights(rng, logits.shape[1])}


def _sample_weights(rng: Generator, logits: Array) -> Options:
    rows = len(logits)
    return {
        "reduction": "none",
        "sample_weights": draws.sample_weights(rng, rows),
        "upstream": draws.upstream(rng, rows),
    }


def _smoothing(rng: Generator, _: Array) -> Options:
    return {"reduction": "sum", "label_smoothing": float(rng.choice(SMOOTHINGS))}


def _smoothing_with_weights(rng: Generator, logits: Array) -> Options:
    return {**_smoothing(rng, logits), **_class_weights(rng, logits)}


def _masks(rng: Generator, logits: Array) -> Options:
    masks: Options = {"element_mask": draws.element_mask(rng, (logits.shape[0], logits.shape[1]))}
    if rng.random() < 1 / 2:
        masks = {"class_mask": draws.class_mask(rng, logits.shape[1])}
    return {"reduction": "sum", **masks}


def _everything(rng: Generator, logits: Array) -> Options:
    parts = (_temperature, _class_weights, _smoothing, _masks)
    options = {"sample_weights": draws.sample_weights(rng, len(logits)), "ignore_label": 0}
    for part in parts:
        options |= part(rng, logits)
    denominator = str(rng.choice(["weights", "examples", "batch"]))
    return {**options, "reduction": "mean", "denominator": denominator}


def _named_number(rng: Generator, logits: Array) -> Options:
    return {**_masks(rng, logits), **_smoothing(rng, logits), "reduction": "mean", "denominator_value": 7.0}


DRESSINGS: dict[str, Callable[[Generator, Array], Options]] = {
    "plain": _plain,
    "mean": _mean,
    "temperature": _temperature,
    "class weights": _class_weights,
    "sample weights": _sample_weights,
    "smoothing": _smoothing,
    "smoothing with weights": _smoothing_with_weights,
    "masks": _masks,
    "everything": _everything,
    "denominator value": _named_number,
}


def combinations() -> list[tuple[str, str, str]]:
    """Every objective with every kind of target and dressing that it has."""
    return [
        (objective, kind, dressing)
        for objective, kinds in KINDS.items()
        for kind in kinds
        for dressing in DRESSINGS
        if not (objective == SIGMOID and "smoothing" in dressing)
    ]


def cases_of(family: Family, seed: int, dtype: Any, chosen: list[tuple[str, str, str]]) -> Iterator[Case]:
    """The questions of the chosen combinations on one family."""
    for combination in chosen:
        rng = np.random.default_rng([seed, *map(ord, family.name + "".join(combination))])
        logits = family(rng) if np.dtype(dtype) == np.float64 else family.float32(rng)
        yield Case(", ".join((family.name, *combination)), logits, _options(rng, logits, *combination), seed)


def _options(rng: Generator, logits: Array, objective: str, kind: str, dressing: str) -> Options:
    options = {"objective": objective, **DRESSINGS[dressing](rng, logits)}
    mask = np.ones(logits.shape, dtype=bool)
    for name in ("class_mask", "element_mask"):
        mask = mask & options.get(name, True)
    options |= _compared_with(rng, logits, kind, mask)
    if objective == SIGMOID:
        options = {name: value for name, value in options.items() if name not in OF_SOFTMAX}
    if "labels" not in options:
        options.pop("ignore_label", None)
    curvatures = CURVATURES[objective]
    if curvatures:
        options["curvature"] = str(rng.choice(curvatures))
    return {name: _rounded(value, logits.dtype) for name, value in options.items()}


def _compared_with(rng: Generator, logits: Array, kind: str, mask: Array) -> Options:
    wide = logits.astype(np.float64)
    if kind in LABEL_KINDS:
        labels = draws.LABELS[kind](rng, np.where(mask, wide, -np.inf if kind == "best" else np.inf))
        return {"labels": labels if kind != "random" or mask.all() else draws.labels_within(rng, mask)}
    if kind == "free":
        return {"targets": np.where(mask, draws.free_targets(rng, wide), 0.0), "targets_sum": "any"}
    if kind == "binary":
        return {"targets": np.where(mask, draws.binary_targets(rng, wide), 0.0), "targets_sum": "any"}
    if kind == "one_hot":
        return {"targets": draws.one_hot_targets(draws.labels_within(rng, mask), logits.shape[1])}
    targets = draws.TARGETS[kind](rng, wide)
    return {"targets": targets if mask.all() else draws.targets_within(targets, mask)}


def _rounded(value: Any, dtype: Any) -> Any:
    """Arrays of numbers in the dtype of the logits, so that both sides read the same ones."""
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def dealt(families: list[Family], seed: int, share: int) -> dict[str, list[tuple[str, str, str]]]:
    """Each family's share of all combinations, dealt like a shuffled deck, so that every one gets its turn."""
    deck = combinations()
    rounds = -(-share * len(families) // len(deck))
    rng = np.random.default_rng(seed)
    cards = [deck[place] for _ in range(rounds) for place in rng.permutation(len(deck)).tolist()]
    return {family.name: cards[n * share : (n + 1) * share] for n, family in enumerate(families)}
