"""Put fuzzed requests to the application: `python -m tests.fuzz.calls --requests 1000000 --seed 1`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time

from tests.fuzz.calls.campaign import Outcome, run

BLOCK = 20_000
MAX_FINDINGS = 20

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--requests", type=int, default=10_000)
parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
parser.add_argument("--first", type=int, default=0, help="number of the first request, to see one of a run again")
chosen = parser.parse_args()

logging.disable()  # what fails is told as a finding
start, end = time.monotonic(), chosen.first + chosen.requests
print(f"seed {chosen.seed}, {chosen.requests} requests from number {chosen.first}", flush=True)
total = Outcome()
for first in range(chosen.first, end, BLOCK):
    outcome = run(chosen.seed, range(first, min(end, first + BLOCK)))
    for finding in outcome.findings:
        print(finding)
    total += outcome
    counts = ", ".join(f"{count} × {status}" for status, count in sorted(total.statuses.items()))
    print(f"{sum(total.statuses.values())} in {time.monotonic() - start:.0f} s: {counts}", flush=True)
    if len(total.findings) >= MAX_FINDINGS:
        break
print(f"{total.num_exact} of the 200 were also judged in arbitrary precision")
print(f"{len(total.findings)} found, seed {chosen.seed}" if total.findings else f"nothing found, seed {chosen.seed}")
sys.exit(bool(total.findings))
