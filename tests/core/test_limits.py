"""Limits on work, judged from shapes before anything is allocated."""

from __future__ import annotations

import numpy as np
import pytest

from gradient_service.core.errors import InvalidInputError
from gradient_service.core.inputs import Scores
from gradient_service.core.limits import WorkLimits, check_work

LIMITS = WorkLimits(max_elements=100, max_jacobian_elements=500, max_reply_bytes=4000, bytes_per_number=10)


def scores_of(rows: int, num_classes: int) -> Scores:
    """Scores of a shape, without memory for their elements."""
    return Scores(logits=np.broadcast_to(np.zeros(1), (rows, num_classes)))


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((10, 10), ["gradient", "loss", "summary"]),
        ((20, 5), ["gradient_by_chain_rule", "losses"]),
        ((4, 10), ["jacobian"]),
        ((0, 100), ["jacobian"]),
    ],
)
def test_work_at_its_limit_is_done(shape: tuple[int, int], names: list[str]) -> None:
    """Work that just reaches a limit passes."""
    check_work(scores_of(*shape), names, LIMITS)


@pytest.mark.parametrize(
    ("shape", "names", "field", "index"),
    [
        ((101, 1), ["loss"], "logits", ()),
        ((10**9, 10**9), ["loss"], "logits", ()),
        ((6, 10), ["loss", "jacobian"], "include", (1,)),
        ((6, 10), ["gradient_by_chain_rule"], "include", (0,)),
        ((10, 10), ["gradient", "probabilities", "gradient_diagonal_only", "losses", "predicted_labels"], None, ()),
        ((5, 10), ["jacobian"], None, ()),
    ],
)
def test_work_over_a_limit_is_refused(
    shape: tuple[int, int], names: list[str], field: str | None, index: tuple[int, ...]
) -> None:
    """Work over a limit is `output-too-large`, at the logits or the output that asks for it."""
    with pytest.raises(InvalidInputError) as refusal:
        check_work(scores_of(*shape), [*names, "loss"] if field is None else names, LIMITS_OF[field is None])
    fault = refusal.value.faults[0]
    assert (fault.code, fault.field, fault.index) == ("output-too-large", field or "logits", index)


LIMITS_OF = {
    False: LIMITS,
    True: WorkLimits(max_elements=100, max_jacobian_elements=500, max_reply_bytes=3000, bytes_per_number=10),
}
