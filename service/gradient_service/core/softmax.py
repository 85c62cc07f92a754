"""Softmax of a block of rows, and what else follows from the logits alone.

Notation of the formulas, per row: s = logits / T, a = max s, k its first index, d_j = s_j − a with its rounding error
ρ_j, e_j = exp(d_j), σ = Σ_{j≠k} e_j, S = 1 + σ, L = log S, q = σ / S = 1 − p_k.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import DTypeLike

from gradient_service.core.blocks import WIDE, Array, first_largest, positions, put, row_sum, take
from gradient_service.core.error_free import two_difference, two_quotient, two_sum
from gradient_service.core.records import record
from gradient_service.core.scaled import Scaled

TINY_SUM = {4: 1e-30, 8: 1e-280, 12: 0.0, 16: 0.0}
"""By bytes of the dtype: below it, a sum of exponentials may consist of subnormal ones. Of wider dtypes none counts."""
LIFT = {4: 30.0, 8: 100.0}
"""Added to their exponents, it makes these ordinary numbers; for the differences that count the addition is exact."""


@record()
class SoftmaxRows:
    """A block's softmax with every part kept that a later formula needs; (K, rows) or (rows,)."""

    temperature: float
    """T."""
    difference: Array
    """d_j = (x_j − x_k) / T, (K, rows); −∞ for a masked class."""
    remainder: Array | None
    """ρ_j, what rounding left out of d_j, (K, rows); None when differences are not compensated."""
    numerators: Array
    """p_j, (K, rows), or e_j where these are left to be divided by S."""
    divisor: Array | None
    """S, (rows,), where the numerators are left to be divided by it."""
    top: Array
    """k, the first class of the largest logit, (rows,)."""
    top_position: Array
    """Where the elements (k, row) lie in memory, (rows,)."""
    top_logit: Array
    """x_k, before the division by T, (rows,)."""
    rest_sum: Array
    """σ, (rows,)."""
    log_total: Array
    """L = log1p(σ), (rows,)."""
    rest: Array
    """q = σ / S, the probability of all classes but k, (rows,)."""

    @property
    def probabilities(self) -> Array:
        """Return p_j, (K, rows)."""
        return self.numerators if self.divisor is None else self.numerators * (1 / self.divisor)

    def probabilities_at(self, where: Array) -> Array:
        """Return the probabilities at memory positions, (rows,)."""
        return take(self.numerators, where) if self.divisor is None else take(self.numerators, where) / self.divisor

    def probabilities_times(self, factor: Scaled, out: Array | None = None) -> Array:
        """Return p_j times the factor, (K, rows), in `out` or a new array; in one pass where S is left to divide by."""
        return (factor if self.divisor is None else factor.over_each(self.divisor)).scaled(self.numerators, out)

    def total(self) -> tuple[Array, Array | float]:
        """Return S, (rows,), and the part of it that its rounding left out, 0 where differences are not compensated."""
        if self.remainder is None:
            return 1 + self.rest_sum, 0.0
        total, left_out = two_sum(np.ones_like(self.rest_sum), self.rest_sum)
        return total, left_out / total

    def with_digits_to_spare(self) -> "SoftmaxRows":
        """Return p, σ and q as they follow from the same exponentials without a rounding that counts.

        Themselves where differences are not compensated: there are digits to spare already.
        """
        if self.remainder is None:
            return self
        exponentials, rest_sum = _exponentials(self.difference, self.remainder, self.top_position, WIDE)
        total = 1 + rest_sum
        exponentials /= total
        return replace(self, numerators=exponentials, divisor=None, rest_sum=rest_sum, rest=rest_sum / total)


