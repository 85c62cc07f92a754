"""Requests per second of loss and gradient, for this service, its rivals, a probe and the floor.

`python -m benchmarks.http [--quick]` needs wrk (Debian: `apt-get install wrk`). In each round every server is started
in its turn, alone, on all cores. In each of its columns the answers to a few questions are first held against the
maths, and then wrk asks these in turns from the same machine; an answer that is no 2xx, or answers that are too short,
leave the server out. Each round begins with another server. A ratio is that of the same round, and its median is the
figure.
"""

import sys
from collections.abc import Mapping, Sequence

from benchmarks.http.columns import COLUMNS, QUESTIONS
from benchmarks.http.rounds import Figures, Results, samples, take_rounds
from benchmarks.http.wrk import CONNECTIONS
from benchmarks.report.part import Goal, Part, run, table
from benchmarks.report.plots import bars
from benchmarks.report.samples import Samples
from benchmarks.rivals.servers import FLOOR, OURS, PROBE, SERVERS

ROUNDS, SECONDS = 5, 2
QUICK_ROUNDS, QUICK_SECONDS = 1, 1
WANTED_RATIO, WANTED_OF_PROBE = 3.0, 1.0


def goals(results: Results) -> list[Goal]:
    """Hold the service against the best rival and the probe in each column."""
    found = []
    for column in COLUMNS:
        ours = samples(results.rates, OURS, column) or sys.exit(f"the service has no figure: {results.absent}")
        best, probe = results.best_rival(column), samples(results.rates, PROBE, column)
        if best:
            ratio = ours.over(best[1])
            what, reached = f"{column.name}, over {best[0]}", ratio.median >= WANTED_RATIO
            found.append(Goal(what, f"≥ {WANTED_RATIO:.0f}×", f"{ratio.shown()}×", reached))
        if probe:
            ratio = ours.over(probe)
            what, reached = f"{column.name}, over the probe", ratio.median >= WANTED_OF_PROBE
            found.append(Goal(what, "≥ 1×", f"{ratio.shown()}×", reached))
    return found


def figures_table(heading: str, of: Figures, absent: Mapping[str, str], *more: Sequence[str]) -> str:
    """One row a server; absent ones say why."""
    rows = []
    for server in SERVERS:
        cells = [samples(of, server.name, column) for column in COLUMNS]
        shown = [each.shown() if each else "–" for each in cells]
        reason = absent.get(server.name)
        rows.append([server.name, *([f"absent: {reason}", *shown[1:]] if reason else shown)])
    return table((heading, *(column.name for column in COLUMNS)), [*rows, *more])


def shares_of_the_floor(of: Figures) -> list[str]:
    """How close we come."""
    pairs = [(samples(of, OURS, column), samples(of, FLOOR, column)) for column in COLUMNS]
    shown = [f"{ours.over(floor).median:.0%}" if ours and floor else "–" for ours, floor in pairs]
    return ["this service, share of the floor", *shown]


def plot(results: Results) -> str:
    """One group of bars a column."""
    groups = {
        column.name: {server.name: each for server in SERVERS if (each := samples(results.rates, server.name, column))}
        for column in COLUMNS
    }
    return bars("Loss + gradient over HTTP, requests a second (more is better)", groups)


def measure(quick: bool) -> Part:  # noqa: FBT001 - the one choice that there is
    """Measure everyone."""
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if quick else (ROUNDS, SECONDS)
    results = take_rounds(rounds, seconds)
    intro = (
        f"Loss and gradient of labels, float64 in JSON and float32 in binary, {QUESTIONS} questions in turns; wrk with "
        f"1 thread and {CONNECTIONS} connections on the same machine, one server at a time on all cores; median "
        f"(quartiles) of rounds of {seconds} s, {rounds} in all. Binary is safetensors for the service, the probe and "
        "the floor, and Triton's own extension. The rivals are started as their documentation has it, each with one "
        "process that computes; the service as its own has it, with one worker a core. CPU time a request tells "
        "them apart however many there are."
    )
    starts = table(
        ("seconds from the start of the process to the first answer", "median (quartiles)"),
        [(name, Samples(found).shown()) for name, found in results.starts.items()],
    )
    rates = figures_table("requests a second", results.rates, results.absent, shares_of_the_floor(results.rates))
    cpu = figures_table("ms of CPU a request, of all of a server's processes", results.cpu_ms, results.absent)
    plots = {"requests-per-second.svg": plot(results)}
    return Part("Over HTTP", [intro, rates, cpu, starts], goals(results), plots)


if __name__ == "__main__":
    sys.exit(run(measure))
