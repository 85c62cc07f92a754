"""The core in process, against PyTorch, SciPy, JAX and a copy: loss and gradient of labels.

`python -m benchmarks.core [--quick]` needs what `make test-all` installs, and a C++ compiler for torch.compile. All
calls of a shape take turns, on one core, and what they return is first held against the maths.
"""

import os
import sys
from collections.abc import Mapping
from itertools import product

import jax
import numpy as np
import torch

from benchmarks.core.contenders import (
    ACCURATE,
    ACCURATE_TWO,
    COMPILED,
    COPY,
    EAGER,
    FAST,
    FAST_TWO,
    JAX,
    PASSES,
    SCIPY,
    Array,
    Call,
    of_one_thread,
    of_two_threads,
)
from benchmarks.core.growth import batch, growth, memory
from benchmarks.core.rounds import take_turns
from benchmarks.reliability.service import on_cores
from benchmarks.report.part import Goal, Part, run, table
from benchmarks.report.plots import bars
from benchmarks.report.samples import Samples
from benchmarks.rivals.maths import loss_and_gradient

SHAPES = ((4096, 1000), (100_000, 10), (64, 128_256), (32, 1000), (1, 10))
DTYPES = (np.float32, np.float64)
TOLERANCES = {np.float32: 1e-3, np.float64: 1e-10}
MIN_ELEMENTS_OF_TWO = 1_000_000
SECONDS, QUICK_SECONDS = 12.0, 0.3
WANTED_FAST, WANTED_ACCURATE, WANTED_COMPILED, WANTED_TWO = 1.5, 1.0, 1.0, 1.7
ALL_CORES = os.sched_getaffinity(0)
ONE_CORE = {max(ALL_CORES)}
WANTED = {
    (FAST, EAGER): WANTED_FAST,
    (ACCURATE, EAGER): WANTED_ACCURATE,
    (FAST, COMPILED): WANTED_COMPILED,
    (FAST, SCIPY): 1.0,
    (FAST, JAX): 1.0,
    (PASSES, EAGER): WANTED_FAST,
}
"""How many times faster the one should be than the other."""

Taken = Mapping[str, Samples]
"""Seconds of one call in each round, by who is called."""


def checked(calls: Mapping[str, Call], logits: Array, labels: Array) -> Mapping[str, Call]:
    """Stop unless everyone computes the same; a copy computes nothing."""
    loss, gradient = loss_and_gradient(logits.astype(np.float64), labels)
    tolerance = TOLERANCES[logits.dtype.type]
    for name in calls.keys() - {COPY}:
        found_loss, found_gradient = calls[name]()
        np.testing.assert_allclose(np.asarray(found_loss), loss, rtol=tolerance, err_msg=name)
        bound = tolerance / len(labels)
        np.testing.assert_allclose(np.asarray(found_gradient), gradient, rtol=0, atol=bound, err_msg=name)
    return calls


def name_of(shape: tuple[int, int], dtype: type) -> str:
    """The heading of a shape."""
    return f"{shape[0]}×{shape[1]} {dtype.__name__}"


def measure_all(seconds: float) -> tuple[dict[str, Taken], dict[str, Taken]]:
    """Everyone on one core, then the core with a second thread on large shapes."""
    torch.set_num_threads(1)
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - the library's way
    single: dict[str, Taken] = {}
    double: dict[str, Taken] = {}
    for dtype, shape in product(DTYPES, SHAPES):
        drawn = batch(*shape, dtype)
        print(f"  {name_of(shape, dtype)}", flush=True)
        with on_cores(ONE_CORE):
            single[name_of(shape, dtype)] = take_turns(checked(of_one_thread(*drawn), *drawn), seconds)
        if shape[0] * shape[1] >= MIN_ELEMENTS_OF_TWO:
            double[name_of(shape, dtype)] = take_turns(checked(of_two_threads(*drawn), *drawn), seconds)
    return single, double


