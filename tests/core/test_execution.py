"""How work is ended before its end."""

from __future__ import annotations

import numpy as np
import pytest

from gradient_service.core.evaluate import softmax
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import Scores

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
