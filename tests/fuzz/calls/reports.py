"""Whether a report of `/check` keeps the contract: its verdict follows from the reference in 80-bit floating point."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.fuzz.calls.doubles import WIDE, Answer
from tests.fuzz.calls.questions import SIGMOID, SOFTMAX, Array
from tests.fuzz.calls.rules import Case

MEMBERS = {"verdict", "diagnoses", "worst_rows", "statistics", "invariants", "applied"}
MAX_DIAGNOSES, MAX_WORST_ROWS = 6, 10
SURE = 4
"""So many times within the tolerance a claim is right, and so many times beyond it wrong, whoever computes its size."""
SERVICE_ULPS = 16
"""The service's own reference may be off by so many units of float64."""
SMALLEST = WIDE(5e-324)
FARTHEST = 745.0
"""Farther below 0 every exponential is 0, in any type."""
UNDERFLOW = {float(np.finfo(np.float32).eps): 103.0, float(np.finfo(np.float64).eps): 744.0}
"""Up to here none is 0, in a type by its spacing at 1."""


def is_report(document: dict[str, Any], case: Case) -> bool:
    """Whether a reply has all that a report must have, and tells of claimed outputs only."""
    diagnoses, worst = document["diagnoses"], document["worst_rows"]
    return (
        set(document) == MEMBERS
        and len(diagnoses) <= MAX_DIAGNOSES
        and all(set(each) == {"code", "explanation", "residual"} and each["residual"] >= 0 for each in diagnoses)
        and len(worst) <= MAX_WORST_ROWS
        and {each["output"] for each in worst} | set(document["statistics"]) <= set(case.include)
        and (document["verdict"] == "mismatch" or {each["code"] for each in diagnoses} <= {"cancellation"})
    )


def is_due(verdict: str, case: Case, answer: Answer) -> bool:
    """Whether a verdict may be that of a case: what is near the end of the tolerance may go either way."""
    bounds = [_excess(case, answer, name) for name in case.include]
    if verdict == "match":
        return all(least <= SURE for least, _ in bounds)
    return any(most > 1 / SURE for _, most in bounds)


def _excess(case: Case, answer: Answer, name: str) -> tuple[float, float]:
    """Return the least and the most that the largest error over what is tolerated may be; ∞ of what says nothing."""
    claim, reference = case.arrays[f"claimed.{name}"].astype(WIDE), np.asarray(answer.sized(name)[0])
    epsilon = min(_number_type(case, name)[0], float(np.finfo(np.float32).eps))
    (tolerated, sizes), (least_tolerated, _) = (
        _tolerated(case, answer, name, farthest) for farthest in (FARTHEST, UNDERFLOW[epsilon])
    )
    own = SERVICE_ULPS * (np.finfo(float).eps * np.maximum(np.abs(reference), sizes) + SMALLEST)
    if claim.size > 1 and (claim == claim.flat[0]).all():
        return _excess_of_constant(case, name, reference, own)
    error = np.where(np.isfinite(claim), np.abs(claim - reference), np.inf)
    bounds = (error - own, tolerated + _doubt(case, answer, name) * sizes), (error + own, least_tolerated)
    least, most = (np.where(each <= 0, 0, each / bound).max(initial=0) for each, bound in bounds)
    return float(least), float(most)


def _doubt(case: Case, answer: Answer, name: str) -> Array:
    """Return how much more of a number may be off where most would go through 1 − p, by default; up to half of it."""
    if case.options["objective"] == SOFTMAX or case.options["rtol"] is not None or name == "probabilities":
        return np.zeros(1)
    p = answer.scored.probabilities
    with np.errstate(divide="ignore"):
        odds = (np.maximum(p, 1 - p) / np.minimum(p, 1 - p)).max(axis=1)
    units = SERVICE_ULPS * np.sqrt(p.shape[1]) * _number_type(case, name)[0]
    doubt = np.minimum(units * odds, 0.5)  # NaN and ∞ come of rows of one class, and of p that is 0
    return np.asarray(doubt if name == "losses" else doubt.max(initial=0) if name == "loss" else doubt[:, np.newaxis])


def _excess_of_constant(case: Case, name: str, reference: Array, own: Array) -> tuple[float, float]:
    """Return ∞ twice of equal numbers where those of the reference differ, else what may be anything."""
    epsilon, least = _number_type(case, name)
    is_constant = reference.max() - reference.min() <= SURE * (np.abs(reference).max() * epsilon + least) + own.max()
    return (0.0 if is_constant else np.inf), np.inf


def _tolerated(case: Case, answer: Answer, name: str, farthest: float) -> tuple[Array, Array]:
    """Return atol + rtol · size, where exponentials vanish beyond some distance, and the sizes."""
    epsilon, least = _number_type(case, name)
    sizes, rows = _sizes(case, answer, name), len(case.logits)
    computed_in = min(epsilon, float(np.finfo(np.float32).eps))
    spread = _spread(case, answer, farthest)
    usual = computed_in * (
        16 + 2 * spread + 4 * np.sqrt(case.logits.shape[1]) + (np.sqrt(rows) if name == "loss" else 0)
    )
    usual = usual + (epsilon / 2 if epsilon > computed_in else 0)
    if name == "loss":
        usual = usual.max(initial=0)
    rtol, atol = case.options["rtol"], case.options["atol"]
    relative = np.asarray(usual if rtol is None else np.full_like(usual, rtol))
    relative = relative[:, np.newaxis] if sizes.ndim > 1 else relative
    return (least if atol is None else WIDE(atol)) + relative * sizes, sizes


def _number_type(case: Case, name: str) -> tuple[float, float]:
    """Return the spacing at 1 and the smallest normal number of the type that a claim came in."""
    roundoff = case.roundoffs.get(f"claimed.{name}", 0.0)
    if roundoff == 2.0**-8:
        return 2.0**-7, 2.0**-126
    limits = np.finfo(case.arrays[f"claimed.{name}"].dtype)
    return float(limits.eps), float(limits.smallest_normal)


def _spread(case: Case, answer: Answer, farthest: float) -> Array:
    """Return g of each row: the farthest that a score is off the largest, or off 0, and does not underflow."""
    far = np.abs(answer.scored.scores if case.options["objective"] == SIGMOID else answer.scored.gaps)
    return np.asarray(np.where(far <= farthest, far, 0).max(axis=1, initial=0))


def _sizes(case: Case, answer: Answer, name: str) -> Array:
    """Return what errors of an output are measured by."""
    compared, factors = answer.compared, np.abs(answer.factors) / answer.scored.temperature
    if name == "probabilities":
        return np.abs(answer.scored.probabilities)
    if name == "gradient":
        p, total = (
            answer.scored.probabilities,
            compared.total if case.options["objective"] == SOFTMAX else compared.weights,
        )
        sizes = np.maximum(total * p, compared.positive)
        return np.asarray(factors * (np.maximum(sizes, compared.gradient()[1])))
    weights = np.where(case.counted, case.weights("sample_weights"), 0)
    total = (compared.total if case.options["objective"] == SOFTMAX else compared.weights).sum(axis=1)
    losses = np.maximum(answer.losses, weights * total)
    return np.asarray(losses.sum() * answer.scale) if name == "loss" else losses
