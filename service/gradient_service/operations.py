"""What each endpoint does, free of transport: a request model in, a reply model out.

Routes call this, and so can anything else that has a request: another wire, a client in the same process, a batch job.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checks import check_shapes, check_values
from gradient_service.core.errors import MAX_FAULTS, Fault, InvalidInputError
from gradient_service.core.evaluate import Evaluation, loss_and_gradient
from gradient_service.core.evaluate import softmax as softmax_arrays
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.limits import MULTIPLIES_BY_CLASSES, WorkLimits, check_work, num_reply_numbers
from gradient_service.core.options import Objective, Reduction
from gradient_service.schemas.conflicts import check_conflicts
from gradient_service.schemas.fields import Dtype
from gradient_service.schemas.replies import (
    GradientApplied,
    GradientReply,
    LossApplied,
    LossReply,
    SoftmaxApplied,
    SoftmaxReply,
    SummaryBody,
)
from gradient_service.schemas.requests import (
    GradientRequest,
    LossRequest,
    ScoresBody,
    SoftmaxRequest,
    SupervisedBody,
)
from gradient_service.schemas.tensor import roundoff

CallRequest = SoftmaxRequest | LossRequest | GradientRequest
Inputs = TypeVar("Inputs", Scores, Supervision, ReductionRule)


NUMBER_BYTES = 8
FLOATS = {
    Scores: ("logits",),
    Supervision: ("targets", "class_weights", "sample_weights"),
    ReductionRule: ("upstream",),
}
"""The fields that hold floating-point numbers."""
ROW_BYTES = 64
"""What is kept of a row until the rows are summed, whatever the reply holds: its loss and factor, with exponents."""


def _finds_room(_: int) -> None:
    """Let the work go on."""


@dataclass(frozen=True, slots=True)
class Work:
    """How much one request may ask for, who does it, and who knows what room there is."""

    limits: WorkLimits
    execution: Execution = field(default_factory=Execution)
    reserve: Callable[[int], None] = _finds_room
    """Told the bytes that the work will take beside the request, before it takes them; what it raises ends the work."""


def softmax(request: SoftmaxRequest, work: Work) -> SoftmaxReply:
    """Answer `/softmax`."""
    scores, names = _scores(request), _names(request)
    check_shapes(scores)
    _take_on(scores, names, _dtype(request), work)
    (scores,) = _in_dtype(_dtype(request), scores)
    arrays = softmax_arrays(scores, names, work.execution)
    applied = SoftmaxApplied.of(**_scores_applied(request))
    return SoftmaxReply.of(**arrays, applied=applied)


def loss(request: LossRequest, work: Work) -> LossReply:
    """Answer `/loss`."""
    evaluation = _evaluate(request, work)
    applied = LossApplied.of(**_loss_applied(request, evaluation))
    return LossReply.of(**_outputs(evaluation), applied=applied)


def gradient(request: GradientRequest, work: Work) -> GradientReply:
    """Answer `/gradient`."""
    evaluation = _evaluate(request, work)
    applied = _loss_applied(request, evaluation)
    if request.objective is not Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
        applied["curvature"] = request.curvature
    return GradientReply.of(**_outputs(evaluation), applied=GradientApplied.of(**applied))


def num_elements(request: CallRequest) -> int:
    """Return how many numbers the work on a request goes through, about: N·K, or N·K² where the Jacobian is needed."""
    if MULTIPLIES_BY_CLASSES.intersection(request.include):
        return int(request.logits.size * request.logits.shape[1])
    return int(request.logits.size)


def num_array_bytes(request: CallRequest) -> int:
    """Return what the arrays of a request take in memory."""
    return sum(value.nbytes for value in vars(request).values() if isinstance(value, np.ndarray))


def _evaluate(request: LossRequest | GradientRequest, work: Work) -> Evaluation:
    check_conflicts(request)
    scores, supervision, rule, names = (
        _scores(request),
        _supervision(request),
        _rule(request),
        _names(request),
    )
    check_shapes(scores, supervision, rule)
    _take_on(scores, names, _dtype(request), work)
    scores, supervision, rule = _in_dtype(_dtype(request), scores, supervision, rule)
    return loss_and_gradient(scores, supervision, rule, names, work.execution)


def _take_on(scores: Scores, names: list[str], dtype: np.dtype[np.floating], work: Work) -> None:
    """Raise where the work exceeds its limits, then reserve the memory that it takes, at the most."""
    check_work(scores, names, work.limits)
    per_number = NUMBER_BYTES + work.limits.bytes_per_number
    copied = 0 if scores.logits.dtype == dtype else scores.logits.size * dtype.itemsize
    work.reserve(per_number * num_reply_numbers(scores, names) + ROW_BYTES * scores.batch_size + copied)


def _scores(request: ScoresBody) -> Scores:
    return Scores(
        logits=request.logits,
        class_mask=request.class_mask,
        element_mask=request.element_mask,
        temperature=request.temperature,
        precision=request.precision,
        has_masking_logits=_least(request.logits) == -np.inf,
    )


def _least(numbers: Array) -> float:
    """Return the least number but NaN, ∞ where there is none."""
    least = float(numbers.min(initial=np.inf))
    return least if least == least else float(np.fmin.reduce(numbers, axis=None, initial=np.inf))  # noqa: PLR0124  NaN


def _supervision(request: SupervisedBody) -> Supervision:
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


def _rule(request: LossRequest | GradientRequest) -> ReductionRule:
    rule = ReductionRule(
        kind=request.reduction,
        denominator=request.denominator,
        denominator_value=request.denominator_value,
    )
    if isinstance(request, GradientRequest):
        rule = replace(rule, upstream=request.upstream, curvature=request.curvature)
    return rule


def _names(request: CallRequest) -> list[str]:
    """Return the outputs asked for, each once; by default with `losses` in place of the `loss` that `none` has not."""
    names = [output.value for output in dict.fromkeys(request.include)]
    if isinstance(request, SupervisedBody) and request.reduction is Reduction.NONE:
        names = ["losses" if name == "loss" else name for name in names]
    return names


def _dtype(request: ScoresBody) -> np.dtype[np.floating]:
    """Return the dtype of results: as asked for, else the logits' own, half precision widened to float32."""
    if request.dtype is not None:
        return np.dtype(request.dtype.value)
    return np.promote_types(request.logits.dtype, np.float32)


