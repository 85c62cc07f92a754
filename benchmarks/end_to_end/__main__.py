"""What callers and operators notice: a call of the client, memory, health beside large bodies, starts.

`python -m benchmarks.end_to_end [--quick]` prints each figure with its bound.
"""

import sys

from benchmarks.end_to_end import memory, sdk, starts
from benchmarks.liveness import BODIES, WANTED_LONGEST_MS, WANTED_P99_MS, beside
from benchmarks.reliability.figures import percentile
from benchmarks.reliability.service import running
from benchmarks.report.part import Goal, Part, run

SECONDS, QUICK_SECONDS = 20.0, 2.0
STARTS, QUICK_STARTS = 9, 3
QUICK_BODIES = ("long numbers", "rows of one number")


def health(kinds: tuple[str, ...], seconds: float) -> list[Goal]:
    """How long `/livez` takes beside bodies of the largest size: the worst kind."""
    found = {}
    with running() as service:
        for kind in kinds:
            found[kind] = beside(service.port, BODIES[kind](), seconds).questions
    goals = []
    for what, share, wanted in (("99th percentile", 0.99, WANTED_P99_MS), ("longest", 1.0, WANTED_LONGEST_MS)):
        figures = {kind: percentile(each, share) for kind, each in found.items()}
        worst = max(figures, key=figures.__getitem__)
        text = f"{figures[worst]:.1f} ms, beside {worst}"
        title = f"`/livez` beside 16 MiB of JSON, {len(kinds)} kinds, {what}"
        goals.append(Goal(title, f"< {wanted:.0f} ms", text, figures[worst] < wanted))
    return goals


def measure(quick: bool) -> Part:  # noqa: FBT001 - the one choice that there is
    """Measure each."""
    sdk_goals, sdk_table = sdk.measure(QUICK_SECONDS if quick else SECONDS)
    goals = [
        *sdk_goals,
        *memory.measure(),
        *(health(QUICK_BODIES, QUICK_SECONDS) if quick else health(tuple(BODIES), SECONDS)),
        *starts.measure(QUICK_STARTS if quick else STARTS),
    ]
    intro = (
        "A call of the client has NumPy arrays in and out. One bare socket sends the same request to the same service, "
        "ready made, and reads the reply without a look at it; behind the other is a process that reads and sends as "
        "many bytes and computes nothing. Memory is that of the worker and of what it starts, above its idle state, "
        "looked at a hundred times a second."
    )
    return Part("End to end", [intro, sdk_table], goals)


if __name__ == "__main__":
    sys.exit(run(measure))
