"""The examination of a claim called with a request's fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradient_service.core.checking.claims import Claim, NumberType, Tolerance
from gradient_service.core.checking.examination import Examination, examine
from gradient_service.core.execution import Execution
from tests.core.calls import output, rule_of, scores_of, supervision_of
from tests.core.checking.wrong_programs import Array, Batch, Claims


def examined(
    batch: Batch,
    claims: Claims,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    checkpoint: Callable[[], None] = lambda: None,
) -> Examination:
    """What the core says of the claims of a program, each in its own dtype."""
    logits = batch.logits.astype(np.float64)
    options = batch.options if "targets" in batch.options else batch.options | {"labels": batch.labels}
    inputs = scores_of(logits, options), supervision_of(logits, options), rule_of(logits, options)
    made = [claim_of(name, value) for name, value in claims.items()]
    return examine(*inputs, (made, Tolerance(rtol, atol)), Execution(checkpoint=checkpoint))


def claim_of(name: str, value: Any) -> Claim:
    """A claim of numbers in their own dtype."""
    values = np.asarray(value)
    rows = np.atleast_1d(values).astype(np.float64)
    return Claim(name, rows, NumberType.of(values.dtype))


def codes_of(found: Examination) -> list[str]:
    """The codes of the diagnoses, best first."""
    return [diagnosis.code.value for diagnosis in found.diagnoses]


def computed(name: str, batch: Batch) -> Array:
    """An output of the core."""
    supervision = {} if "targets" in batch.options else {"labels": batch.labels}
    return np.asarray(output(name, batch.logits, **supervision, **batch.options))
