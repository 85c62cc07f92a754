"""Rows at the borders: subnormal results, the ends of the ranges, one class, two, no rows, and what has no answer."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tests.core.accuracy_cases import Options
from tests.core.calls import SIGMOID, TEXTBOOK, Array

SINGLE_MAX = float(np.finfo(np.float32).max)
DOUBLE_MAX = float(np.finfo(np.float64).max)
NONE: Options = {"reduction": "none"}
OFFSETS = [[2.0**24, 2.0**24 + 2, 2.0**24 - 1], [-(2.0**26), -(2.0**26) - 8, -(2.0**26) + 4], [2.0**127] * 3]
"""Neighbours among the float32 numbers, and the largest power of two."""


class Border(NamedTuple):
    """What a case is about, its rows and its options."""

    covers: str
    logits: Array
    options: Options


def _border(covers: str, rows: Any, dtype: Any = np.float32, **options: Any) -> Border:
    numbers = {name: np.array(value, dtype) for name, value in options.items() if name in ("targets", "class_weights")}
    masks = {name: np.array(value, bool) for name, value in options.items() if name in ("class_mask", "element_mask")}
    labels = {"labels": np.array(options["labels"], np.int64)} if "labels" in options else {}
    return Border(covers, np.array(rows, dtype), {**options, **numbers, **masks, **labels})


def _confident(dtype: Any, *gaps: float) -> list[Border]:
    """Rows whose loss is nearly 0, and the same ones with the label at the loser."""
    rows = [[gap, 0.0] for gap in gaps]
    word = np.dtype(dtype).name
    return [
        _border(f"confident rows, {word}", rows, dtype, labels=[0] * len(gaps), **NONE),
        _border(f"confident and wrong, {word}", rows, dtype, labels=[1] * len(gaps), **NONE),
        _border(f"confident rows, mean, {word}", rows, dtype, labels=[0] * len(gaps)),
        _border(f"confident rows, sum, {word}", rows, dtype, labels=[0] * len(gaps), reduction="sum"),
        _border(
            f"confident sigmoids, {word}", rows, dtype, targets=[[1.0, 0.0]] * len(gaps), objective=SIGMOID, **NONE
        ),
        _border(f"confident rows, binary sum, {word}", rows, dtype, labels=[0] * len(gaps), objective=TEXTBOOK, **NONE),
        _border(f"confident rows, smoothed, {word}", rows, dtype, labels=[0] * len(gaps), label_smoothing=1e-9, **NONE),
    ]


def _ends(dtype: Any, largest: float) -> list[Border]:
    """Losses at and beyond the largest number."""
    word = np.dtype(dtype).name
    return [
        _border(f"loss equal to the largest {word}", [[0.0, -largest]], dtype, labels=[1], **NONE),
        _border(f"loss beyond the largest {word}", [[largest, -largest]], dtype, labels=[1], **NONE),
        _border(f"winner at the largest {word}", [[largest, -largest]], dtype, labels=[0], **NONE),
        _border(
            f"sum beyond the largest {word}",
            [[0.0, -largest], [0.0, -largest]],
            dtype,
            labels=[1, 1],
            reduction="sum",
        ),
        _border(
            f"mean at the largest {word}",
            [[0.0, -largest], [0.0, 0.0]],
            dtype,
            labels=[1, 0],
            denominator="batch",
        ),
    ]


def _few_classes() -> list[Border]:
    rows = [[0.0], [3.0], [-80.0]]
    pairs = [[2.0, -1.0], [0.0, 0.0], [-30.0, 8.5], [-0.0, 0.0]]
    return [
        _border("extreme offsets", OFFSETS, labels=[0, 1, 2], **NONE),
        _border("extreme offsets, smoothed", OFFSETS, labels=[0, 1, 2], label_smoothing=0.25),
        _border("one class", rows, labels=[0, 0, 0], **NONE),
        _border("one class, sigmoid", rows, targets=[[1.0], [0.0], [0.25]], objective=SIGMOID, **NONE),
        _border("one class, binary sum", rows, labels=[0, 0, 0], objective=TEXTBOOK, **NONE),
        _border("one class, any sum", rows, targets=[[2.0], [0.0], [0.5]], targets_sum="any", **NONE),
        _border("two classes", pairs, labels=[0, 1, 0, 1], **NONE),
        _border("two classes, binary sum", pairs, labels=[0, 1, 0, 1], objective=TEXTBOOK, **NONE),
        _border("two classes as one sigmoid", [[3.0], [0.0], [-38.5]], targets=[[1.0]] * 3, objective=SIGMOID, **NONE),
        _border("two classes, smoothed", pairs, labels=[0, 1, 0, 1], label_smoothing=0.25),
        _border("targets that sum to 4", [[0.0, 0.0, 0.0]], targets=[[2.0, 1.0, 1.0]], targets_sum="any"),
        _border("targets of nothing", [[1.0, 2.0]], targets=[[0.0, 0.0]], targets_sum="any", reduction="sum"),
        _border("smoothing of 1", [[1.0, 2.0, 3.0]], labels=[2], label_smoothing=1.0),
        _border("ties", [[5.0, 5.0, 5.0, -100.0]] * 2, labels=[1, 3], **NONE),
    ]


def _masked() -> list[Border]:
    rows = [[9.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
    elements = [[False, True, True], [True, False, True]]
    return [
        _border("masked classes", rows, labels=[1, 2], class_mask=[False, True, True], **NONE),
        _border("masked elements", rows, labels=[1, 2], element_mask=elements, **NONE),
        _border("both masks", rows, labels=[2, 2], element_mask=elements, class_mask=[True, False, True], **NONE),
        _border("one class left", rows, labels=[1, 1], class_mask=[False, True, False], **NONE),
        _border("smoothing leaves masked classes out", rows, labels=[1, 2], element_mask=elements, label_smoothing=0.5),
        _border("zero target on a masked class", rows, targets=[[0, 0.5, 0.5], [0.5, 0, 0.5]], element_mask=elements),
        _border("masked sigmoids", rows, targets=[[0, 1, 0], [0, 0, 0.5]], element_mask=elements, objective=SIGMOID),
        _border(
            "masked label of weight 0",
            rows,
            labels=[0, 1],
            class_mask=[False, True, True],
            class_weights=[0.0, 1.0, 1.0],
        ),
    ]


def _no_rows() -> list[Border]:
    empty = np.empty((0, 3))
    return [
        _border("no rows", empty, labels=[]),
        _border("no rows, sum", empty, labels=[], reduction="sum"),
        _border("no rows, none", empty, labels=[], **NONE),
        _border("no rows, sigmoid", empty, targets=np.empty((0, 3)), objective=SIGMOID),
        _border("every row ignored", [[1.0, 2.0], [3.0, 4.0]], labels=[1, 1], ignore_label=1),
        _border("every weight 0", [[1.0, 2.0], [3.0, 4.0]], labels=[1, 1], class_weights=[1.0, 0.0]),
    ]


def _refused() -> list[Border]:
    rows = [[1.0, 2.0, 3.0]]
    return [
        _border("infinite loss, masked label", rows, labels=[0], class_mask=[False, True, True]),
        _border("infinite loss, masked target", rows, targets=[[0.25, 0.75, 0.0]], class_mask=[False, True, True]),
        _border("infinite loss, one class", [[1.0]], targets=[[0.5]], targets_sum="any", objective=TEXTBOOK),
        _border("undefined row", rows, labels=[0], class_mask=[False, False, False]),
        _border("sum without a denominator", rows, labels=[0], class_weights=[0.0, 1.0, 1.0], label_smoothing=0.5),
    ]


BORDERS = [
    *_confident(np.float32, 17.5, 40.0, 86.5, 87.5, 95.0, 103.0, 103.5, 104.0, 105.0, 745.0, 746.0),
    *_confident(np.float64, 37.1, 700.1, 708.3, 708.5, 720.7, 744.3, 745.1, 745.2, 800.3),
    *_ends(np.float32, SINGLE_MAX),
    *_ends(np.float64, DOUBLE_MAX),
    *_few_classes(),
    *_masked(),
    *_no_rows(),
    *_refused(),
]
BORDERS_OF_SCORES = [
    _border("extreme offsets", OFFSETS),
    _border("subnormal probabilities, float32", [[0.0, -87.5, -95.0, -103.0, -104.0]]),
    _border("subnormal probabilities, float64", [[0.0, -708.5, -720.7, -744.3, -746.1]], np.float64),
    _border("one class left", [[9.0, 0.0, 1.0]], class_mask=[False, False, True]),
    _border("no rows", np.empty((0, 3))),
    _border("undefined row", [[1.0, 2.0]], element_mask=[[False, False]]),
]