def softmax_rows(logits: Array, temperature: float, *, compensated: bool, divided: bool = True) -> SoftmaxRows:
    """Compute p_j = e_j / S with e_k held out of the sum, so that nothing is lost when one class takes all.

    Args:
        logits: (K, rows) block of floats, −∞ for masked classes, at least one finite in each row.
        temperature: > 0.
        compensated: keep ρ and use e_j ← e_j + e_j ρ_j; float64 only. Without it there are digits to spare: the results
            will be of a narrower dtype, or the bounds are wider.
        divided: by S; not when what matters is a multiple of p.

    Returns:
        The parts, in the dtype of the logits.
    """
    top = first_largest(logits)
    where = positions(top, len(logits))
    top_logit = logits.ravel(order="K").take(where)
    difference, remainder = shift(logits, top_logit, temperature, compensated=compensated)
    exponentials, rest_sum = _exponentials(difference, remainder, where, difference.dtype)
    total = 1 + rest_sum
    if divided and compensated:
        exponentials /= total
    elif divided:  # one rounding more, which the bounds of all other dtypes and modes have room for
        exponentials *= 1 / total
    return SoftmaxRows(
        temperature=temperature,
        difference=difference,
        remainder=remainder,
        numerators=exponentials,
        divisor=None if divided else total,
        top=top,
        top_position=where,
        top_logit=top_logit,
        rest_sum=rest_sum,
        log_total=np.log1p(rest_sum),
        rest=rest_sum / total,
    )


def _exponentials(difference: Array, remainder: Array | None, where: Array, dtype: DTypeLike) -> tuple[Array, Array]:
    """Return e_j, (K, rows), and σ, (rows,), in the dtype in which they are corrected and added up."""
    exponentials = np.exp(difference)
    if remainder is not None:
        left_out = exponentials * remainder
        if dtype != exponentials.dtype:
            exponentials = exponentials.astype(dtype)
        exponentials += left_out
    in_memory = exponentials.ravel(order="K")
    in_memory[where] = 0.0
    rest_sum = row_sum(exponentials, has_digits_to_spare=remainder is None)
    rest_sum = _with_lifted_sums(rest_sum, where, difference, remainder)
    in_memory[where] = 1.0
    return exponentials, rest_sum


def _with_lifted_sums(rest_sum: Array, where: Array, difference: Array, remainder: Array | None) -> Array:
    """Return σ, summed again far from zero in the rows where it is tiny: subnormal terms each lose digits of their own.

    exp(d_j + LIFT) is added up, and scaled once.
    """
    is_tiny = rest_sum < TINY_SUM[difference.dtype.itemsize]
    if not is_tiny.any():
        return rest_sum
    return np.where(is_tiny, lowered(row_sum(_lifted(where, difference, remainder))), rest_sum)


def _lifted(where: Array, difference: Array, remainder: Array | None) -> Array:
    """Return e_j exp(LIFT) for all classes but k, (K, rows)."""
    lifted = np.exp(difference + difference.dtype.type(LIFT[difference.dtype.itemsize]))
    if remainder is not None:
        lifted += lifted * remainder
    put(lifted, where, 0.0)
    return lifted


def lowered(values: Array) -> Array:
    """Undo the lift."""
    return values * values.dtype.type(math.exp(-LIFT[values.dtype.itemsize]))


