"""From a request to the inputs of core, and back to what is said of the options in force."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checks import check_values
from gradient_service.core.errors import Fault, InvalidInputError, first_true
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Curvature, Objective, Precision
from gradient_service.schemas.fields import Dtype
from gradient_service.schemas.requests import (
    DifferentiatedBody,
    GradientRequest,
    PreciseBody,
    ScoresBody,
    SupervisedBody,
)
from gradient_service.schemas.tensor import roundoff

Inputs = TypeVar("Inputs", Scores, Supervision, ReductionRule)

FLOATS = {
    Scores: ("logits",),
    Supervision: ("targets", "class_weights", "sample_weights"),
    ReductionRule: ("upstream",),
}
"""The fields that hold floating-point numbers."""
DTYPES = {np.dtype(dtype.value): dtype for dtype in Dtype}


def scores_of(request: ScoresBody) -> Scores:
    """Return the logits and how they are read."""
    return Scores(
        logits=request.logits,
        class_mask=request.class_mask,
        element_mask=request.element_mask,
        temperature=request.temperature,
        precision=request.precision if isinstance(request, PreciseBody) else Precision.ACCURATE,
        has_masking_logits=_least(request.logits) == -np.inf,
    )


def _least(numbers: Array) -> float:
    """Return the least number but NaN, ∞ where there is none."""
    least = float(numbers.min(initial=np.inf))
    return least if least == least else float(np.fmin.reduce(numbers, axis=None, initial=np.inf))  # noqa: PLR0124  NaN


def supervision_of(request: SupervisedBody) -> Supervision:
    """Return what the logits are compared with."""
    return Supervision(
        labels=request.labels,
        targets=request.targets,
        targets_sum=request.targets_sum,
        targets_roundoff=0.0 if request.targets is None else roundoff(request.targets),
        objective=request.objective,
        class_weights=request.class_weights,
        sample_weights=request.sample_weights,
        ignore_label=request.ignore_label,
        label_smoothing=request.label_smoothing,
    )


def rule_of(request: SupervisedBody, groups: tuple[slice, ...] = (slice(None),)) -> ReductionRule:
    """Return how the losses of each group of rows become one number."""
    return ReductionRule(
        kind=request.reduction,
        denominator=request.denominator,
        denominator_value=request.denominator_value,
        upstream=request.upstream if isinstance(request, DifferentiatedBody) else None,
        curvature=request.curvature if isinstance(request, GradientRequest) else Curvature.EXACT,
        groups=groups,
    )


def dtype_of(request: ScoresBody) -> np.dtype[np.floating]:
    """Return the dtype of results: as asked for, else the logits' own, half precision widened to float32."""
    if request.dtype is not None:
        return np.dtype(request.dtype.value)
    return np.promote_types(request.logits.dtype, np.float32)


def in_dtype(dtype: np.dtype[np.floating], *inputs: Any, beside: Iterable[Fault] = ()) -> tuple[Any, ...]:
    """Return the inputs with every array of numbers rounded to the dtype.

    Raises:
        InvalidInputError: `number-out-of-range` where a number is too large for it, beside what was found already, and
            what else is wrong with the values.
    """
    faults = [*beside]
    rounded = tuple(_rounded(values, dtype, faults) for values in inputs)
    if faults:
        try:
            check_values(*inputs)
        except InvalidInputError as error:
            faults += error.faults
        raise InvalidInputError(faults)
    return rounded


def _rounded(inputs: Inputs, dtype: np.dtype[np.floating], faults: list[Fault]) -> Inputs:
    rounded: dict[str, Any] = {}
    for name in FLOATS[type(inputs)]:
        array = getattr(inputs, name)
        if array is not None and array.dtype != dtype:
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is told, and so is a signalling NaN
                rounded[name] = array.astype(dtype)
            is_lost = np.isinf(rounded[name]) & np.isfinite(array)
            detail = f"{name}: this number leaves the range of {dtype}."
            faults += [Fault("number-out-of-range", name, where, detail) for where in first_true(is_lost)]
    return replace(inputs, **rounded) if rounded else inputs


def scores_applied(request: ScoresBody) -> dict[str, Any]:
    """Return the options in force of how scores are read."""
    applied = {"temperature": request.temperature, "dtype": DTYPES[dtype_of(request)]}
    return applied | ({"precision": request.precision} if isinstance(request, PreciseBody) else {})


def supervised_applied(request: SupervisedBody, denominator: float | None) -> dict[str, Any]:
    """Return each scalar option in force: those for which another value could have been given."""
    applied = scores_applied(request) | {"objective": request.objective, "reduction": request.reduction}
    if denominator is not None:
        if request.denominator_value is None:
            applied["denominator"] = request.denominator
        applied["denominator_value"] = denominator
    if request.objective is not Objective.SIGMOID_BINARY_CROSS_ENTROPY:
        applied["label_smoothing"] = request.label_smoothing
        if request.targets is not None:
            applied["targets_sum"] = request.targets_sum
    if request.ignore_label is not None:
        applied["ignore_label"] = request.ignore_label
    return applied
