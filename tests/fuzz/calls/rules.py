"""The contract's rules a second time, apart from the service's: fields to a case that has an answer, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.fuzz.calls.questions import CURVATURES, OUTPUTS, SIGMOID, SOFTMAX, TEXTBOOK, Array
from tests.fuzz.calls.readers import CLAIMED, Fields, check

DEFAULTS: dict[str, dict[str, Any]] = {"softmax": {"temperature": 1.0, "precision": "accurate", "dtype": None}}
DEFAULTS["loss"] = DEFAULTS["softmax"] | {
    "targets_sum": "one",
    "objective": SOFTMAX,
    "reduction": "mean",
    "denominator": "weights",
    "denominator_value": None,
    "ignore_label": None,
    "label_smoothing": 0.0,
}
DEFAULTS["gradient"] = DEFAULTS["loss"] | {"curvature": "exact"}
DEFAULTS["check"] = DEFAULTS["loss"] | {"rtol": None, "atol": None}
DEFAULTS["check"].pop("precision")
INCLUDED = {
    "softmax": ["probabilities", "predicted_labels"],
    "loss": ["loss", "summary"],
    "gradient": ["loss", "gradient", "summary"],
}
WORDS = {
    "precision": ("accurate", "fast"),
    "dtype": ("float32", "float64"),
    "targets_sum": ("one", "any"),
    "objective": (SOFTMAX, SIGMOID, TEXTBOOK),
    "reduction": ("mean", "sum", "none"),
    "denominator": ("weights", "examples", "batch"),
    "curvature": CURVATURES[SOFTMAX],
}
MASKS = {"class_mask", "element_mask"}
SUPERVISION = {"labels", "targets", "class_weights", "sample_weights"}
ARRAYS = {"softmax": {"logits"} | MASKS, "loss": {"logits"} | MASKS | SUPERVISION}
ARRAYS["gradient"] = ARRAYS["loss"] | {"upstream"}
ARRAYS["check"] = ARRAYS["gradient"] | {f"claimed.{name}" for name in CLAIMED}
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Case:
    """A question that keeps every rule, its numbers rounded to the dtype of the results."""

    operation: str
    arrays: dict[str, Array]
    options: dict[str, Any]
    """Every scalar option, defaults included."""
    include: list[str]
    dtype: np.dtype[Any]
    roundoffs: dict[str, float] = field(default_factory=dict)
    """Of numbers that came in half precision."""

    @property
    def logits(self) -> Array:
        """The logits (N, K)."""
        return self.arrays["logits"]

    @property
    def mask(self) -> Array:
        """Where a class takes part, (N, K)."""
        mask: Array = np.asarray(self.logits != -np.inf)
        for name in MASKS & self.arrays.keys():
            mask = mask & self.arrays[name]
        return np.asarray(mask)

    @property
    def counted(self) -> Array:
        """Which rows are not ignored, (N,)."""
        if self.options.get("ignore_label") is None:
            return np.ones(len(self.logits), dtype=bool)
        is_counted: Array = np.asarray(self.arrays["labels"] != self.options["ignore_label"])
        return is_counted

    @property
    def given(self) -> Array:
        """The targets c (N, K) before smoothing; of an ignored row those of class 0."""
        if "targets" in self.arrays:
            return np.asarray(self.arrays["targets"], np.longdouble)
        labels = np.where(self.counted, self.arrays["labels"], 0).astype(int)
        return np.asarray(np.eye(self.logits.shape[1], dtype=np.longdouble)[labels])

    def weights(self, name: str) -> Array:
        """Class or sample weights, all 1 where none were given."""
        size = self.logits.shape[1 if name == "class_weights" else 0]
        return np.asarray(self.arrays.get(name, np.ones(size)), np.longdouble)


def case_of(operation: str, fields: Fields) -> Case:
    """Return the case that fields make; raise RefusedError where they break a rule."""
    check(fields.arrays.keys() <= ARRAYS[operation], "known fields")
    known = DEFAULTS[operation].keys() | (set() if operation == "check" else {"include"})
    check(fields.options.keys() <= known, "known options")
    check("logits" in fields.arrays, "logits")
    check(operation == "softmax" or ("labels" in fields.arrays) != ("targets" in fields.arrays), "labels or targets")
    options = DEFAULTS[operation] | {name: _option(name, value) for name, value in fields.options.items()}
    include = _included(operation, fields, options)
    if options.get("reduction") == "none" and "include" not in fields.options and operation != "check":
        include = ["losses" if name == "loss" else name for name in include]
    own = np.promote_types(fields.arrays["logits"].dtype, np.float32) if fields.is_binary else np.dtype(np.float64)
    dtype = np.dtype(options["dtype"] or own)
    options["dtype"] = dtype.name
    _check_shapes(fields.arrays)
    own_type = {f"claimed.{name}" for name in CLAIMED if fields.is_binary}
    arrays = {name: array if name in own_type else _rounded(array, dtype) for name, array in fields.arrays.items()}
    case = Case(operation, arrays, options, include, dtype, fields.roundoffs)
    _check_scores(case)
    if operation != "softmax":
        _check_conflicts(case)
        _check_supervision(case, fields.roundoffs.get("targets", 0.0))
    return case


def _included(operation: str, fields: Fields, options: dict[str, Any]) -> list[str]:
    """Return the outputs asked for, or claimed."""
    if operation == "check":
        claims = [name for name in CLAIMED if f"claimed.{name}" in fields.arrays]
        check(claims, "a claim")
        return claims
    include = list(dict.fromkeys(options.pop("include", INCLUDED[operation])))
    check(set(include) <= set(OUTPUTS[operation]), "outputs")
    return include


def _option(name: str, value: Any) -> Any:
    if name == "include":
        check(isinstance(value, list) and len(value) <= 32 and all(isinstance(each, str) for each in value), name)
        return value
    if name in WORDS:
        check(isinstance(value, str) and value in WORDS[name], name)
        return value
    check(type(value) in ((int,) if name == "ignore_label" else (int, float)), name)
    if name == "ignore_label":
        check(value in INT64, name)
        return value
    check(abs(value) <= np.finfo(float).max, "within float64")
    check(
        0 <= value <= 1 if name == "label_smoothing" else value > 0 or (value == 0 and name in {"rtol", "atol"}), name
    )
    return float(value)


def _check_shapes(arrays: dict[str, Array]) -> None:
    rows, classes = arrays["logits"].shape
    check(classes > 0, "classes")
    shapes = {
        "labels": (rows,),
        "sample_weights": (rows,),
        "upstream": (rows,),
        "class_mask": (classes,),
        "class_weights": (classes,),
        "claimed.loss": (),
        "claimed.losses": (rows,),
    }
    for name, array in arrays.items():
        check(array.shape == shapes.get(name, (rows, classes)), f"shape of {name}")


def _rounded(array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = array.astype(dtype)
    check(not (np.isinf(rounded) & np.isfinite(array)).any(), "within the dtype")
    return rounded


def _check_scores(case: Case) -> None:
    check(not (np.isnan(case.logits) | (case.logits == np.inf)).any(), "finite logits")
    check("class_mask" not in case.arrays or case.arrays["class_mask"].any(), "a class that takes part")
    check(case.mask.any(axis=1).all(), "a class that takes part in each row")


def _check_conflicts(case: Case) -> None:
    options, objective, reduction = case.options, case.options["objective"], case.options["reduction"]
    if objective == SIGMOID:
        check("labels" not in case.arrays and not options["label_smoothing"], "sigmoid")
        check(options["targets_sum"] == "one", "sigmoid")
    check(options.get("curvature", "exact") in CURVATURES[objective], "curvature")
    check("targets" not in case.arrays or options["ignore_label"] is None, "ignore_label")
    check("labels" not in case.arrays or options["targets_sum"] == "one", "targets_sum")
    has_denominator = options["denominator"] != "weights", options["denominator_value"] is not None
    check(sum(has_denominator) <= (reduction == "mean"), "denominator")
    check("upstream" not in case.arrays or reduction == "none", "upstream")
    check(not ("loss" in case.include and reduction == "none"), "loss")
    check(not ("hessian_diagonal" in case.include and objective == TEXTBOOK), "hessian")


def _check_supervision(case: Case, roundoff: float) -> None:
    arrays, objective = case.arrays, case.options["objective"]
    for name in {"class_weights", "sample_weights", "upstream", "targets"} & arrays.keys():
        check(np.isfinite(arrays[name]).all(), f"finite {name}")
        check(name == "upstream" or (arrays[name] >= 0).all(), f"{name} of 0 and more")
    if "labels" in arrays:
        labels = arrays["labels"][case.counted]
        check(((labels >= 0) & (labels < case.logits.shape[1])).all(), "labels")
    else:
        check(objective == SOFTMAX or (arrays["targets"] <= 1).all(), "targets up to 1")
        sums = arrays["targets"].sum(axis=1, dtype=np.longdouble)
        is_bound = objective != SIGMOID and case.options["targets_sum"] == "one"
        check(not is_bound or (np.abs(sums - 1) <= max(1e-6, roundoff)).all(), "sums of targets")
    check(case.options["label_smoothing"] == 1 or not _is_infinite(case).any(), "a finite loss")


def _is_infinite(case: Case) -> Array:
    """Return where a target with a weight meets a probability of 0, (N, K)."""
    mask, given = case.mask, case.given
    is_infinite = ~mask & (given > 0)
    if case.options["objective"] == TEXTBOOK:
        is_infinite |= mask & (mask.sum(axis=1, keepdims=True) == 1) & (given < 1)
    is_weighed = case.counted & (case.weights("sample_weights") > 0)
    return np.asarray(is_infinite & (case.weights("class_weights") > 0) & is_weighed[:, np.newaxis])