def shift(logits: Array, reference: Array, temperature: float, *, compensated: bool) -> tuple[Array, Array | None]:
    """Return d = (x − reference) / T and, when compensated, its rounding error ρ (0 where d is not finite).

    T = m 2^e with 1 ≤ m < 2, between 1 and 2 with 1/2 < m < 1. Powers of two are exact: a T > 1 scales the logits down
    before they are subtracted, so that a difference that leaves the range but for T does not; a T < 1 scales the
    quotients up afterwards.
    """
    divisor, exponent = math.frexp(temperature)
    if exponent != 1 or divisor == 0.5:  # noqa: PLR2004  1 = 0.5 · 2
        divisor, exponent = 2.0 * divisor, exponent - 1
    if exponent > 0:
        logits, reference = np.ldexp(logits, -exponent), np.ldexp(reference, -exponent)
    if not compensated:
        difference = np.subtract(logits, reference)
        if divisor != 1:
            rest = max(-exponent - 1, 0)
            difference = _scaled_up(difference, rest)
            difference /= logits.dtype.type(divisor)
            exponent += rest
        return _scaled_up(difference, -exponent), None
    difference, remainder = two_difference(logits, reference)
    if divisor != 1:
        # Tiny differences are scaled up before the division, which needs all their digits; all but once, for m < 2.
        rest = max(-exponent - 1, 0)
        difference, remainder = _scaled_up(difference, rest), _scaled_up(remainder, rest)
        difference, remainder = two_quotient(difference, remainder, divisor)
        exponent += rest
    difference, remainder = _scaled_up(difference, -exponent), _scaled_up(remainder, -exponent)
    if not math.isfinite(remainder.sum()):  # a masked class or an overflow: d is −∞ there
        np.copyto(remainder, 0.0, where=~np.isfinite(remainder))
    return difference, remainder


def _scaled_up(values: Array, exponent: int) -> Array:
    return np.ldexp(values, exponent) if exponent > 0 else values


def log_probabilities(rows: SoftmaxRows) -> Array:
    """Return log p_j = (d_j − L) + ρ_j and log p_k = −L, (K, rows); −∞ for a masked class."""
    values = rows.difference - rows.log_total
    if rows.remainder is not None:
        values += rows.remainder
    put(values, rows.top_position, 0 - rows.log_total)
    return values


def log_normalizer(rows: SoftmaxRows) -> Array:
    """Return log Σ_j exp(s_j) = a + L, (rows,)."""
    return rows.top_logit / rows.top_logit.dtype.type(rows.temperature) + rows.log_total


def entropy(rows: SoftmaxRows) -> Array:
    """Return −Σ_j p_j log p_j = L − Σ_j p_j d_j, (rows,), in nats; all terms are ≥ 0 and none cancels."""
    terms = rows.probabilities * rows.difference
    np.copyto(terms, 0.0, where=rows.probabilities == 0)
    values = rows.log_total - row_sum(terms)
    is_tiny = values < TINY_SUM[values.dtype.itemsize]
    if not is_tiny.any():
        return values
    lifted = _lifted(rows.top_position, rows.difference, rows.remainder)
    terms = lifted * (1 - rows.difference)  # S = 1 and L = σ here
    np.copyto(terms, 0.0, where=lifted == 0)
    return np.where(is_tiny, lowered(row_sum(terms)), values)


def one_hot(classes: Array, num_classes: int) -> Array:
    """Return 1 at each row's class and 0 elsewhere, (K, rows) uint8."""
    return (np.arange(num_classes)[:, np.newaxis] == classes).astype(np.uint8)


def complement_of_probabilities(rows: SoftmaxRows) -> Array:
    """Return 1 − p_j, with 1 − p_k = q, (K, rows)."""
    complement = 1 - rows.probabilities
    put(complement, rows.top_position, rows.rest)
    return complement


def reciprocal_of_probabilities(rows: SoftmaxRows) -> Scaled:
    """Return 1/p_j = S exp(−d_j) (1 − ρ_j), (K, rows), also where p_j underflows."""
    total, left_out = rows.total()
    remainder = None if rows.remainder is None else left_out - rows.remainder
    return Scaled.exponential(-rows.difference, remainder).times(total)


def jacobian(rows: SoftmaxRows) -> Array:
    """Return ∂p_i/∂s_j = p_i (δ_ij − p_j), with 1 − p_k = q, (rows, K, K)."""
    probabilities = np.asanyarray(rows.probabilities.T, order="C")
    products = 0 - probabilities[:, :, np.newaxis] * probabilities[:, np.newaxis, :]
    diagonal = np.arange(probabilities.shape[1])
    products[:, diagonal, diagonal] = (rows.probabilities * complement_of_probabilities(rows)).T
    return products
