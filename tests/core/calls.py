"""The core called with a request's fields, so that one dictionary asks both the service and the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradient_service.core.evaluate import Evaluation, loss_and_gradient, softmax
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Curvature, Denominator, Objective, Precision, Reduction, TargetsSum

Array = np.ndarray[Any, Any]
SOFTMAX, SIGMOID, TEXTBOOK = (objective.value for objective in Objective)
FROM_SCORES = ("probabilities", "log_probabilities", "entropy", "log_normalizer", "predicted_labels", "one_hot")
OF_SCORES = ("class_mask", "element_mask", "temperature", "precision", "has_masking_logits")
OF_SUPERVISION = (
    "labels",
    "targets",
    "targets_sum",
    "objective",
    "class_weights",
    "sample_weights",
    "ignore_label",
    "label_smoothing",
)
OF_REDUCTION = ("reduction", "denominator", "denominator_value", "upstream", "curvature")
CHOICES = {
    "precision": Precision,
    "targets_sum": TargetsSum,
    "objective": Objective,
    "reduction": Reduction,
    "denominator": Denominator,
    "curvature": Curvature,
}
NUMBERS = {"targets", "class_weights", "sample_weights", "upstream"}
ARRAYS = {"labels": np.int64, "class_mask": np.bool_, "element_mask": np.bool_}


def arguments(logits: Array, fields: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The options among the fields, as the core takes them: numbers in the dtype of the logits."""
    return {name: _converted(name, options[name], logits.dtype) for name in fields if options.get(name) is not None}


def _converted(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    if name in CHOICES:
        return CHOICES[name](value)
    if name in NUMBERS:
        return np.asarray(value, dtype)
    return np.asarray(value, ARRAYS[name]) if name in ARRAYS else value


def scores_of(logits: Array, options: dict[str, Any]) -> Scores:
    """The logits and how they are read."""
    return Scores(logits=logits, **arguments(logits, OF_SCORES, options))


def supervision_of(logits: Array, options: dict[str, Any]) -> Supervision:
    """What the logits are compared with."""
    return Supervision(**arguments(logits, OF_SUPERVISION, options))


def rule_of(logits: Array, options: dict[str, Any]) -> ReductionRule:
    """How losses become one number."""
    given = arguments(logits, OF_REDUCTION, options)
    return ReductionRule(**{"kind" if name == "reduction" else name: value for name, value in given.items()})


def evaluated(logits: Any, names: Any, *, execution: Execution | None = None, **options: Any) -> Evaluation:
    """Ask the core for a loss and its derivatives, under a request's field names."""
    rows = as_rows(logits)
    inputs = scores_of(rows, options), supervision_of(rows, options), rule_of(rows, options)
    return loss_and_gradient(*inputs, list(names), execution or Execution())


def softmax_of(logits: Any, names: Any, *, execution: Execution | None = None, **options: Any) -> dict[str, Array]:
    """Ask the core for what follows from the scores alone."""
    return softmax(scores_of(as_rows(logits), options), list(names), execution or Execution())


def output(name: str, logits: Any, **options: Any) -> Any:
    """Ask the core for one output, an array or the reduced loss."""
    evaluation = evaluated(logits, [name], **options)
    return evaluation.loss if name == "loss" else evaluation.arrays[name]


def as_rows(logits: Any) -> Array:
    """The logits as an array of floats; arrays stay as they lie in memory."""
    rows = np.asarray(logits)
    return rows if rows.dtype.kind == "f" else rows.astype(np.float64)
