"""Calls of the core, one after the other, for who looks on: the arguments are N, K, dtype and seconds."""

import sys
from time import monotonic

import numpy as np

from benchmarks.core.ours import ours
from gradient_service.core.options import Precision


def main(rows: int, classes: int, dtype: str, seconds: float) -> None:
    """Call for so long."""
    generator = np.random.default_rng(rows)
    logits = generator.normal(scale=3, size=(rows, classes)).astype(dtype)
    call = ours(logits, generator.integers(0, classes, rows), Precision.FAST)
    end = monotonic() + seconds
    while monotonic() < end:
        call()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
