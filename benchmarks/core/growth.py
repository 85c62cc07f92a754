"""How cost and memory grow: time per element over rows and classes, and the most memory beyond the output."""

import tracemalloc
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.ours import Array, ours
from benchmarks.core.rounds import take_turns
from benchmarks.report.part import Goal, table
from benchmarks.report.plots import lines
from benchmarks.report.samples import Samples
from gradient_service.core.options import Precision

MIB = 1024 * 1024
SEED = 20261127
DTYPES = (np.float32, np.float64)
GROWING_ROWS = ((1000, 10), (1000, 100), (100, 1000), (10, 10_000))
ROW_FACTORS = (1, 10, 100)
CLASSES, ELEMENTS = (10, 100, 1000, 10_000, 100_000, 1_000_000), 1_000_000
MEMORY_SHAPES = ((4096, 1000), (100_000, 10), (64, 131_072), (1, 131_072))
Line = Mapping[float, float]
"""Nanoseconds per element, by N or by K."""
WANTED_GROWTH, WANTED_EXTRA_BYTES = 1.2, 8 * MIB


def batch(rows: int, classes: int, dtype: type) -> tuple[Array, NDArray[np.int64]]:
    """Random rows with labels."""
    generator = np.random.default_rng(SEED)
    logits: Array = generator.normal(scale=3, size=(rows, classes)).astype(dtype)
    return logits, generator.integers(0, classes, rows)


def over_rows(precision: Precision, seconds: float) -> dict[tuple[int, int], dict[int, Samples]]:
    """Seconds of one call at 1, 10 and 100 times the rows, by the small shape, then by the number of rows; float32."""
    found = {}
    for rows, classes in GROWING_ROWS:
        shapes = [(rows * factor, classes) for factor in ROW_FACTORS]
        calls = {str(each[0]): ours(*batch(*each, np.float32), precision) for each in shapes}
        taken = take_turns(calls, seconds)
        found[rows, classes] = {each[0]: taken[str(each[0])] for each in shapes}
    return found


def over_classes(precision: Precision, seconds: float) -> dict[float, float]:
    """Nanoseconds per element of a million float32 elements, by the number of classes."""
    shapes = {classes: (ELEMENTS // classes, classes) for classes in CLASSES}
    calls = {str(classes): ours(*batch(*shape, np.float32), precision) for classes, shape in shapes.items()}
    taken = take_turns(calls, seconds)
    return {classes: taken[str(classes)].median / ELEMENTS * 1e9 for classes in CLASSES}


def growth(seconds: float) -> tuple[list[Goal], list[str], dict[str, str]]:
    """Goals, tables and plots of the growth of cost."""
    goals: list[Goal] = []
    by_rows: dict[str, Line] = {}
    by_classes: dict[str, Line] = {}
    for precision in (Precision.FAST, Precision.ACCURATE):
        for (small, classes), taken in over_rows(precision, seconds).items():
            name = f"{precision.value}, K = {classes}"
            goals.append(_goal(name, taken[small], taken[small * ROW_FACTORS[-1]]))
            by_rows[name] = {n: each.median / n / classes * 1e9 for n, each in taken.items()}
        by_classes[precision.value] = over_classes(precision, seconds)
    plots = {
        "cost-over-rows.svg": lines("ns per element over N, float32, one thread", by_rows),
        "cost-over-classes.svg": lines("ns per element over K, N·K = 10⁶, float32, one thread", by_classes),
    }
    return goals, [_rows_table(by_rows), _classes_table(by_classes)], plots


def _goal(name: str, small: Samples, large: Samples) -> Goal:
    ratio = Samples([each / ROW_FACTORS[-1] for each in large.over(small).values])
    what = f"time per element at {ROW_FACTORS[-1]} times the rows, {name}"
    return Goal(what, f"≤ {WANTED_GROWTH}×", f"{ratio.shown()}×", ratio.median <= WANTED_GROWTH)


def _rows_table(found: Mapping[str, Line]) -> str:
    head = ("ns per element, float32, 1 thread", "N", "10 N", "100 N")
    return table(head, [[name, *(f"N = {n}: {ns:.2f}" for n, ns in line.items())] for name, line in found.items()])


def _classes_table(found: Mapping[str, Line]) -> str:
    head = ("ns per element, N·K = 10⁶, float32", *(f"K = {classes}" for classes in CLASSES))
    return table(head, [[name, *(f"{each:.2f}" for each in line.values())] for name, line in found.items()])


def extra_bytes(rows: int, classes: int, dtype: type, precision: Precision) -> int:
    """The most that is allocated during one call, beyond its output."""
    call = ours(*batch(rows, classes, dtype), precision)
    call()
    tracemalloc.start()
    _, gradient = call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak - int(gradient.nbytes)


def memory() -> tuple[list[Goal], str]:
    """Goals and table of memory."""
    cases = [(dtype, precision) for dtype in DTYPES for precision in (Precision.FAST, Precision.ACCURATE)]
    found = {shape: [extra_bytes(*shape, *case) for case in cases] for shape in MEMORY_SHAPES}
    rows = [[f"{n}×{k}", *(f"{each / MIB:.2f}" for each in extras)] for (n, k), extras in found.items()]
    head = ("most MiB beyond the output, 1 thread", *(f"{dtype.__name__} {each.value}" for dtype, each in cases))
    goals = [
        Goal(
            f"memory, {n}×{k}", "≤ output + 8 MiB", f"+ {max(extras) / MIB:.2f} MiB", max(extras) <= WANTED_EXTRA_BYTES
        )
        for (n, k), extras in found.items()
    ]
    return goals, table(head, rows)
