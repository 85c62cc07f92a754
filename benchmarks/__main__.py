"""`make bench`: speed and memory of everything that has a ratio to reach, in one run, into benchmarks/README.md.

Each part has a process of its own, so that what one of them imports slows no other. The exit code is 0 where
everything could be measured; verdicts are printed and written, and missed ones are no fault of the run.
"""

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

from benchmarks.report import machine, page
from benchmarks.report.part import measured

PARTS = ("core", "http", "end_to_end")


def main() -> None:
    """Measure, print the verdicts, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few rounds: for a look, not for the record")
    quick: bool = parser.parse_args().quick
    begun, where, parts = time.monotonic(), machine.described(quick=quick), []
    for name in PARTS:
        print(f"{name}:", flush=True)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            parts.append(pool.submit(measured, name, quick).result())
    minutes = (time.monotonic() - begun) / 60
    texts = [f"Measured in one run of {minutes:.0f} minutes. {where}", *(part.text for part in parts)]
    page.write("bench", "\n\n".join(texts), {name: svg for part in parts for name, svg in part.plots.items()})
    for goal in (goal for part in parts for goal in part.goals):
        print(f"{goal.verdict.strip('*'):8}{goal.what}: {goal.found}, wanted {goal.wanted}")


if __name__ == "__main__":
    main()
