"""Softmax of a block of rows, and what else follows from the logits alone.

Notation of the formulas, per row: s = logits / T, a = max s, k its first index, d_j = s_j − a with its rounding error
ρ_j, e_j = exp(d_j), σ = Σ_{j≠k} e_j, S = 1 + σ, L = log S, q = σ / S = 1 − p_k.
"""

import math
from dataclasses import dataclass

import numpy as np

from gradient_service.core.blocks import Array, positions, put, row_sum
from gradient_service.core.error_free import two_difference, two_quotient

TINY_SUM = 1e-280  # below it, a sum of float64 exponentials may consist of subnormal ones
LIFT = 100.0
FAR = {"float64": 700.0, "float32": 80.0}  # exp(±FAR) is an ordinary number of its dtype


@dataclass(frozen=True, slots=True)
class SoftmaxRows:
    """A block's softmax with every part kept that a later formula needs; (K, rows) or (rows,)."""

    temperature: float
    """T."""
    difference: Array
    """d_j = (x_j − x_k) / T, (K, rows); −∞ for a masked class."""
    remainder: Array | None
    """ρ_j, what rounding left out of d_j, (K, rows); None when differences are not compensated."""
    probabilities: Array
    """p_j, (K, rows)."""
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


def softmax_rows(logits: Array, temperature: float, *, compensated: bool) -> SoftmaxRows:
    """Compute p_j = e_j / S with e_k held out of the sum, so that nothing is lost when one class takes all.

    Args:
        logits: (K, rows) block of float32 or float64, −∞ for masked classes, at least one finite in each row.
        temperature: > 0.
        compensated: keep ρ and use e_j ← e_j + e_j ρ_j; float64 only.

    Returns:
        The parts, in the dtype of the logits.
    """
    top = logits.argmax(axis=0)
    where = positions(top, len(logits))
    top_logit = logits.ravel(order="K").take(where)
    difference, remainder = shift(logits, top_logit, temperature, compensated=compensated)
    exponentials = np.exp(difference)
    if remainder is not None:
        exponentials += exponentials * remainder
    put(exponentials, where, 0.0)
    rest_sum = _with_lifted_sums(row_sum(exponentials), where, difference, remainder)
    put(exponentials, where, 1.0)
    total = 1 + rest_sum
    exponentials /= total
    return SoftmaxRows(
        temperature=temperature,
        difference=difference,
        remainder=remainder,
        probabilities=exponentials,
        top=top,
        top_position=where,
        top_logit=top_logit,
        rest_sum=rest_sum,
        log_total=np.log1p(rest_sum),
        rest=rest_sum / total,
    )


def _with_lifted_sums(rest_sum: Array, where: Array, difference: Array, remainder: Array | None) -> Array:
    """Return σ, summed again far from zero in the rows where it is tiny: subnormal terms each lose digits of their own.

    exp(d_j + 100) is added up and scaled once; adding 100 is exact where it matters, for −1024 < d_j < −612.
    """
    is_tiny = rest_sum < TINY_SUM
    if rest_sum.dtype != np.float64 or not is_tiny.any():
        return rest_sum
    return np.where(is_tiny, row_sum(_lifted(where, difference, remainder)) * math.exp(-LIFT), rest_sum)


def _lifted(where: Array, difference: Array, remainder: Array | None) -> Array:
    """Return e_j exp(100) for all classes but k, (K, rows)."""
    lifted = np.exp(difference + LIFT)
    if remainder is not None:
        lifted += lifted * remainder
    put(lifted, where, 0.0)
    return lifted


def shift(logits: Array, reference: Array, temperature: float, *, compensated: bool) -> tuple[Array, Array | None]:
    """Return d = (x − reference) / T and, when compensated, its rounding error ρ (0 where d is not finite).

    T = m 2^e with 1 ≤ m < 2. Powers of two are exact: a T ≥ 2 scales the logits down before they are subtracted, so
    that a difference that leaves the range but for T does not; a T < 1 scales the quotients up afterwards.
    """
    mantissa, exponent = np.frexp(temperature)
    divisor, exponent = 2.0 * float(mantissa), int(exponent) - 1
    if exponent > 0:
        logits, reference = np.ldexp(logits, -exponent), np.ldexp(reference, -exponent)
    if not compensated:
        difference = logits - reference
        if divisor != 1:
            difference /= logits.dtype.type(divisor)
        return _scaled_up(difference, exponent), None
    difference, remainder = two_difference(logits, reference)
    if divisor != 1:
        difference, remainder = two_quotient(difference, remainder, divisor)
    difference, remainder = _scaled_up(difference, exponent), _scaled_up(remainder, exponent)
    if not math.isfinite(remainder.sum()):  # a masked class or an overflow: d is −∞ there
        np.copyto(remainder, 0.0, where=~np.isfinite(remainder))
    return difference, remainder


