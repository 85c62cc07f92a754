"""Goodput at four times the rate that can be borne, and what the calls beyond it are told."""

import os
import socket
import statistics
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.reliability.figures import Verdict, percentile
from benchmarks.reliability.load import PATIENCE_SECONDS, OpenLoad, Tally, check, closed_load, run
from benchmarks.reliability.messages import Batch
from benchmarks.reliability.observed import FILE, noted_seconds
from benchmarks.reliability.processes import cpu_seconds, resident_bytes
from benchmarks.reliability.service import Service, on_cores, running, separate_cores

CONNECTIONS, IDLE_CONNECTIONS = 16, 500
PEAK_SECONDS, STEP_SECONDS, TIMES = 3.0, 4.0, 4
OVERLOAD_SECONDS = 6 * (30.0,)
"""Some stretches: a machine that others use may change its speed by half within a minute.

In shorter ones much of the time goes to opening the load's connections, in 6 seconds a fifth.
"""
STEPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)
"""Shares of the peak that are tried, in turn, until one can be borne."""
BORNE = 0.99
"""A rate is borne where this share of its calls is answered in time."""
MIB = 1024 * 1024
BUDGET_BYTES, OWN_BYTES = 256 * MIB, 150 * MIB
CALLS = {
    "512×1000 float32 safetensors": Batch(512, 1000).binary(),  # computed in threads
    "256×1000 float32 safetensors": Batch(256, 1000).binary(),
    "32×10 JSON": Batch(32, 10).json(),
}


def ratio(numerator: float, denominator: float) -> float:
    """A quotient that is no number where nothing was measured."""
    return numerator / denominator if denominator else float("nan")


@dataclass(frozen=True)
class Stretch:
    """Some seconds of load."""

    tally: Tally
    seconds: float
    """Until its end, or until what waited then has been answered too."""
    cpu_seconds: float
    """What the worker used of them."""

    @property
    def good(self) -> int:
        """Answers that came in time."""
        return sum(seconds <= PATIENCE_SECONDS for seconds in self.tally.seconds.get(200, []))

    @property
    def rate(self) -> float:
        """Good answers a second by the clock."""
        return self.good / self.seconds

    @property
    def rate_by_cpu(self) -> float:
        """Good answers a second of CPU time, which other processes do not change."""
        return ratio(self.good, self.cpu_seconds)

    @property
    def core_share(self) -> float:
        """How much of a core the worker had; less than all of it where other processes wanted it too."""
        return self.cpu_seconds / self.seconds


def under(load: Coroutine[Any, Any, Tally], service: Service, seconds: float) -> Stretch:
    """Put the service under a load."""
    (worker,) = service.workers
    before, begun_at = cpu_seconds(worker), perf_counter()
    tally = run(load)
    return Stretch(tally, max(seconds, tally.answered_at - begun_at), cpu_seconds(worker) - before)


def peak(service: Service, data: bytes) -> Stretch:
    """Measure the most that is answered: as much as a few connections ask for."""
    return under(closed_load(service.port, data, CONNECTIONS, PEAK_SECONDS), service, PEAK_SECONDS)


def at_rate(service: Service, data: bytes, rate: float, seconds: float) -> Stretch:
    """Offer some calls a second, whatever becomes of them."""
    return under(OpenLoad(service.port, data).run(rate, seconds), service, seconds)


def sustainable_rate(service: Service, data: bytes, peak_rate: float) -> float:
    """Find the most calls a second by the clock that are answered in time."""
    for share in STEPS:
        rate = share * peak_rate
        if at_rate(service, data, rate, STEP_SECONDS).rate >= BORNE * rate:
            break
    return rate


@dataclass(frozen=True)
class Round:
    """An overload between two measurements of the peak."""

    before: Stretch
    overload: Stretch
    after: Stretch

    @property
    def share(self) -> float:
        """Goodput of that at the peak, by the clock."""
        return ratio(2 * self.overload.rate, self.before.rate + self.after.rate)

    @property
    def share_by_cpu(self) -> float:
        """The same by CPU time."""
        return ratio(2 * self.overload.rate_by_cpu, self.before.rate_by_cpu + self.after.rate_by_cpu)


