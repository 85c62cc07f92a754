"""The longest work on one long row between two checkpoints, where a deadline or a departed caller would end it.

`python -m benchmarks.checkpoints` computes every output of one row of 10⁷ classes (or as many as the first argument
says), for every objective, with labels, smoothed ones, and weighted targets under a mask, in float32 and float64, in
both precisions, and with derivatives that are computed again in the widest dtype. Printed is CPU time, the longest
between two checkpoints and all; the exit code is 1 where one was above 200 ms. It takes about ten minutes.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.reliability.figures import Verdict
from gradient_service.core.errors import InvalidInputError
from gradient_service.core.evaluate import loss_and_gradient, softmax
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.options import Objective, Precision, Reduction

WANTED_SECONDS = 0.2
OF_SCORES = ("probabilities", "log_probabilities", "one_hot", "entropy", "log_normalizer", "predicted_labels")
OF_LOSS = (
    "loss",
    "summary",
    "losses",
    "probabilities",
    "predicted_labels",
    "gradient",
    "loss_wrt_probabilities",
    "gradient_diagonal_only",
)
Call = tuple[str, Callable[[Execution], Any]]


@dataclass
class Gaps:
    """The CPU time of this thread, from each checkpoint to the next one."""

    longest: float = 0.0
    began: float = field(default_factory=time.thread_time)

    def __post_init__(self) -> None:
        self._last = self.began

    def checkpoint(self) -> None:
        """Note how long it has been."""
        now = time.thread_time()
        self.longest, self._last = max(self.longest, now - self._last), now


@dataclass(frozen=True)
class Row:
    """One row, and what it is compared with."""

    logits: NDArray[Any]
    mask: NDArray[np.bool_]
    targets: NDArray[Any]
    class_weights: NDArray[Any]

    @classmethod
    def drawn(cls, num_classes: int) -> "Row":
        """A row with one class in ten masked."""
        rng = np.random.default_rng(1)
        mask = rng.random((1, num_classes)) < 0.9
        mask[0, 0] = True
        targets = np.where(mask, rng.random((1, num_classes)), 0)
        return cls(rng.normal(0, 3, (1, num_classes)), mask, targets / targets.sum(), rng.random(num_classes) + 1)

    def compared(self, objective: Objective, dtype: Any) -> Iterator[tuple[str, dict[str, Any], Supervision]]:
        """What it can be compared with, and how its scores are read then."""
        targets, weights = self.targets.astype(dtype), self.class_weights.astype(dtype)
        if objective is not Objective.SIGMOID_BINARY_CROSS_ENTROPY:
            for smoothing in (0.0, 0.1):
                labels = Supervision(labels=np.zeros(1, np.int64), label_smoothing=smoothing, objective=objective)
                yield f"labels, smoothing {smoothing}", {"temperature": 0.7}, labels
        weighted = Supervision(targets=targets, class_weights=weights, objective=objective)
        yield "weighted targets", {"temperature": 0.7, "element_mask": self.mask}, weighted
        lifted = Supervision(targets=targets, sample_weights=np.array([1e30], dtype), objective=objective)
        yield "lifted targets", {"temperature": 0.02}, lifted


def calls(row: Row) -> Iterator[Call]:
    """Every kind of call."""
    for dtype, precision in product((np.float32, np.float64), Precision):
        logits, mode = row.logits.astype(dtype), f"{np.dtype(dtype)} {precision}"
        yield (
            f"{mode} softmax",
            partial(softmax, Scores(logits=logits, temperature=0.7, precision=precision), OF_SCORES),
        )
        for objective in Objective:
            names = OF_LOSS if objective is Objective.SOFTMAX_BINARY_CROSS_ENTROPY else (*OF_LOSS, "hessian_diagonal")
            for kind, options, supervision in row.compared(objective, dtype):
                scores = Scores(logits=logits, precision=precision, **options)
                rule = ReductionRule(kind=Reduction.SUM)
                yield f"{mode} {objective} {kind}", partial(loss_and_gradient, scores, supervision, rule, names)


def main() -> int:
    """Print the longest gap of each call."""
    verdict = Verdict()
    for name, compute in calls(Row.drawn(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**7)):
        gaps = Gaps()
        with suppress(InvalidInputError):  # where the widest dtype brings ∂E/∂p out of its range
            compute(Execution(checkpoint=gaps.checkpoint))
        gaps.checkpoint()
        whole = time.thread_time() - gaps.began
        text = f"{name}: {gaps.longest * 1e3:.0f} ms of {whole * 1e3:.0f} ms"
        verdict.want(text, met=gaps.longest <= WANTED_SECONDS)
    return verdict.close()


if __name__ == "__main__":
    sys.exit(main())
