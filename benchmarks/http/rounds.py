"""Rounds in which every server takes its turn, and what they gave."""

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.http.columns import COLUMNS, Column
from benchmarks.http.dialects import Arrays, Dialect
from benchmarks.http.wrk import FailedRequestsError, Wrk
from benchmarks.report.samples import Samples
from benchmarks.rivals.running import AbsentError, Running, running
from benchmarks.rivals.servers import LOOPBACK, SERVERS, Server

WARMING_SECONDS = 1
Figures = dict[str, dict[str, list[float]]]
"""One a round, by server and column."""


def figures() -> Figures:
    """None yet."""
    return defaultdict(lambda: defaultdict(list))


@dataclass
class Results:
    """Requests a second, milliseconds of CPU a request, seconds of starts; and who is absent, and why."""

    rates: Figures = field(default_factory=figures)
    cpu_ms: Figures = field(default_factory=figures)
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    absent: dict[str, str] = field(default_factory=dict)

    def take_turn(self, server: Server, wrk: Wrk, seconds: int) -> None:
        """Start one server, and load each of its columns."""
        first = COLUMNS[0].questions(server.json)[0]
        with running(server, first) as served:
            self.starts[server.name].append(served.start_seconds)
            for column in COLUMNS:
                if dialect := column.dialect(server):
                    rate, cpu_ms = loaded(served, wrk, dialect, column.questions(dialect), seconds)
                    self.rates[server.name][column.name].append(rate)
                    self.cpu_ms[server.name][column.name].append(cpu_ms)
                    print(f"  {server.name}, {column.name}: {rate:.0f}/s", flush=True)

    def drop(self, server: Server, reason: str) -> None:
        """Leave a server out, for all rounds."""
        for figures_of_all in (self.rates, self.cpu_ms):
            figures_of_all.pop(server.name, None)
        self.absent[server.name] = reason
        print(f"  {server.name} is absent: {reason}", flush=True)

    def best_rival(self, column: Column) -> tuple[str, Samples] | None:
        """The fastest of those that a user would take instead."""
        found = [(each.name, samples(self.rates, each.name, column)) for each in SERVERS if each.is_rival]
        present = [(name, rates) for name, rates in found if rates]
        return max(present, key=lambda pair: pair[1].median, default=None)


def samples(of: Mapping[str, Mapping[str, list[float]]], server: str, column: Column) -> Samples | None:
    """The figures of a server in a column, if there are any."""
    found = of.get(server, {}).get(column.name)
    return Samples(found) if found else None


def loaded(served: Running, wrk: Wrk, dialect: Dialect, questions: list[Arrays], seconds: int) -> tuple[float, float]:
    """Requests a second and milliseconds of CPU a request, of answers that are as long as those that were right."""
    url, messages = f"http://{LOOPBACK}:{served.port}{dialect.path}", [dialect.ask(arrays) for arrays in questions]
    wrk.warm(url, messages, WARMING_SECONDS)
    body_bytes = [served.verify(dialect, arrays) for arrays in questions]  # the first waits for what is left of that
    before = served.cpu_seconds
    load = wrk.load(url, messages, seconds)
    if load.bytes_an_answer < min(body_bytes):
        raise FailedRequestsError("its answers under load are shorter than those that were right")
    return load.per_second, (served.cpu_seconds - before) / load.requests * 1e3


def take_rounds(rounds: int, seconds: int) -> Results:
    """Have every server take its turn in each round."""
    results = Results()
    with tempfile.TemporaryDirectory() as folder:
        wrk = Wrk(Path(folder))
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            shift = number * len(SERVERS) // rounds
            for server in SERVERS[shift:] + SERVERS[:shift]:
                if server.name in results.absent:
                    continue
                try:
                    results.take_turn(server, wrk, seconds)
                except (AbsentError, FailedRequestsError) as error:
                    results.drop(server, str(error))
    return results
