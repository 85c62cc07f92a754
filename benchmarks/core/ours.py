"""Loss and gradient of labels by the core."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from gradient_service.core.evaluate import loss_and_gradient
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Precision

Array = NDArray[Any]


def ours(logits: Array, labels: Array, precision: Precision, threads: int = 1) -> Callable[[], tuple[Any, Array]]:
    """This service's core."""

    def call() -> tuple[Any, Array]:
        scores, supervision = Scores(logits=logits, precision=precision), Supervision(labels=labels)
        execution = Execution(threads=threads)
        found = loss_and_gradient(scores, supervision, ReductionRule(), ("loss", "gradient"), execution)
        return found.loss, found.arrays["gradient"]

    return call