def ratio_goal(found: Mapping[str, Taken], other: str, ours: str, wanted: float) -> Goal:
    """How many times faster we are than another in every shape, the worst of them in words."""
    ratios = {shape: taken[other].over(taken[ours]).median for shape, taken in found.items()}
    worst = min(ratios, key=ratios.__getitem__)
    reached = sum(ratio >= wanted for ratio in ratios.values())
    text = f"{reached} of {len(ratios)} shapes; least {ratios[worst]:.2f}× at {worst}"
    return Goal(f"{ours}, over {other}", f"≥ {wanted}×", text, reached == len(ratios))


def goals(single: Mapping[str, Taken], double: Mapping[str, Taken]) -> list[Goal]:
    """What was to be reached in time."""
    return [
        ratio_goal(single, EAGER, FAST, WANTED_FAST),
        ratio_goal(single, EAGER, ACCURATE, WANTED_ACCURATE),
        ratio_goal(single, COMPILED, FAST, WANTED_COMPILED),
        ratio_goal(double, FAST, FAST_TWO, WANTED_TWO),
        ratio_goal(double, ACCURATE, ACCURATE_TWO, WANTED_TWO),
    ]


def ratios_table(found: Mapping[str, Taken], pairs: Mapping[tuple[str, str], float]) -> str:
    """How many times faster we are, by shape; in bold where that is less than wanted."""

    def cell(taken: Taken, pair: tuple[str, str], wanted: float) -> str:
        ratio = taken[pair[1]].over(taken[pair[0]])
        return ratio.shown() if ratio.median >= wanted else f"**{ratio.shown()}**"

    rows = [[shape, *(cell(taken, *each) for each in pairs.items())] for shape, taken in found.items()]
    return table(("times faster", *(f"{ours} than {other}" for ours, other in pairs)), rows)


def times_table(found: Mapping[str, Taken]) -> str:
    """Microseconds of one call, of everyone."""
    names = list(next(iter(found.values())))
    rows = [[shape, *(taken[name].shown(1e6) for name in names)] for shape, taken in found.items()]
    return table(("µs", *names), rows)


def plot(found: Mapping[str, Taken], dtype: type) -> str:
    """Nanoseconds per element, one group of bars a shape."""
    groups = {}
    for shape in SHAPES:
        taken, elements = found[name_of(shape, dtype)], shape[0] * shape[1]
        groups[f"{shape[0]}×{shape[1]}"] = {
            name: Samples([value / elements * 1e9 for value in each.values]) for name, each in taken.items()
        }
    return bars(f"Loss + gradient, {dtype.__name__}, one thread: ns per element (less is better)", groups)


def measure(quick: bool) -> Part:  # noqa: FBT001 - the one choice that there is
    """Measure times, growth and memory."""
    seconds = QUICK_SECONDS if quick else SECONDS
    single, double = measure_all(seconds)
    with on_cores(ONE_CORE):
        growth_goals, growth_blocks, growth_plots = growth(seconds)
    memory_goals, memory_table = memory()
    intro = (
        "Loss and gradient of labels, arrays in and out, each call with one thread on one core, in turns; median "
        "(quartiles). torch.compile is given loss and gradient written out by hand, JAX the compiled derivative of "
        "optax's function. NumPy's passes alone check nothing and keep no digits: what is left of a call of the core "
        "when its promises are. The copy is that of the logits into new memory."
    )
    plots = {f"core-{dtype.__name__}.svg": plot(single, dtype) for dtype in DTYPES} | growth_plots
    blocks = [
        intro,
        ratios_table(single, WANTED),
        times_table(single),
        ratios_table(double, {(FAST_TWO, FAST): WANTED_TWO, (ACCURATE_TWO, ACCURATE): WANTED_TWO}),
        *growth_blocks,
        memory_table,
    ]
    return Part("Core", blocks, [*goals(single, double), *growth_goals, *memory_goals], plots)


if __name__ == "__main__":
    sys.exit(run(measure))