def rounds(service: Service, data: bytes) -> Iterator[Round]:
    """Measure in turns, and print each."""
    before = peak(service, data)
    sustainable = sustainable_rate(service, data, before.rate)
    print(f"  sustained {sustainable:.0f}/s")
    for seconds in OVERLOAD_SECONDS:
        found = at_rate(service, data, TIMES * sustainable, seconds)
        after = peak(service, data)
        measured = Round(before, found, after)
        tell(measured)
        yield measured
        before = after


@dataclass(frozen=True)
class Found:
    """What was found of one kind of call."""

    rounds: list[Round]
    peak_bytes: int
    refusal_seconds: Sequence[float]
    """How long each refusal took at the server."""


def measure(data: bytes) -> Found:
    """Serve on one core, with a clock in the protocol, and put it under load from another."""
    load_cores, service_cores = separate_cores()
    settings = {"max_in_flight_bytes": BUDGET_BYTES}
    with tempfile.TemporaryDirectory() as folder, on_cores(load_cores):
        notes = Path(folder) / "seconds"
        os.environ[FILE] = str(notes)
        module = "benchmarks.reliability.observed"
        with running(settings, cores=service_cores, module=module) as service, ExitStack() as idle:
            for _ in range(IDLE_CONNECTIONS):
                idle.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            check(service.port, data)
            peak(service, data)
            measured = list(rounds(service, data))
            peak_bytes = resident_bytes(service.workers[0], "VmHWM")
        return Found(measured, peak_bytes, noted_seconds(notes))


def main() -> int:
    """Print the rounds, then the figures, of each kind of call."""
    verdict = Verdict()
    for name, data in CALLS.items():
        print(f"{name}:")
        judge(verdict, name, measure(data))
    return verdict.close()


def tell(found: Round) -> None:
    """Print one round."""
    load, tally = found.overload, found.overload.tally
    refusals, answers = tally.seconds.get(503, []), tally.seconds.get(200, [])
    print(
        f"  peak {found.before.rate:.0f}/s and {found.after.rate:.0f}/s; "
        f"at {TIMES}× for {load.seconds:.0f} s: good {load.rate:.0f}/s "
        f"({found.share:.0%} by the clock, {found.share_by_cpu:.0%} by CPU time), "
        f"p50 {percentile(answers, 0.5) * 1e3:.0f} ms, p99 {percentile(answers, 0.99) * 1e3:.0f} ms; "
        f"refused p50 {percentile(refusals, 0.5) * 1e3:.1f} ms, p99 {percentile(refusals, 0.99) * 1e3:.1f} ms; "
        f"statuses {dict(tally.statuses)}, late {tally.late}, unsent {tally.unsent}, "
        f"malformed {tally.malformed_refusals}; "
        f"the worker had {found.before.core_share:.0%}, {load.core_share:.0%} and {found.after.core_share:.0%} "
        f"of its core, the load was {tally.behind * 1e3:.0f} ms behind at the most"
    )


def judge(verdict: Verdict, name: str, found: Found) -> None:
    """Compare with the bounds."""
    measured = found.rounds
    share = statistics.median(each.share for each in measured)
    by_cpu = statistics.median(each.share_by_cpu for each in measured)
    verdict.want(
        f"{name}: goodput {share:.0%} of peak, {by_cpu:.0%} by CPU time, wanted 90 %", met=max(share, by_cpu) >= 0.9
    )
    tallies = [stretch.tally for each in measured for stretch in (each.before, each.overload, each.after)]
    unlike = sum(tally.malformed_refusals for tally in tallies)
    verdict.want(f"{name}: {unlike} refusals without problem or Retry-After", met=unlike == 0)
    refused = sum(each.before.tally.statuses[503] + each.after.tally.statuses[503] for each in measured)
    verdict.want(f"{name}: {refused} refused at the peak, beside {IDLE_CONNECTIONS} idle connections", met=refused == 0)
    seconds = found.refusal_seconds
    p50, p99 = (percentile(seconds, share) * 1e3 for share in (0.5, 0.99))
    verdict.want(
        f"{name}: refusals at the server, of {len(seconds)}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, wanted 10",
        met=p99 < 10,
    )
    verdict.want(
        f"{name}: memory {found.peak_bytes / MIB:.0f} MiB at the most, of {BUDGET_BYTES / MIB:.0f} for calls",
        met=found.peak_bytes <= BUDGET_BYTES + OWN_BYTES,
    )