def _in_dtype(dtype: np.dtype[np.floating], *inputs: Any) -> tuple[Any, ...]:
    """Return the inputs with every array of numbers rounded to the dtype.

    Raises:
        InvalidInputError: `number-out-of-range` where a number is too large for it, beside what else is wrong with
            the values.
    """
    faults: list[Fault] = []
    rounded = tuple(_rounded(values, dtype, faults) for values in inputs)
    if faults:
        try:
            check_values(*rounded)
        except InvalidInputError as error:
            faults += [fault for fault in error.faults if fault.code != "non-finite"]
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
            faults += [
                Fault("number-out-of-range", name, tuple(map(int, where)), detail)
                for where in np.argwhere(is_lost)[:MAX_FAULTS]
            ]
    return replace(inputs, **rounded) if rounded else inputs


def _outputs(evaluation: Evaluation) -> dict[str, Any]:
    outputs: dict[str, Any] = dict(evaluation.arrays)
    if evaluation.loss is not None:
        outputs["loss"] = evaluation.loss
    if evaluation.summary is not None:
        sums = {name: getattr(evaluation.summary, name) for name in SummaryBody.model_fields}
        outputs["summary"] = SummaryBody.of(**sums)
    return outputs


def _scores_applied(request: ScoresBody) -> dict[str, Any]:
    return {
        "temperature": request.temperature,
        "precision": request.precision,
        "dtype": Dtype(_dtype(request).name),
    }


def _loss_applied(request: SupervisedBody, evaluation: Evaluation) -> dict[str, Any]:
    """Return each scalar option in force: those for which another value could have been given."""
    applied = _scores_applied(request) | {"objective": request.objective, "reduction": request.reduction}
    if evaluation.denominator is not None:
        if request.denominator_value is None:
            applied["denominator"] = request.denominator
        applied["denominator_value"] = evaluation.denominator
    if request.objective is not Objective.SIGMOID_BINARY_CROSS_ENTROPY:
        applied["label_smoothing"] = request.label_smoothing
        if request.targets is not None:
            applied["targets_sum"] = request.targets_sum
    if request.ignore_label is not None:
        applied["ignore_label"] = request.ignore_label
    return applied