def quarter_difference(rows: SoftmaxRows, logits: Array) -> Array:
    """Return d/4, which is finite where d itself leaves the range by as much as two finite logits can differ."""
    return shift(logits, rows.top_logit, 4 * rows.temperature, compensated=False)[0]


def _scaled_up(values: Array, exponent: int) -> Array:
    return np.ldexp(values, -exponent) if exponent < 0 else values


def log_probabilities(rows: SoftmaxRows) -> Array:
    """Return log p_j = (d_j − L) + ρ_j and log p_k = −L, (K, rows); −∞ for a masked class."""
    values = rows.difference - rows.log_total
    if rows.remainder is not None:
        values += rows.remainder
    put(values, rows.top_position, -rows.log_total)
    return values


def log_normalizer(rows: SoftmaxRows) -> Array:
    """Return log Σ_j exp(s_j) = a + L, (rows,)."""
    return rows.top_logit / rows.top_logit.dtype.type(rows.temperature) + rows.log_total


def entropy(rows: SoftmaxRows) -> Array:
    """Return −Σ_j p_j log p_j = L − Σ_j p_j d_j, (rows,), in nats; all terms are ≥ 0 and none cancels."""
    terms = rows.probabilities * rows.difference
    np.copyto(terms, 0.0, where=rows.probabilities == 0)
    values = rows.log_total - row_sum(terms)
    is_tiny = values < TINY_SUM
    if values.dtype != np.float64 or not is_tiny.any():
        return values
    lifted = _lifted(rows.top_position, rows.difference, rows.remainder)
    terms = lifted * (1 - rows.difference)  # S = 1 and L = σ here
    np.copyto(terms, 0.0, where=lifted == 0)
    return np.where(is_tiny, row_sum(terms) * math.exp(-LIFT), values)


def one_hot(classes: Array, num_classes: int) -> Array:
    """Return 1 at each row's class and 0 elsewhere, (K, rows) uint8."""
    return (np.arange(num_classes)[:, np.newaxis] == classes).astype(np.uint8)


def complement_of_probabilities(rows: SoftmaxRows) -> Array:
    """Return 1 − p_j, with 1 − p_k = q, (K, rows)."""
    complement = 1 - rows.probabilities
    put(complement, rows.top_position, rows.rest)
    return complement


def reciprocal_of_probabilities(rows: SoftmaxRows, weights: Array) -> Array:
    """Return c_j / p_j = c_j S exp(−d_j) (1 − ρ_j), (K, rows); 0 where c_j = 0, even where p_j = 0.

    Far below the top exp(−d_j) alone leaves the range where a small c_j brings the product back: e^FAR goes last.
    """
    far = FAR[rows.difference.dtype.name]
    is_far = rows.difference < -far
    shifted = np.add(rows.difference, far, out=rows.difference.copy(order="K"), where=is_far)
    quotients = weights * (1 + rows.rest_sum) * np.exp(-shifted)
    if rows.remainder is not None:
        quotients -= quotients * rows.remainder
    np.multiply(quotients, quotients.dtype.type(math.exp(far)), out=quotients, where=is_far)
    np.copyto(quotients, 0.0, where=weights == 0)
    return quotients


def jacobian(rows: SoftmaxRows) -> Array:
    """Return ∂p_i/∂s_j = p_i (δ_ij − p_j), with 1 − p_k = q, (rows, K, K)."""
    probabilities = np.ascontiguousarray(rows.probabilities.T)
    products = -probabilities[:, :, np.newaxis] * probabilities[:, np.newaxis, :]
    diagonal = np.arange(probabilities.shape[1])
    products[:, diagonal, diagonal] = (rows.probabilities * complement_of_probabilities(rows)).T
    return products


def weighted_difference(difference: Array, weights: Array) -> Array:
    """Return Σ_j c_j d_j, (rows,), where a c_j = 0 makes a term 0 even where d_j = −∞."""
    terms = weights * difference
    total = row_sum(terms)
    if np.isfinite(total).all():
        return total
    np.copyto(terms, 0.0, where=weights == 0)
    return row_sum(terms)
