"""What a computation is asked for: the scores, what they are compared with, and how losses are reduced."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.blocks import Array, Rows, block_of, view_of
from gradient_service.core.options import (
    Curvature,
    Denominator,
    Objective,
    Precision,
    Reduction,
    TargetsSum,
)
from gradient_service.core.records import record

Floats = NDArray[np.float32] | NDArray[np.float64]
Integers = NDArray[np.integer]
Booleans = NDArray[np.bool_]

SINGLE_RANGE_OF_TEMPERATURES = (2.0**-100, 2.0**100)  # beyond it float32 cannot hold the scaling


@record(kw_only=True)
class Scores:
    """The logits of N rows and K classes, and how they are read; results have the logits' dtype.

    Args:
        logits: (N, K) float32 or float64, unnormalised scores.
        class_mask: (K,), false where a class takes no part in any row.
        element_mask: (N, K), false where a class takes no part in that row.
        temperature: > 0; the differences of the logits are divided by it.
        precision: how the working dtype is chosen and whether differences are compensated.
        has_masking_logits: some logits are −∞, and their classes take no part in their rows.
    """

    logits: Floats
    class_mask: Booleans | None = None
    element_mask: Booleans | None = None
    temperature: float = 1.0
    precision: Precision = Precision.ACCURATE
    has_masking_logits: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        return self.batch_size, self.num_classes

    @property
    def batch_size(self) -> int:
        """N, the number of rows."""
        return int(self.logits.shape[0])

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return int(self.logits.shape[1])

    @property
    def working_dtype(self) -> np.dtype[np.floating]:
        """float64, or float32 for `fast` on float32 logits with a temperature that float32 can scale by."""
        least, most = SINGLE_RANGE_OF_TEMPERATURES
        if self.precision is Precision.FAST and least <= self.temperature <= most:
            return self.logits.dtype
        return np.dtype(np.float64)

    @property
    def is_compensated(self) -> bool:
        """Whether the rounding errors of differences matter to the result: float64 in accurate precision."""
        return self.precision is Precision.ACCURATE and self.logits.dtype == np.float64

    @property
    def is_masked(self) -> bool:
        """Whether any mask was given."""
        return self.class_mask is not None or self.element_mask is not None or self.has_masking_logits

    def mask(self, rows: Rows) -> Booleans | None:
        """The classes that take part, (K, rows) in the layout of blocks, or broadcastable to it; None when all do."""
        masks = []
        if self.class_mask is not None:
            masks.append(self.class_mask[:, np.newaxis])
        if self.element_mask is not None:
            masks.append(view_of(self.element_mask[rows], np.bool_))
        if self.has_masking_logits:
            masks.append(view_of(np.not_equal(self.logits[rows], -np.inf), np.bool_))
        return reduce(np.logical_and, masks) if masks else None

    def block(self, rows: Rows, dtype: np.dtype[np.floating]) -> Array:
        """Return the logits of some rows as a block to read from, (K, rows), −∞ for masked classes."""
        mask = self.mask(rows)
        if mask is None:
            return view_of(self.logits[rows], dtype)
        block = block_of(self.logits[rows], dtype)
        np.copyto(block, -np.inf, where=~mask)
        return block


@record(kw_only=True)
class Supervision:
    """What the scores are compared with: exactly one of `labels` and `targets`, and their weights.

    Args:
        labels: (N,) integers in [0, K), or `ignore_label`.
        targets: (N, K) of the logits' dtype, ≥ 0.
        targets_sum: `one` when each row of targets must sum to 1.
        targets_roundoff: unit roundoff of the type that targets were sent in.
        objective: which loss.
        class_weights: (K,), ≥ 0.
        sample_weights: (N,), ≥ 0.
        ignore_label: rows with this label have loss and gradient 0.
        label_smoothing: ε in [0, 1].
    """

    labels: Integers | None = None
    targets: Floats | None = None
    targets_sum: TargetsSum = TargetsSum.ONE
    targets_roundoff: float = 0.0
    objective: Objective = Objective.SOFTMAX_CROSS_ENTROPY
    class_weights: Floats | None = None
    sample_weights: Floats | None = None
    ignore_label: int | None = None
    label_smoothing: float = 0.0

    def ignored(self) -> Booleans | None:
        """Which rows carry the ignored label, (N,); None when none can."""
        if self.labels is None or self.ignore_label is None:
            return None
        return np.asanyarray(self.labels == self.ignore_label)

    def safe_labels(self, rows: Rows = slice(None)) -> NDArray[np.intp]:
        """Return the labels of some rows, class 0 in place of an ignored one; empty when targets are given."""
        if self.labels is None:
            return np.empty(0, np.intp)
        labels = self.labels[rows]
        if self.ignore_label is not None:
            labels = np.where(labels == self.ignore_label, 0, labels)
        return labels.astype(np.intp)


@record(kw_only=True)
class ReductionRule:
    """How the losses of the rows become one number, and what multiplies each row's derivatives.

    Args:
        kind: mean, sum or none.
        denominator: what `mean` divides by.
        denominator_value: > 0, given in place of `denominator`.
        upstream: (N,), with `none`: the derivative of the caller's scalar by each row's loss.
        curvature: which second derivative `hessian_diagonal` holds.
        groups: of rows, each reduced by itself; all rows in one when left out.
    """

    kind: Reduction = Reduction.MEAN
    denominator: Denominator = Denominator.WEIGHTS
    denominator_value: float | None = None
    upstream: Floats | None = None
    curvature: Curvature = Curvature.EXACT
    groups: tuple[slice, ...] = (slice(None),)
