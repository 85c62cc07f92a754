"""What is counted of all requests, as Prometheus reads it: added up over the workers of one service.

Labels are routes, statuses and slugs written in the code, never what a caller sends: their number is bounded.
"""

import os
from asyncio import create_task, sleep
from bisect import bisect_left
from collections import Counter as Multiset
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from gradient_service.http.admission import Admission
from gradient_service.http.request_log import Fields, Told
from gradient_service.http.timing import SHOWN, StageTiming
from gradient_service.schemas.problem import Slug

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names where the workers of one service count together; a process that is alone counts in its own memory."""
PREFIX = "gradient_service"
NO_ROUTE = "none"
"""Of requests for paths that there are not, and of what could not be read as a request."""
NO_STATUS = "none"
"""Of requests whose callers left before the answer."""
LOOK_SECONDS = 0.5
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class BatchHistogram(Histogram):
    """A histogram that is told many values at once, and writes each number that they change once."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe each of some values."""
        self._sum.inc(sum(amounts))
        for place, number in Multiset([bisect_left(self._upper_bounds, amount) for amount in amounts]).items():
            self._buckets[place].inc(number)


class OfRequest(NamedTuple):
    """What counts requests with the same labels."""

    requests: Counter
    refusals: Counter | None
    seconds: BatchHistogram
    request_bytes: Counter
    reply_bytes: Counter


class Metrics:
    """The counts of one process, and the sight of all.

    Args:
        admission: knows how much memory the calls under way take.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.registry = own = CollectorRegistry()
        """Of what this process counts; who counts something else adds it."""
        self._requests = Counter(
            f"{PREFIX}_requests", "Requests that ended, by their status.", ["route", "status"], registry=own
        )
        self._refusals = Counter(
            f"{PREFIX}_refusals", "Requests answered with a problem, by its slug.", ["route", "slug"], registry=own
        )
        self._request_bytes = Counter(f"{PREFIX}_request_bytes", "Bytes of bodies received.", ["route"], registry=own)
        self._reply_bytes = Counter(f"{PREFIX}_reply_bytes", "Bytes of bodies sent.", ["route"], registry=own)
        self._seconds = BatchHistogram(
            f"{PREFIX}_request_duration_seconds",
            "From the head of a request to the end of its reply.",
            ["route"],
            buckets=SECONDS,
            registry=own,
        )
        self._stage_seconds = BatchHistogram(
            f"{PREFIX}_stage_duration_seconds",
            "Of a call that was answered, by the kind of its body.",
            ["route", "dialect", "stage"],
            buckets=SECONDS,
            registry=own,
        )
        self._in_flight = Gauge(
            f"{PREFIX}_in_flight_bytes",
            "Memory that is reserved for the calls under way.",
            registry=own,
            multiprocess_mode="livesum",
        )

        # The library finds the counters of some labels anew each time, which takes longer than to count.
        self._of_request = cache(self._find_of_request)
        self._of_stages = cache(self._find_of_stages)

    def count(self, told: Sequence[Told]) -> None:
        """Count requests by what the log says of them, and the stages of those that were answered."""
        requests, stages = defaultdict[Any, list[Fields]](list), defaultdict[Any, list[StageTiming]](list)
        for fields, timing in told:
            route, status = fields.get("route", NO_ROUTE), fields.get("status", NO_STATUS)
            requests[route, status, fields.get("problem")].append(fields)
            if timing is not None and status == HTTPStatus.OK:
                stages[route, timing.dialect].append(timing)
        for labels, alike in requests.items():
            counters = self._of_request(*labels)
            self._count_requests([fields["duration_ms"] for fields in alike], counters)
            for counter, name in ((counters.request_bytes, "bytes_in"), (counters.reply_bytes, "bytes_out")):
                counted = sum(fields.get(name, 0) for fields in alike)
                if counted:
                    counter.inc(counted)
        for labels, timings in stages.items():
            for stage, seconds in self._of_stages(*labels):
                seconds.observe_all([timing.stages.get(stage, 0) / 1e9 for timing in timings])

    def count_refused(self, milliseconds: Sequence[float]) -> None:
        """Count calls that there was no room for, and that were not read, by how long each took."""
        self._count_requests(milliseconds, self._of_request(NO_ROUTE, HTTPStatus.SERVICE_UNAVAILABLE, Slug.OVERLOADED))

    def _count_requests(self, milliseconds: Sequence[float], counters: OfRequest) -> None:
        counters.requests.inc(len(milliseconds))
        counters.seconds.observe_all([each / 1000 for each in milliseconds])
        if counters.refusals is not None:
            counters.refusals.inc(len(milliseconds))

    def _find_of_request(self, route: str, status: int | str, slug: str | None) -> OfRequest:
        return OfRequest(
            self._requests.labels(route, status),
            None if slug is None else self._refusals.labels(route, slug),
            self._seconds.labels(route),
            self._request_bytes.labels(route),
            self._reply_bytes.labels(route),
        )

    def _find_of_stages(self, route: str, dialect: str) -> list[tuple[str, BatchHistogram]]:
        return [(stage, self._stage_seconds.labels(route, dialect, stage)) for stage in SHOWN]

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Note again and again how much memory the calls under way take; another worker may be asked for it."""
        looking = create_task(self._look_again())
        try:
            yield
        finally:
            looking.cancel()

    async def _look_again(self) -> None:
        while True:
            self._look()
            await sleep(LOOK_SECONDS)

    def _look(self) -> None:
        self._in_flight.set(self._admission.in_flight_bytes)

    async def metrics(self, request: Request) -> Response:
        """Answer the counts of all workers, as Prometheus reads them."""
        self._look()
        return Response(generate_latest(self.everyone()), media_type=MEDIA_TYPE)

    def everyone(self) -> CollectorRegistry:
        """Return what all workers count, added up."""
        if FOLDER not in os.environ:
            return self.registry
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]  # the library has few types here
        return everyone
