"""The rules that inputs keep: first their shapes, then their values, each fault named by field and element.

A word that is no choice is the schema's to refuse.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from gradient_service.core.blocks import Array, are_finite, never_stops, row_blocks
from gradient_service.core.errors import MAX_FAULTS, Fault, InvalidInputError, first_true, raise_if_any
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Objective, TargetsSum
from gradient_service.core.targets import target_rows

SUM_TOLERANCE = 1e-6


def check_shapes(
    scores: Scores, supervision: Supervision | None = None, reduction: ReductionRule | None = None
) -> None:
    """Raise `empty-batch`, `empty-classes` or `length-mismatch` unless every array fits the (N, K) logits."""
    rows, num_classes = scores.logits.shape
    if rows == num_classes == 0:
        raise InvalidInputError([Fault("empty-batch", "logits", (), "An empty array of rows names no classes.")])
    if num_classes == 0:
        raise InvalidInputError([Fault("empty-classes", "logits", (), "Rows of logits need at least one class.")])
    expected: dict[str, tuple[Array | None, tuple[int, ...]]] = {
        "class_mask": (scores.class_mask, (num_classes,)),
        "element_mask": (scores.element_mask, (rows, num_classes)),
    }
    if supervision is not None:
        expected |= {
            "labels": (supervision.labels, (rows,)),
            "targets": (supervision.targets, (rows, num_classes)),
            "class_weights": (supervision.class_weights, (num_classes,)),
            "sample_weights": (supervision.sample_weights, (rows,)),
        }
    if reduction is not None:
        expected["upstream"] = (reduction.upstream, (rows,))
    raise_if_any(
        Fault(
            "length-mismatch",
            field,
            (),
            f"{field} has shape {shown(array.shape)}; logits {shown(scores.logits.shape)} need {shown(shape)}.",
        )
        for field, (array, shape) in expected.items()
        if array is not None and array.shape != shape
    )


def shown(shape: tuple[int, ...]) -> str:
    """Return a shape as Python writes it."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def check_values(
    scores: Scores,
    supervision: Supervision | None = None,
    reduction: ReductionRule | None = None,
    *,
    checkpoint: Callable[[], None] = never_stops,
) -> None:
    """Raise for the values that break a rule, all fields together; what the checkpoint raises ends the look."""
    faults = [*_not_positive("temperature", scores.temperature), *_non_finite_logits(scores)]
    faults += islice(_undefined_rows(scores, checkpoint), MAX_FAULTS)
    if supervision is not None:
        faults += _supervision_faults(scores, supervision, checkpoint)
    if reduction is not None:
        faults += _reduction_faults(reduction)
    raise_if_any(faults)
    if supervision is not None:
        raise_if_any(_infinite_losses(scores, supervision, checkpoint))


def _not_positive(field: str, value: float) -> Iterator[Fault]:
    if not 0 < value < np.inf:
        yield Fault("out-of-range", field, (), f"{field} must be a finite number > 0.")


def _reduction_faults(reduction: ReductionRule) -> Iterator[Fault]:
    if reduction.denominator_value is not None:
        yield from _not_positive("denominator_value", reduction.denominator_value)
    if reduction.upstream is not None:
        yield from _non_finite("upstream", reduction.upstream)


def _supervision_faults(scores: Scores, supervision: Supervision, checkpoint: Callable[[], None]) -> Iterator[Fault]:
    if not 0 <= supervision.label_smoothing <= 1:
        yield Fault("out-of-range", "label_smoothing", (), "label_smoothing must lie in [0, 1].")
    if supervision.labels is not None:
        yield from _labels_out_of_range(supervision, scores.num_classes)
    for field in ("class_weights", "sample_weights"):
        weights = getattr(supervision, field)
        if weights is not None:
            yield from _non_finite(field, weights)
            yield from _outside(field, weights, 0, np.inf, "Weights must be ≥ 0.")
    if supervision.targets is not None:
        yield from _non_finite("targets", supervision.targets)
        if supervision.objective is Objective.SOFTMAX_CROSS_ENTROPY:
            yield from _outside("targets", supervision.targets, 0, np.inf, "Targets must be ≥ 0.")
        else:
            yield from _outside(
                "targets", supervision.targets, 0, 1, "Targets of a binary objective must lie in [0, 1]."
            )
        if supervision.objective is not Objective.SIGMOID_BINARY_CROSS_ENTROPY:
            yield from _invalid_distributions(supervision, checkpoint)


def _faults(code: str, field: str, is_bad: Array, detail: str) -> Iterator[Fault]:
    """Yield a fault for each true element, the first ones only, naming where it is."""
    for index in first_true(is_bad):
        yield Fault(code, field, index, f"{field}{list(index)}: {detail}")


def _non_finite(field: str, values: Array) -> Iterator[Fault]:
    if not are_finite(values):
        yield from _faults("non-finite", field, ~np.isfinite(values), "Numbers here must be finite.")


