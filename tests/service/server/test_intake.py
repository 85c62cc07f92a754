"""How much is read at a time: before a message is known, of a body that is wanted, and of one that is not."""

from __future__ import annotations

import pytest

from gradient_service.server.intake import LITTLE, MUCH, Intake
from gradient_service.server.repeating import RepeatingProtocol


class Speaker:
    """What speaks on a connection: it copies what it is told, as a parser does."""

    def __init__(self) -> None:
        self.wants_much = False
        self.place: memoryview | None = None
        self.received: list[bytes] = []
        self.ends: list[str] = []

    def data_received(self, data: memoryview) -> None:
        """Keep what has arrived."""
        self.received.append(bytes(data))

    def connection_lost(self, _: Exception | None) -> None:
        """Note the end."""
        self.ends.append("told")


@pytest.fixture
def speaker() -> Speaker:
    """One that expects a head."""
    return Speaker()


@pytest.fixture
def intake(speaker: Speaker) -> Intake:
    """What reads for it."""
    stands_for: RepeatingProtocol = speaker  # type: ignore[assignment]  # it has what is asked for
    return Intake(stands_for, lambda: speaker.ends.append("counted"))


def test_much_is_read_only_of_what_is_wanted(speaker: Speaker, intake: Intake) -> None:
    """A head, and a body that nobody reads, are read in small parts, so that little is copied in vain."""
    assert len(intake.get_buffer(-1)) == len(LITTLE)
    speaker.wants_much = True
    assert len(intake.get_buffer(-1)) == len(MUCH)


def test_what_has_arrived_is_passed_on(speaker: Speaker, intake: Intake) -> None:
    """What arrives is passed on before anything else is read into the same memory, and no more."""
    for part in (b"first", b"2nd"):
        intake.get_buffer(-1)[: len(part)] = part
        intake.buffer_updated(len(part))
    assert speaker.received == [b"first", b"2nd"]


def test_an_end_is_told_and_counted_once(speaker: Speaker, intake: Intake) -> None:
    """The end of a connection reaches what speaks on it, and who counts."""
    intake.connection_lost(None)
    assert sorted(speaker.ends) == ["counted", "told"]
