"""What `/check` does: a request with a claim in, a verdict out."""

from collections.abc import Iterator, Sequence
from itertools import chain
from math import isfinite
from typing import Any

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checking.claims import (
    BFLOAT16,
    CLAIMED,
    Claim,
    NumberType,
    Tolerance,
    check_claims,
    tolerance_faults,
)
from gradient_service.core.checking.comparison import Comparison
from gradient_service.core.checking.examination import Examination, examine
from gradient_service.core.checking.examination import WorstRow as FoundRow
from gradient_service.core.checking.figures import ERRORS, Errors
from gradient_service.core.checks import check_shapes
from gradient_service.core.errors import Fault, first_true
from gradient_service.core.limits import check_work
from gradient_service.operations.inputs import (
    dtype_of,
    in_dtype,
    rule_of,
    scores_of,
    supervised_applied,
    supervision_of,
)
from gradient_service.operations.work import NUMBER_BYTES, Work
from gradient_service.schemas.conflicts import check_conflicts
from gradient_service.schemas.replies import (
    CheckApplied,
    CheckReply,
    DiagnosisBody,
    ErrorKinds,
    ErrorsBody,
    InvariantBody,
    OutputStatistics,
    StatisticsBody,
    Verdict,
    WorstRow,
)
from gradient_service.schemas.requests import CheckRequest
from gradient_service.schemas.tensor import is_untyped, roundoff

ROW_BYTES = 256
"""What is kept of each row of each claimed output, and on the way there."""
COPIES = 3
"""Of a claimed array: as float64, the reference, and itself turned."""


def check(request: CheckRequest, work: Work) -> CheckReply:
    """Answer `/check`."""
    check_conflicts(request)
    scores, supervision, rule = scores_of(request), supervision_of(request), rule_of(request)
    check_shapes(scores, supervision, rule)
    arrays = {name: np.atleast_1d(array) for name in CLAIMED if (array := getattr(request.claimed, name)) is not None}
    check_claims(scores, {name: array.shape for name, array in arrays.items()})
    check_work(scores, [], work.limits)
    numbers = scores.logits.size + COPIES * sum(array.size for array in arrays.values())
    work.reserve(NUMBER_BYTES * numbers + ROW_BYTES * len(arrays) * scores.batch_size)
    claims = [_claim(name, array, dtype_of(request)) for name, array in arrays.items()]
    tolerance = Tolerance(request.rtol, request.atol)
    faults = [*tolerance_faults(tolerance), *chain.from_iterable(map(_beyond, claims, arrays.values()))]
    rounded = in_dtype(dtype_of(request), scores, supervision, rule, beside=faults)
    scores, supervision, rule = in_dtype(np.dtype(np.float64), *rounded)
    found = examine(scores, supervision, rule, (claims, tolerance), work.execution)
    return CheckReply.of(
        verdict=Verdict.MATCH if found.is_match else Verdict.MISMATCH,
        diagnoses=[
            DiagnosisBody.of(code=each.code, explanation=each.explanation, residual=each.residual)
            for each in found.diagnoses
        ],
        worst_rows=[_worst_row(each) for each in found.worst_rows],
        statistics=StatisticsBody.of(**{each.claim.name: _statistics(each) for each in found.compared}),
        invariants=[
            InvariantBody.of(name=each.invariant, holds=each.holds, value=float(each.value))
            for each in found.invariants
        ],
        applied=CheckApplied.of(**_applied(request, found)),
    )


def check_each(requests: Sequence[CheckRequest], work: Work) -> list[CheckReply]:
    """Answer several calls of `/check`."""
    return [check(request, work) for request in requests]


def _claim(name: str, array: Array, dtype: np.dtype[np.floating]) -> Claim:
    """Return a claim in its own type; what came without one has the type of the answer."""
    of = NumberType.of(dtype if is_untyped(array) else array.dtype)
    if roundoff(array) == BFLOAT16.epsilon / 2:
        of = BFLOAT16  # which was widened as it was read
    with np.errstate(invalid="ignore"):  # a NaN that signals
        values = array.astype(np.float64)
    return Claim(name, of.rounded(values) if is_untyped(array) else values, of)


def _beyond(claim: Claim, array: Array) -> Iterator[Fault]:
    """Yield `number-out-of-range` where the type of the answer does not hold a number that came without one."""
    for where in first_true(np.isinf(claim.values)) if is_untyped(array) else ():
        index = () if claim.name == "loss" else where
        detail = f"claimed.{claim.name}: this number leaves the range of {claim.type.name}."
        yield Fault("number-out-of-range", "claimed", (claim.name, *index), detail)


def _worst_row(found: FoundRow) -> WorstRow:
    values: dict[str, Any] = {"output": found.output, "row": found.row}
    if found.column is not None:
        values["column"] = found.column
    if isfinite(found.claimed):
        values["claimed"] = found.claimed
    return WorstRow.of(**values, reference=found.reference)


def _statistics(found: Comparison) -> OutputStatistics:
    errors = {"claimed": found.claimed_errors, "plain": found.plain_errors}
    return OutputStatistics.of(**{name: _kinds(each) for name, each in errors.items() if each is not None})


def _kinds(errors: Errors) -> ErrorKinds:
    return ErrorKinds.of(
        **{kind: ErrorsBody.of(maximum=errors.maximum[kind], median=errors.median[kind]) for kind in ERRORS}
    )


def _applied(request: CheckRequest, found: Examination) -> dict[str, Any]:
    given = {"rtol": request.rtol, "atol": request.atol}
    tolerance = {name: value for name, value in given.items() if value is not None}
    return supervised_applied(request, found.denominator) | tolerance
