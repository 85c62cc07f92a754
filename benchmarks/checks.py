"""How long a claim of 4096 rows and 1000 classes takes to examine, by what is wrong with it.

`python -m benchmarks.checks` prints the seconds on the wall and on the processor of one examination each: a right
gradient, single mistakes, two at once, and one that no mistake explains, for which all are tried.
"""

from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.checking.claims import Claim, NumberType, Tolerance
from gradient_service.core.checking.examination import examine
from gradient_service.core.execution import Execution
from gradient_service.core.inputs import ReductionRule, Scores, Supervision

ROWS, CLASSES = 4096, 1000
Array = NDArray[Any]

CLAIMS: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "right": (0.0, lambda gradient: gradient),
    "sum for mean": (0.0, lambda gradient: gradient * ROWS),
    "class-major": (0.0, lambda gradient: np.ascontiguousarray(gradient.T).reshape(gradient.shape)),
    "sum, and no smoothing": (0.1, lambda gradient: gradient * ROWS),
    "nothing known": (0.0, lambda gradient: gradient * gradient.dtype.type(1.1)),
}
"""The smoothing that is asked for, and what is claimed of a gradient without any."""


def plain_gradient(logits: Array, labels: Array) -> Array:
    """The mean cross-entropy's gradient, in the dtype of the logits."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    probabilities[np.arange(len(labels)), labels] -= 1
    return np.asarray(probabilities / logits.dtype.type(len(labels)))


def main() -> None:
    """Print one line for each claim and dtype."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, ROWS)
    for dtype in ("float64", "float32"):
        logits = (2 * random.normal(size=(ROWS, CLASSES))).astype(dtype)
        gradient = plain_gradient(logits, labels)
        for name, (smoothing, claimed_of) in CLAIMS.items():
            claim = Claim("gradient", claimed_of(gradient).astype(np.float64), NumberType.of(logits.dtype))
            scores, supervision = (
                Scores(logits=logits.astype(np.float64)),
                Supervision(labels=labels, label_smoothing=smoothing),
            )
            wall, processor = perf_counter(), process_time()
            found = examine(scores, supervision, ReductionRule(), ([claim], Tolerance()), Execution())
            wall, processor = perf_counter() - wall, process_time() - processor
            codes = ", ".join(each.code for each in found.diagnoses)
            print(f"{dtype} {name}: {wall:.2f} s, of it {processor:.2f} s on the processor; {codes or 'no diagnosis'}")


if __name__ == "__main__":
    main()
