"""How work is ended before its end."""

from __future__ import annotations

import numpy as np
import pytest

from gradient_service.core.evaluate import softmax
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import Scores
from tests.core.calls import evaluated

OUTPUTS = ("probabilities", "log_probabilities", "one_hot", "entropy")


class LeftError(Exception):
    """The caller has left."""


def test_the_work_on_one_row_ends_between_its_outputs() -> None:
    """A row is one block however long it is, so there is a checkpoint before each of its outputs too."""
    asked = 0

    def checkpoint() -> None:
        nonlocal asked
        asked += 1
        if asked > 3:
            raise LeftError

    scores = Scores(logits=np.ones((1, 10)))
    with pytest.raises(LeftError):
        softmax(scores, OUTPUTS, Execution(checkpoint=checkpoint))
    asked = -10
    softmax(scores, OUTPUTS, Execution(checkpoint=checkpoint))
    assert asked == -10 + 1 + len(OUTPUTS)


@pytest.mark.parametrize("allowed", range(4))
def test_the_work_ends_before_the_first_block(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    """Checks and weights of many rows go block by block, too: these four visits come before any is computed."""
    asked = iter(range(allowed))

    def checkpoint() -> None:
        if next(asked, None) is None:
            raise LeftError

    monkeypatch.setattr(Execution, "run", None)
    with pytest.raises(LeftError):
        evaluated(
            np.zeros((2, 3)),
            ["loss"],
            targets=[[0, 1, 0]] * 2,
            element_mask=[[True, True, False]] * 2,
            execution=Execution(checkpoint=checkpoint),
        )
