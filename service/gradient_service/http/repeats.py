"""Calls with headers that settled the same before, answered from their bodies, together where alike."""

from collections.abc import Hashable, Sequence
from contextlib import ExitStack, suppress
from typing import NamedTuple

from gradient_service import operations
from gradient_service.http.admission import Reservation
from gradient_service.http.body import PartsResponse
from gradient_service.http.calls import INLINE_ELEMENTS, Call, Progress, Settled, Started
from gradient_service.http.patience import Patience
from gradient_service.http.timing import StageTiming
from gradient_service.wire.tensor_codec import Buffer


class Repeated(NamedTuple):
    """What differs between calls with the same headers."""

    body: Buffer
    seconds_left: float
    """Until the caller's deadline."""


def answered(settled: Settled, calls: Sequence[Repeated]) -> list[PartsResponse | None]:
    """Return the replies to calls; None for those that have to take the way of all others.

    These are large computations, and whatever is wrong, for which there is one place to be told.
    """
    responses: list[PartsResponse | None] = [None] * len(calls)
    with ExitStack() as held:
        kinds: dict[Hashable, list[tuple[int, Started]]] = {}
        for place, each in enumerate(calls):
            with suppress(Exception):  # whatever it is, the other way comes upon it again
                started = _started(settled, each, held)
                if operations.num_elements(started.request) <= INLINE_ELEMENTS:
                    kinds.setdefault(operations.kind_of(started.request), []).append((place, started))
        for alike in kinds.values():
            found = _performed(settled.call, [started for _, started in alike])
            for (place, started), response in zip(alike, found, strict=True):
                responses[place] = response
                if response is not None:
                    settled.call.succeeded(settled, started.progress.timing)
    return responses


def _started(settled: Settled, repeated: Repeated, held: ExitStack) -> Started:
    """Read a body, its memory reserved until what is held is given back."""
    exchange = settled.exchange
    patience = Patience(repeated.seconds_left)
    progress = Progress(StageTiming(), patience, Reservation(settled.call.admission))
    held.callback(progress.reservation.release)
    progress.end("read")
    body = repeated.body if exchange.is_binary else bytes(repeated.body)
    content = exchange.content(body, patience.check)
    progress.reservation.hold(len(body) + exchange.decoding_bytes(content))
    reading = exchange.read(content, patience.check)
    progress.end("parse")
    return Started(reading, progress)


def _performed(call: Call, alike: Sequence[Started]) -> Sequence[PartsResponse | None]:
    """Return the replies to calls that are alike; None to those that fail by themselves."""
    try:
        return call.perform(alike)
    except Exception:  # noqa: BLE001 - as above
        return [None] if len(alike) == 1 else [_performed(call, [each])[0] for each in alike]