def _outside(field: str, values: Array, least: float, most: float, detail: str) -> Iterator[Fault]:
    if values.size and (values.min() < least or values.max() > most):
        yield from _faults("out-of-range", field, np.isfinite(values) & ((values < least) | (values > most)), detail)


def _non_finite_logits(scores: Scores) -> Iterator[Fault]:
    if not scores.has_masking_logits:
        yield from _non_finite("logits", scores.logits)
    elif not scores.logits.max(initial=-np.inf) < np.inf:  # a NaN is not less either
        is_bad = np.isnan(scores.logits) | (scores.logits == np.inf)
        yield from _faults(
            "non-finite", "logits", is_bad, "Logits must be finite, or −∞ for a class that takes no part."
        )


def _labels_out_of_range(supervision: Supervision, num_classes: int) -> Iterator[Fault]:
    labels, ignored = supervision.labels, supervision.ignored()
    if labels is None or not labels.size or (labels.min() >= 0 and labels.max() < num_classes):
        return
    is_bad = (labels < 0) | (labels >= num_classes)
    if ignored is not None:
        is_bad &= ~ignored
    detail = f"Labels must be ≥ 0 and < {num_classes}, the number of classes"
    detail += "." if supervision.ignore_label is None else ", or the ignored label."
    yield from _faults("label-out-of-range", "labels", is_bad, detail)


def _invalid_distributions(supervision: Supervision, checkpoint: Callable[[], None]) -> Iterator[Fault]:
    if supervision.targets_sum is TargetsSum.ANY or supervision.targets is None:
        return
    targets = supervision.targets
    tolerance = max(SUM_TOLERANCE, supervision.targets_roundoff)
    is_bad = np.empty(len(targets), dtype=bool)
    for rows in row_blocks(len(targets), 8 * targets.shape[1], checkpoint):
        is_bad[rows] = _is_no_distribution(targets[rows], tolerance)
    detail = f"A row of targets must sum to 1 within {tolerance:g}, unless targets_sum is any."
    yield from _faults("invalid-distribution", "targets", is_bad, detail)


def _is_no_distribution(targets: Array, tolerance: float) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        sums = targets.sum(axis=1, dtype=np.float64)
        has_bad_element = ~(targets.min(axis=1, initial=0) >= 0) | ~np.isfinite(targets.max(axis=1, initial=0))
        return ~(np.abs(sums - 1) <= tolerance) & ~has_bad_element  # such an element is told by itself


def _undefined_rows(scores: Scores, checkpoint: Callable[[], None]) -> Iterator[Fault]:
    """Yield the rows whose every class is masked, ignored rows included: they have no softmax."""
    if scores.class_mask is not None and not scores.class_mask.any():
        yield Fault("undefined-row", "class_mask", (), "At least one class must take part.")
        return
    if scores.element_mask is None and not scores.has_masking_logits:
        return
    field = "logits" if scores.element_mask is None else "element_mask"
    for rows in row_blocks(scores.batch_size, 8 * scores.num_classes, checkpoint):
        mask = np.asarray(scores.mask(rows))
        for row in np.flatnonzero(~mask.any(axis=0)) + rows.start:
            yield Fault("undefined-row", field, (int(row),), f"{field}[{row}]: a row needs one class that takes part.")


def _infinite_losses(scores: Scores, supervision: Supervision, checkpoint: Callable[[], None]) -> Iterator[Fault]:
    """Yield where a weight above 0 meets log 0: a target on a masked class, or less than all on the only class."""
    if supervision.label_smoothing == 1:
        return
    binary = supervision.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY
    if not (scores.is_masked or (binary and scores.num_classes == 1)):
        return
    field = "targets" if supervision.labels is None else "labels"
    detail = "the loss is infinite here: the target meets a probability of 0 with a weight above 0."
    for rows in row_blocks(scores.batch_size, 8 * scores.num_classes, checkpoint):
        is_bad = _is_infinite(scores, supervision, rows).T
        if field == "labels":
            is_bad = np.asarray(is_bad.any(axis=1))
        for row, *column in first_true(is_bad):
            index = (row + rows.start, *column)
            yield Fault("infinite-loss", field, index, f"{field}{list(index)}: {detail}")


def _is_infinite(scores: Scores, supervision: Supervision, rows: slice) -> Array:
    targets = target_rows(scores, supervision, rows, np.dtype(np.float64))
    mask = np.broadcast_to(True if targets.mask is None else targets.mask, targets.shape)
    wanted = targets.unsmoothed()
    is_infinite = ~mask & (wanted > 0)
    if supervision.objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
        is_infinite |= mask & (mask.sum(axis=0) == 1) & (wanted < 1)
    if targets.class_weights is not None:
        is_infinite &= targets.class_weights > 0
    if supervision.sample_weights is not None:
        is_infinite &= supervision.sample_weights[rows] > 0
    ignored = supervision.ignored()
    return is_infinite if ignored is None else is_infinite & ~ignored[rows]
