"""Calls with headers that settled the same before, answered from their bodies, together where alike."""

from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import NamedTuple

from gradient_service import operations
from gradient_service.http.admission import Reservation
from gradient_service.http.calls import INLINE_REPLY_BYTES, Call, Progress, Settled, Started
from gradient_service.http.exchange import Written, dialect_of
from gradient_service.http.patience import Patience
from gradient_service.http.timing import StageTiming
from gradient_service.wire.tensor_codec import Buffer

WORK_TOGETHER = 4 * INLINE_REPLY_BYTES
"""Of the calls of one turn; their bodies alone may tell little of it."""


class Repeated(NamedTuple):
    """What differs between calls with the same headers."""

    body: Buffer
    seconds_left: float
    """Until the caller's deadline."""


class Answer(NamedTuple):
    """The reply to one of them, and how long its stages took."""

    written: Written
    timing: StageTiming


def answered(settled: Settled, calls: Sequence[Repeated]) -> list[Answer | None]:
    """Return the answers to calls; None for those that have to take the way of all others.

    These are large computations, those beyond what is done in one turn, and whatever is wrong, for which there is one
    place to be told.
    """
    answers: list[Answer | None] = [None] * len(calls)
    left = WORK_TOGETHER
    reservation = Reservation(settled.call.admission)
    try:
        kinds: dict[Hashable, list[tuple[int, Started]]] = {}
        for place, each in enumerate(calls):
            with suppress(Exception):  # whatever it is, the other way comes upon it again
                started = _started(settled, each, reservation)
                work = started.reading.work
                if work <= min(INLINE_REPLY_BYTES, left):
                    left -= work
                    kind = started.reading.bytes_per_number, operations.kind_of(started.request)
                    kinds.setdefault(kind, []).append((place, started))
        for alike in kinds.values():
            found = _performed(settled.call, [started for _, started in alike])
            for (place, started), written in zip(alike, found, strict=True):
                if written is not None:
                    timing = started.progress.timing
                    answers[place] = Answer(written, timing)
                    settled.call.succeeded(timing)
    finally:
        reservation.release()
    return answers


def _started(settled: Settled, repeated: Repeated, reservation: Reservation) -> Started:
    """Read a body, its memory added to what is reserved for all."""
    exchange = settled.exchange
    patience = Patience(repeated.seconds_left)
    progress = Progress(StageTiming(), patience, reservation)
    progress.timing.dialect = dialect_of(exchange)
    progress.end("read")
    body = repeated.body if exchange.is_binary else bytes(repeated.body)
    content = exchange.content(body, patience.check)
    reservation.add(len(body) + exchange.hasty_decoding_bytes(content))
    reading = exchange.read_hastily(content, patience.check)
    progress.end_parsing(reading)
    return Started(reading, progress)


def _performed(call: Call, alike: Sequence[Started]) -> Sequence[Written | None]:
    """Return the replies to calls that are alike; None to those that fail by themselves."""
    try:
        return call.perform(alike)
    except Exception:  # noqa: BLE001 - as above
        return [None] if len(alike) == 1 else [_performed(call, [each])[0] for each in alike]
