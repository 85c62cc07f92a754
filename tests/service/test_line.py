"""The line of calls that the event loop has not come to: their order, and how long it may get."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gradient_service.http import line as line_module
from gradient_service.http.line import MAX_WAITING, MEMORY, WAITING_SECONDS, Line


class Rounds:
    """The rounds of an event loop, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.line = Line()
        self.now = 0.0
        self.begun: list[int] = []
        self._next: list[Callable[[], None]] = []
        monkeypatch.setattr(line_module, "monotonic", lambda: self.now)

    def join(self, number: int) -> None:
        """Have a call join the line."""
        self.line.join(lambda: self.begun.append(number), self._next.append)

    def turn(self, seconds: float = 0.0) -> None:
        """Go through one round, which takes some time."""
        self.now += seconds
        called, self._next[:] = self._next[:], []
        for call in called:
            call()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """The rounds of a loop with nothing to do."""
    return Rounds(monkeypatch)


def test_a_call_behind_no_other_begins_at_once(rounds: Rounds) -> None:
    """Nobody waits for a round where nobody is before them, neither at first nor once the line has ended."""
    rounds.join(1)
    assert rounds.begun == [1]
    rounds.turn()
    rounds.join(2)
    assert rounds.begun == [1, 2]


def test_one_call_begins_in_each_round(rounds: Rounds) -> None:
    """Calls begin in the order in which they came, with a round of the event loop between any two."""
    for number in range(4):
        rounds.join(number)
    assert rounds.begun == [0]
    rounds.turn()
    assert rounds.begun == [0, 1]
    rounds.join(4)
    for _ in range(4):
        rounds.turn()
    assert rounds.begun == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("number", "is_long"), [(40, False), (41, True)])
def test_a_line_is_long_by_the_time_that_it_takes(number: int, is_long: bool, rounds: Rounds) -> None:
    """Of calls that take a little less than a fortieth of the longest wait, forty may wait, and no more."""
    for each in range(MAX_WAITING):
        rounds.join(each)
    for _ in range(MAX_WAITING - 1 - number):
        rounds.turn(WAITING_SECONDS / 40.5)
    assert rounds.line.is_long is is_long


def test_a_line_is_long_by_number_too(rounds: Rounds) -> None:
    """However short calls are, no more wait than have their bodies kept."""
    for number in range(MAX_WAITING):
        rounds.join(number)
    assert not rounds.line.is_long
    rounds.join(MAX_WAITING)
    assert rounds.line.is_long


def test_time_without_calls_does_not_count(rounds: Rounds) -> None:
    """A loop that had nothing to do for long is no slow one."""
    rounds.join(1)
    rounds.turn()
    rounds.now += 100 * MEMORY * WAITING_SECONDS
    for number in range(3):
        rounds.join(number)
    assert not rounds.line.is_long
