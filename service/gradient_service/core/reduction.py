"""From row losses to one loss: what each row counts for, and the exact sums of both."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from gradient_service.core.blocks import Array, block_of, never_stops, row_blocks
from gradient_service.core.cached import cached
from gradient_service.core.error_free import sum_over_classes, two_product
from gradient_service.core.errors import Fault, InvalidInputError, raise_if_any
from gradient_service.core.exact_sum import Total, exact_sum
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Objective, Reduction
from gradient_service.core.records import record
from gradient_service.core.scaled import Number, Scaled
from gradient_service.core.summary import Summary

IN_EVERY_RANGE = 1e38
"""Smaller numbers are within the range of every dtype that results have, and need no look at what becomes of them."""

FEW_BITS, LEAST_EXPONENT = 2.0**-900, -4096
"""Below the first, a sum of products misses digits that left the range; no product has the second."""


@record()
class Weighing:
    """What each row counts for, known before any loss is."""

    sample_weights: Array | float
    """r_n, 0 for an ignored row; (N,), or 1 for all."""
    row_weights: tuple[Scaled, ...]
    """r_n V_n in parts that add up to it, each (N,); none where every counted row counts 1."""
    field: str
    """What to name where their sum leaves the range."""
    ignored: Array | None
    """Which rows are ignored, (N,); None when none can be."""
    ignored_count: int
    example_count: int

    def part(self, rows: slice) -> "Weighing":
        """Return the same of some of the rows."""
        ignored = None if self.ignored is None else self.ignored[rows]
        ignored_count = 0 if ignored is None else int(np.count_nonzero(ignored))
        return Weighing(
            sample_weights=self.sample_weights[rows] if isinstance(self.sample_weights, np.ndarray) else 1.0,
            row_weights=tuple(weights[rows] for weights in self.row_weights),
            field=self.field,
            ignored=ignored,
            ignored_count=ignored_count,
            example_count=rows.stop - rows.start - ignored_count,
        )

    def num_counted(self, is_chosen: Array) -> int:
        """Return how many of some rows, (N,), are not ignored."""
        return int(np.count_nonzero(is_chosen if self.ignored is None else is_chosen & ~self.ignored))

    def weight_total(self) -> Total:
        """Return Σ r_n V_n over counted rows; refuse a sum of targets beyond float64 that no weight brings back."""
        if not self.row_weights:
            return Total.number(float(self.example_count))
        if self.field == "targets":
            raise_if_any(
                Fault("number-out-of-range", "targets", (int(row),), f"The sum of row {row} leaves the range.")
                for row in np.flatnonzero(~np.isfinite(self.row_weights[0].value))
            )
        return Total(units=sum(map(exact_sum, self.row_weights)))

    def representable_weight_total(self) -> Total:
        """Return the same of the weights rounded to float64, so that a sum and its tail can hold it."""
        total = self.weight_total()
        if not self.row_weights:
            return total
        values = [part.value for part in self.row_weights]
        if not all(np.isfinite(value).all() for value in values):
            raise self.out_of_range("weight_sum")
        return Total(units=sum(map(exact_sum, values)))

    def out_of_range(self, name: str) -> InvalidInputError:
        """Return the refusal of weights whose sum leaves the range of float64."""
        return InvalidInputError([Fault("number-out-of-range", self.field, (), f"{name} leaves the range of float64.")])


def weigh(scores: Scores, supervision: Supervision, checkpoint: Callable[[], None] = never_stops) -> Weighing:
    """Compute what each row counts for, and the sum of the `weights` denominator."""
    ignored = supervision.ignored()
    ignored_count = 0 if ignored is None else int(np.count_nonzero(ignored))
    weights: Array | float = 1.0
    if supervision.sample_weights is not None:
        weights = supervision.sample_weights.astype(np.float64)
    if ignored is not None:
        weights = np.where(ignored, 0.0, weights)
    given = [name for name in ("sample_weights", "class_weights") if getattr(supervision, name) is not None]
    parts: list[Scaled] = []
    if given or not (supervision.targets is None or supervision.objective is Objective.SIGMOID_BINARY_CROSS_ENTROPY):
        with np.errstate(over="ignore", invalid="ignore"):
            factor = Scaled.of(np.broadcast_to(weights, scores.batch_size))
            sums = target_sums(scores, supervision, checkpoint)
            parts = [product for part in sums for product in factor.times_exactly(part)]
    return Weighing(
        sample_weights=weights,
        row_weights=tuple(parts),
        field=given[0] if given else "targets",
        ignored=ignored,
        ignored_count=ignored_count,
        example_count=scores.batch_size - ignored_count,
    )


def target_sums(scores: Scores, supervision: Supervision, checkpoint: Callable[[], None]) -> tuple[Number, ...]:
    """Return V_n = Σ_j w_j c_nj with the targets as given, before smoothing; (N,), or 1 for all.

    Sums of targets come with what rounding left out, so that (0.1, 0.2, 0.7) counts as 1 like any other row.
    """
    if supervision.objective is Objective.SIGMOID_BINARY_CROSS_ENTROPY:
        return (1.0,)
    weights = None if supervision.class_weights is None else supervision.class_weights.astype(np.float64)
    if supervision.targets is None:
        return (1.0 if weights is None else weights[supervision.safe_labels()],)
    weights = None if weights is None else weights[:, np.newaxis]
    sums, left_out = Scaled.zeros(scores.batch_size), Scaled.zeros(scores.batch_size)
    for rows in row_blocks(scores.batch_size, 8 * scores.num_classes, checkpoint):
        sums[rows], left_out[rows] = _sums_of_block(block_of(supervision.targets[rows], np.float64), weights)
    return sums, left_out


def _sums_of_block(targets: Array, weights: Array | None) -> tuple[Scaled, Scaled]:
    """Return Σ_j w_j c_nj and what rounding left out of targets (K, rows) and weights (K, 1)."""
    if weights is None:
        products, errors = targets, np.zeros(1)
    else:
        products, errors = two_product(targets, weights)
    high, low = sum_over_classes(products)
    low += errors.sum(axis=0)
    sums, left_out = Scaled.of(high), Scaled.of(low)
    is_far = ~((high >= FEW_BITS) & np.isfinite(low))  # or 0
    if is_far.any():
        sums[is_far], left_out[is_far] = _far_sums(targets[:, is_far], 1.0 if weights is None else weights)
    return sums, left_out


def _far_sums(targets: Array, weights: Array | float) -> tuple[Scaled, Scaled]:
    """Return the same of rows whose products leave the range: each beside the largest of its row."""
    (targets, exponents), (weights, weight_exponents) = np.frexp(targets), np.frexp(weights)
    products, errors = two_product(targets, weights)
    exponents = exponents + weight_exponents
    largest = exponents.max(axis=0, initial=LEAST_EXPONENT, where=products > 0)
    exponents = np.minimum(exponents - largest, 0)  # of a product 0 it may be larger
    high, low = sum_over_classes(np.ldexp(products, exponents))
    low += np.ldexp(errors, exponents).sum(axis=0)
    largest[high == 0] = 0
    return Scaled.of(high).shifted(largest), Scaled.of(low).shifted(largest)


def derivative_factor(reduction: ReductionRule, weighing: Weighing, denominators: Sequence[Total | None]) -> Scaled:
    """Return what multiplies the derivatives of each row: r_n / D, r_n, or r_n times `upstream`; (N,) or one for all.

    Args:
        reduction: with the groups.
        weighing: of all rows.
        denominators: D of each group.
    """
    factor = Scaled.of(weighing.sample_weights)
    if reduction.kind is not Reduction.MEAN:
        return factor if reduction.upstream is None else factor.times(reduction.upstream)
    given = [each for each in denominators if each is not None]
    scaled = {each: each.scaled() for each in {*given}}
    if len(scaled) == 1:
        return factor.over(*scaled.values())
    return Scaled.concatenated(
        [
            factor[rows].over(scaled[each]).repeated(rows.stop - rows.start)
            for rows, each in zip(reduction.groups, given, strict=True)
        ]
    )


def reduced_loss(total: Total, denominator: Total | None, dtype: np.dtype[np.floating]) -> np.floating:
    """Return the sum, or the sum over D: both correctly rounded, one division, then rounded to the dtype.

    Raises:
        InvalidInputError: `number-out-of-range` when it leaves the range of the dtype.
    """
    reduced = total.nearest if denominator is None or not denominator.nearest else total.over(denominator)
    loss: np.floating
    if abs(reduced) < IN_EVERY_RANGE:
        loss = dtype.type(reduced)
        return loss
    with np.errstate(over="ignore"):
        loss = dtype.type(reduced)
    if not isfinite(loss):
        raise InvalidInputError([Fault("number-out-of-range", "logits", (), f"The loss leaves the range of {dtype}.")])
    return loss


@dataclass
class Totals:
    """The losses of all rows as one exact number, and the counts beside it."""

    losses: Scaled
    """r_n E_n, (N,), also where it leaves the range of float64."""
    few: Total | None
    """Their sum, where they are few and ordinary, and need no more checks."""
    correct_count: int
    weighing: Weighing
    denominator: Total | None
    """D; None without a mean."""
    checkpoint: Callable[[], None] = never_stops
    """Called again and again while many rows are summed; what it raises ends the work."""

    def __post_init__(self) -> None:
        """Refuse a mean over nothing of something."""
        if self.denominator is not None and not self.denominator.nearest and self.losses.value.any():
            detail = "The denominator is 0 while the sum of the losses is not."
            raise InvalidInputError([Fault("number-out-of-range", "logits", (), detail)])

    @cached
    def total(self) -> Total:
        """Σ r_n E_n."""
        return Total(units=exact_sum(self.losses, self.checkpoint)) if self.few is None else self.few

    def loss(self, dtype: np.dtype[np.floating]) -> np.floating:
        """Return the sum, or the sum over D: both correctly rounded, one division, then rounded to the dtype.

        Raises:
            InvalidInputError: `number-out-of-range` when a row's loss or the reduced one leaves the range.
        """
        if self.few is None:
            self._check_rows(np.isfinite(self.losses.mantissa))
        try:
            return reduced_loss(self.total, self.denominator, dtype)
        except InvalidInputError:
            self._check_rows(np.isfinite(self.losses.value))
            raise

    def summary(self) -> Summary:
        """Return the mergeable summary.

        Raises:
            InvalidInputError: `number-out-of-range` when a row's loss or a sum leaves the range of float64.
        """
        loss_sum, loss_tail = self._representable_total().with_tail
        weight_sum, weight_tail = self.weighing.representable_weight_total().with_tail
        for name, total in (("loss_sum", loss_sum), ("weight_sum", weight_sum)):
            if not isfinite(total):
                detail = f"{name} leaves the range of float64."
                raise InvalidInputError([Fault("number-out-of-range", "logits", (), detail)])
        return Summary(
            loss_sum=loss_sum,
            loss_tail=loss_tail,
            weight_sum=weight_sum,
            weight_tail=weight_tail,
            example_count=self.weighing.example_count,
            ignored_count=self.weighing.ignored_count,
            correct_count=self.correct_count,
        )

    def _representable_total(self) -> Total:
        """Return the sum of the losses rounded to float64, so that a sum and its tail can hold it."""
        if self.few is not None:
            return self.few
        self.checkpoint()
        losses = self.losses.value
        self._check_rows(np.isfinite(losses))
        is_ordinary = self.losses.exponent.min(initial=0) > sys.float_info.min_exp
        return self.total if is_ordinary else Total(units=exact_sum(losses, self.checkpoint))

    def _check_rows(self, is_in_range: Array) -> None:
        if is_in_range.all():
            return
        raise_if_any(
            Fault("number-out-of-range", "logits", (int(row),), f"The loss of row {row} leaves the range of float64.")
            for row in np.flatnonzero(~is_in_range)
        )
