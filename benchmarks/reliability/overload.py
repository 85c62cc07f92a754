"""Goodput at four times the rate that can be borne, and what the calls beyond it are told."""

import json
import os
import socket
import statistics
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.figures import Verdict, percentile
from benchmarks.reliability.load import PATIENCE_SECONDS, OpenLoad, Tally, check, closed_load, run
from benchmarks.reliability.messages import Batch
from benchmarks.reliability.observed import FILE
from benchmarks.reliability.processes import cpu_seconds, resident_bytes
from benchmarks.reliability.service import Service, on_cores, running, separate_cores

CONNECTIONS, IDLE_CONNECTIONS = 16, 500
PEAK_SECONDS, OVERLOAD_SECONDS, ROUNDS, TIMES = 4.0, 10.0, 3, 4
MIB = 1024 * 1024
BUDGET_BYTES, OWN_BYTES = 256 * MIB, 150 * MIB
CALLS = {"256×1000 float32 safetensors": Batch(256, 1000).binary(), "32×10 JSON": Batch(32, 10).json()}


def ratio(numerator: float, denominator: float) -> float:
    """A quotient that is no number where nothing was measured."""
    return numerator / denominator if denominator else float("nan")


@dataclass(frozen=True)
class Stretch:
    """Some seconds of load."""

    tally: Tally
    seconds: float
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


def under(load: Coroutine[Any, Any, Tally], service: Service, seconds: float) -> Stretch:
    """Put the service under a load."""
    (worker,) = service.workers
    before = cpu_seconds(worker)
    tally = run(load)
    return Stretch(tally, seconds, cpu_seconds(worker) - before)


def peak(service: Service, data: bytes) -> Stretch:
    """Measure what can be borne: as much as a few connections ask for."""
    return under(closed_load(service.port, data, CONNECTIONS, PEAK_SECONDS), service, PEAK_SECONDS)


def overload(service: Service, data: bytes, rate: float) -> Stretch:
    """Offer some calls a second, whatever becomes of them."""
    return under(OpenLoad(service.port, data).run(rate, OVERLOAD_SECONDS), service, OVERLOAD_SECONDS)


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
    """Measure in turns."""
    before = peak(service, data)
    for _ in range(ROUNDS):
        found = overload(service, data, TIMES * before.rate)
        after = peak(service, data)
        yield Round(before, found, after)
        before = after


def refusal_seconds(service: Service, data: bytes, rate: float, file: Path) -> list[float]:
    """Overload once more, with a clock in the service; return how long its refusals took there."""
    run(OpenLoad(service.port, data).run(rate, OVERLOAD_SECONDS))
    found: list[float] = json.loads(file.read_text()) if file.exists() else []
    return found


def observe(name: str, data: bytes, rate: float, verdict: Verdict) -> None:
    """Measure refusals where they are made."""
    load_cores, service_cores = separate_cores()
    with tempfile.TemporaryDirectory() as folder, on_cores(load_cores):
        file = Path(folder) / "seconds"
        os.environ[FILE] = str(file)
        with running(cores=service_cores, module="benchmarks.reliability.observed") as service:
            check(service.port, data)
            seconds = refusal_seconds(service, data, rate, file)
    p50, p99 = (percentile(seconds, share) * 1e3 for share in (0.5, 0.99))
    verdict.want(
        f"{name}: refusals at the server, of {len(seconds)}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, wanted 10",
        met=p99 < 10,
    )


def main() -> int:
    """Print each round, then the figures of each kind of call."""
    verdict = Verdict()
    load_cores, service_cores = separate_cores()
    for name, data in CALLS.items():
        print(f"{name}:")
        settings = {"max_in_flight_bytes": BUDGET_BYTES}
        with on_cores(load_cores), running(settings, cores=service_cores) as service, ExitStack() as idle:
            for _ in range(IDLE_CONNECTIONS):
                idle.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            check(service.port, data)
            peak(service, data)
            measured = list(rounds(service, data))
            peak_bytes = resident_bytes(service.workers[0], "VmHWM")
        for each in measured:
            tell(each)
        judge(verdict, name, measured)
        verdict.want(
            f"{name}: memory {peak_bytes / MIB:.0f} MiB at the most, of {BUDGET_BYTES / MIB:.0f} for calls",
            met=peak_bytes <= BUDGET_BYTES + OWN_BYTES,
        )
        observe(name, data, TIMES * max(each.before.rate for each in measured), verdict)
    return verdict.close()


def tell(found: Round) -> None:
    """Print one round."""
    tally = found.overload.tally
    refusals, answers = tally.seconds.get(503, []), tally.seconds.get(200, [])
    print(
        f"  peak {found.before.rate:.0f}/s and {found.after.rate:.0f}/s; at {TIMES}×: good {found.overload.rate:.0f}/s "
        f"({found.share:.0%} by the clock, {found.share_by_cpu:.0%} by CPU time), "
        f"p50 {percentile(answers, 0.5) * 1e3:.0f} ms, p99 {percentile(answers, 0.99) * 1e3:.0f} ms; "
        f"refused p50 {percentile(refusals, 0.5) * 1e3:.1f} ms, p99 {percentile(refusals, 0.99) * 1e3:.1f} ms; "
        f"statuses {dict(tally.statuses)}, late {tally.late}, unsent {tally.unsent}, "
        f"malformed {tally.malformed_refusals}"
    )


def judge(verdict: Verdict, name: str, measured: list[Round]) -> None:
    """Compare with the bounds."""
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
