"""The target rows of a block: one-hot from labels or as given, smoothed, weighted by class."""

import numpy as np

from gradient_service.core.blocks import Array, Rows, block_of, first_largest, positions, put, row_sum, zero_block
from gradient_service.core.error_free import sum_over_classes
from gradient_service.core.inputs import Scores, Supervision
from gradient_service.core.records import record


def target_rows(scores: Scores, supervision: Supervision, rows: Rows, dtype: np.dtype[np.floating]) -> "TargetRows":
    """Gather what some rows are compared with, in the working dtype."""
    weights, labels = supervision.class_weights, supervision.safe_labels(rows)
    return TargetRows(
        labels=None if supervision.labels is None else labels,
        label_positions=positions(labels, scores.num_classes),
        given=np.empty((0, 0), dtype) if supervision.targets is None else block_of(supervision.targets[rows], dtype),
        class_weights=None if weights is None else weights.astype(dtype)[:, np.newaxis],
        smoothing=supervision.label_smoothing,
        mask=scores.mask(rows),
        shape=(scores.num_classes, len(scores.logits[rows])),
        dtype=dtype,
    )


@record()
class TargetRows:
    """What a block is compared with: labels (rows,) or targets (K, rows), in the working dtype."""

    labels: Array | None
    """t, (rows,), 0 in place of an ignored label; None when targets are given."""
    label_positions: Array
    """Where the elements (t, row) of a block lie in memory, (rows,); empty when targets are given."""
    given: Array
    """The targets as given, (K, rows); empty when labels are given."""
    class_weights: Array | None
    """w, (K, 1)."""
    smoothing: float
    """ε."""
    mask: Array | None
    """Which classes take part, broadcastable to (K, rows)."""
    shape: tuple[int, int]
    """(K, rows)."""
    dtype: np.dtype[np.floating]
    """The working dtype."""

    @property
    def is_hard(self) -> bool:
        """Whether each row is one class and nothing else, so that its class weight multiplies the whole row."""
        return self.labels is not None and not self.smoothing

    @property
    def classes(self) -> Array:
        """The label, or the first largest target, (rows,)."""
        return first_largest(self.given) if self.labels is None else self.labels

    @property
    def kept(self) -> np.floating:
        """1−ε, taken before it is rounded: an ε next to 1 is 1 in float32."""
        kept: np.floating = self.dtype.type(1 - self.smoothing)
        return kept

    @property
    def share(self) -> Array:
        """ε/K', what smoothing gives each of a row's K' unmasked classes, (rows,) or one for all."""
        return self.dtype.type(self.smoothing) / self.num_unmasked

    @property
    def num_unmasked(self) -> Array:
        """K', how many classes take part, (rows,) or one for all."""
        if self.mask is None:
            return np.asanyarray(self.shape[0], dtype=self.dtype)
        return np.asanyarray(self.mask.sum(axis=0), dtype=self.dtype)

    def shares(self) -> Array:
        """Return ε/K' on the classes that take part and 0 on the masked ones, broadcastable to (K, rows)."""
        return self.share if self.mask is None else np.asanyarray(self.mask * self.share)

    def unsmoothed(self) -> Array:
        """Return c as given, one-hot where labels were, (K, rows)."""
        if self.labels is None:
            return self.given
        targets = zero_block(self.labels, self.shape, self.dtype)
        put(targets, self.label_positions, 1.0)
        return targets

    def smoothed(self) -> Array:
        """Return (1−ε) c_j + ε/K' on the classes that take part, (K, rows)."""
        return self._mixed(self.unsmoothed(), self.share)

    def complement(self) -> Array:
        """Return 1 − c_j as (1−ε)(1−c_j) + (ε − ε/K'), not built from the smoothed c, (K, rows)."""
        return self._mixed(1 - self.unsmoothed(), self.smoothing - self.share)

    def _mixed(self, kept: Array, added: Array) -> Array:
        if not self.smoothing:
            return kept
        mixed = kept * self.kept
        return np.add(mixed, added, out=mixed, where=True if self.mask is None else self.mask)

    def has_vanishing(self) -> Array | bool:
        """Return the rows in which a coefficient lies below the ordinary numbers, smoothed, weighted or as given."""
        if self.is_hard:
            return False
        least = np.where(self.given > 0, self.given, 1).min(axis=0) if self.labels is None else np.ones(1, self.dtype)
        if self.smoothing:
            kept = least * self.kept if self.smoothing < 1 else least
            least = np.minimum(kept, self.share)
        if self.class_weights is not None:
            lightest = np.where(self.class_weights > 0, self.class_weights, 1).min()
            least = np.minimum(least * lightest, lightest)  # a weight alone, too: in a loss it meets the scores first
        return np.asanyarray(least < np.finfo(self.dtype).tiny)

    @property
    def weights(self) -> Array | float:
        """w, (K, 1), or 1 when none are given."""
        return 1.0 if self.class_weights is None else self.class_weights

    def weighted(self) -> Array:
        """Return w_j c_j, smoothed, (K, rows)."""
        smoothed = self.smoothed()
        return smoothed if self.class_weights is None else smoothed * self.class_weights

    def total(self) -> Array:
        """Return W = Σ_j w_j c_j, (rows,); in float64 summed twice as exactly, for it multiplies every derivative."""
        return self.total_and_rest()[0]

    def total_and_rest(self) -> tuple[Array, Array | float]:
        """Return W, and what its rounding left out: all that remains of W − w_j c_j where the others vanish."""
        weighted = self.weighted()
        return sum_over_classes(weighted) if self.dtype == np.float64 else (row_sum(weighted), 0.0)

    def weighted_sum(self, values: Array) -> Array:
        """Return Σ_j c_j (w_j v_j), (rows,), a term with w_j c_j = 0 being 0 even where v_j is infinite."""
        return sum_of_products(self.smoothed(), values, self.class_weights)


def sum_of_products(coefficients: Array, values: Array, weights: Array | None = None) -> Array:
    """Return Σ_j c_j (w_j v_j), (rows,), a term with w_j c_j = 0 being 0 even where v_j is infinite.

    Weights meet the values first: a coefficient in the subnormal range would lose digits to them.
    """
    terms = coefficients * (values if weights is None else weights * values)
    total = row_sum(terms)
    if np.isfinite(total).all():
        return total
    np.copyto(terms, 0.0, where=np.broadcast_to(coefficients == 0, terms.shape))
    if weights is not None:
        np.copyto(terms, 0.0, where=np.broadcast_to(weights == 0, terms.shape))
    return row_sum(terms)
