"""A caller's claim examined: whether it is right, and if not, where it is not and which mistakes reproduce it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradient_service.core.checking.claims import Claim, Tolerance, check_claims
from gradient_service.core.checking.comparison import Comparing, Comparison
from gradient_service.core.checking.diagnosis import Diagnosis, diagnose
from gradient_service.core.checking.invariants import Held, invariants_of
from gradient_service.core.checking.recipes import Recipe, right_recipe
from gradient_service.core.checking.reduced_loss import compare_loss
from gradient_service.core.checks import check_values
from gradient_service.core.evaluate import Evaluation, loss_and_gradient
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision

MAX_WORST_ROWS = 10


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A row of an output, and its element that is off the most."""

    output: str
    row: int
    column: int | None
    """The class; None for losses."""
    claimed: float
    reference: float


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found."""

    is_match: bool
    diagnoses: list[Diagnosis]
    worst_rows: list[WorstRow]
    compared: list[Comparison]
    invariants: list[Held]
    denominator: float | None
    """The number that `mean` divided by."""


def examine(
    scores: Scores,
    supervision: Supervision,
    reduction: ReductionRule,
    claims: tuple[Sequence[Claim], Tolerance],
    execution: Execution,
) -> Examination:
    """Compare what a caller computed with the reference, and look for the mistake where they differ.

    |claimed − reference| ≤ atol + rtol · size in every element makes a match.

    Args:
        scores: (N, K) logits, float64, and how they are read.
        supervision: labels (N,) or targets (N, K), and their weights.
        reduction: how losses become one number.
        claims: outputs as the caller has them, and what differences are tolerated.
        execution: who computes the reference, and who may stop the work.

    Returns:
        The verdict, what explains it, and the figures behind it.

    Raises:
        InvalidInputError: an input breaks a rule of `checks.py`, or the reference leaves the range of float64.
    """
    claimed, tolerance = claims
    check_claims(scores, {claim.name: claim.values.shape for claim in claimed})
    check_values(scores, supervision, reduction, checkpoint=execution.checkpoint)
    names = [claim.name for claim in claimed]
    evaluation = loss_and_gradient(scores, supervision, reduction, names, execution)
    recipe = right_recipe(scores, supervision, reduction, evaluation.denominator)
    with np.errstate(all="ignore"):  # claims and wrong recipes may hold anything
        compared = [_compared(claim, evaluation, recipe, tolerance, execution) for claim in claimed]
        diagnoses = diagnose(recipe, compared, tolerance, execution.checkpoint)
    return Examination(
        is_match=all(found.is_match for found in compared),
        diagnoses=diagnoses,
        worst_rows=_worst_rows(compared),
        compared=compared,
        invariants=list(invariants_of(recipe, compared)),
        denominator=evaluation.denominator,
    )


def _compared(
    claim: Claim, evaluation: Evaluation, recipe: Recipe, tolerance: Tolerance, execution: Execution
) -> Comparison:
    if claim.name == "loss":
        return compare_loss(claim, np.array([evaluation.loss], np.float64), recipe, tolerance, execution.checkpoint)
    reference = evaluation.arrays[claim.name]
    return Comparing(claim, reference, recipe, tolerance, execution.checkpoint).compared()


def _worst_rows(compared: Sequence[Comparison]) -> list[WorstRow]:
    found = [
        (float(each.excess[row]), _worst_row(each, int(row)))
        for each in compared
        if each.claim.name != "loss"
        for row in np.argsort(-each.excess, kind="stable")[:MAX_WORST_ROWS]
        if each.excess[row] > 0
    ]
    ranked = sorted(found, key=lambda pair: -pair[0])
    return [row for _, row in ranked[:MAX_WORST_ROWS]]


def _worst_row(found: Comparison, row: int) -> WorstRow:
    column = int(found.worst_class[row]) if found.reference.ndim > 1 else None
    place = row if column is None else (row, column)
    return WorstRow(
        output=found.claim.name,
        row=row,
        column=column,
        claimed=float(found.claim.values[place]),
        reference=float(found.reference[place]),
    )
