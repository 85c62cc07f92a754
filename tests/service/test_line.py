"""The line of calls that the event loop has not come to: their order, and how long it may get."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from gradient_service.http import line as line_module
from gradient_service.http.line import (
    FIRST_SECONDS,
    LONG_TURN_SECONDS,
    MAX_WAITING,
    MEMORY,
    PATIENCE_SECONDS,
    SHORT_SECONDS,
    STANDING_BYTES,
    TURN_SECONDS,
    WAITING_SECONDS,
    Line,
)


class Rounds:
    """The rounds of an event loop, on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.line = Line()
        self.now = 0.0
        self.begun: list[int] = []
        self._next: list[Callable[[], None]] = []
        monkeypatch.setattr(line_module, "monotonic", lambda: self.now)

    def join(
        self, number: int, begin: Callable[[list[int]], None] | None = None, share: float = 1.0, num_bytes: int = 0
    ) -> None:
        """Have a call join the line, begun by a function of its own if none is given."""
        self.line.join(begin or partial(self.begun.extend), number, self._next.append, share, num_bytes)

    def turn(self, seconds: float = 0.0) -> None:
        """Go through one round, which takes some time."""
        self.now += seconds
        called, self._next[:] = self._next[:], []
        for call in called:
            call()

    def long_turn(self, seconds: float) -> None:
        """Go through a round that takes some time, and where no call begins in it, one more that takes none."""
        num_begun = len(self.begun)
        self.turn(seconds)
        if len(self.begun) == num_begun:
            self.turn()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """The rounds of a loop with nothing to do."""
    return Rounds(monkeypatch)


def test_a_call_behind_no_other_begins_in_the_next_round(rounds: Rounds) -> None:
    """Nobody waits for more than one round where nobody is before them, neither at first nor after the line's end."""
    for number in (1, 2):
        rounds.join(number)
        assert rounds.begun == [*range(1, number)]
        rounds.turn()
        assert rounds.begun == [*range(1, number + 1)]
        rounds.turn()


def test_after_a_long_turn_the_others_have_a_round(rounds: Rounds) -> None:
    """Who arrived during a long turn has been read in the round after it, and is answered before the next one."""
    for number in range(2):
        rounds.join(number, lambda _, number=number: rounds.begun.append(number))  # type: ignore[misc]  # a default
    rounds.turn()
    rounds.turn(seconds=LONG_TURN_SECONDS)
    assert rounds.begun == [0]
    rounds.turn()
    assert rounds.begun == [0, 1]


def test_one_call_begins_in_each_round(rounds: Rounds) -> None:
    """Calls begin in the order in which they came, with a round of the event loop between any two."""
    for number in range(4):
        rounds.join(number)
    rounds.turn()
    assert rounds.begun == [0]
    rounds.turn()
    assert rounds.begun == [0, 1]
    rounds.join(4)
    for _ in range(4):
        rounds.turn()
    assert rounds.begun == [0, 1, 2, 3, 4]


def test_calls_that_the_same_function_begins_are_begun_together(rounds: Rounds) -> None:
    """Those one behind the other are, in their order, as their shares have room; another call parts them."""
    shared: list[list[int]] = []
    begin = shared.append
    for number, share in enumerate([0.25, 0.25, 0.25, 0.25, 0.5, 0.75, 3.0, 0.25]):
        rounds.join(number, begin, share)
    rounds.join(100)
    rounds.join(101, begin, 0.25)
    rounds.turn()
    assert shared == [[0, 1, 2, 3], [4], [5], [6], [7]]
    rounds.turn()
    assert rounds.begun == [100]
    rounds.turn()
    assert shared[5:] == [[101]]


@pytest.mark.parametrize(("seconds", "number"), [(0.0, 9), (0.3, 4), (0.5, 2), (1.0, 1), (2.0, 1)])
def test_a_turn_goes_on_until_it_has_taken_its_time(seconds: float, number: int, rounds: Rounds) -> None:
    """Calls of the same function begin one after the other, none after that; the next turn goes on with them."""

    def begin(calls: list[int]) -> None:
        rounds.begun.extend(calls)
        rounds.now += seconds * TURN_SECONDS

    for each in range(9):
        rounds.join(each, begin)
    rounds.turn()
    assert rounds.begun == [*range(number)]
    rounds.turn()
    rounds.turn()
    assert rounds.begun == [*range(min(2 * number, 9))]


def test_a_call_that_fails_does_not_hold_up_the_line(rounds: Rounds) -> None:
    """Those behind it have their turns."""

    def fail(_: list[int]) -> None:
        raise RuntimeError

    rounds.join(1, fail)
    rounds.join(2)
    with pytest.raises(RuntimeError):
        rounds.turn()
    rounds.turn()
    assert rounds.begun == [2]


def test_calls_that_share_a_turn_share_its_time(rounds: Rounds) -> None:
    """What a turn takes is counted for each of its calls, not for all of them again."""
    begin = rounds.begun.extend
    for number in range(2 * MAX_WAITING):
        rounds.join(number, begin, 1 / 16)
    for _ in range(MAX_WAITING // 16 + 1):
        rounds.long_turn(16 * WAITING_SECONDS / (2 * MAX_WAITING))
    assert not rounds.line.turns_away()


@pytest.mark.parametrize(("number", "is_long"), [(40, False), (41, True)])
def test_a_line_is_long_by_the_time_that_it_takes(number: int, is_long: bool, rounds: Rounds) -> None:
    """Of calls that take a little less than a fortieth of the longest wait, forty may wait, and no more."""
    for each in range(MAX_WAITING):
        rounds.join(each)
    for _ in range(MAX_WAITING - number):
        rounds.long_turn(WAITING_SECONDS / 40.5)
    assert rounds.line.turns_away() is is_long


def test_a_line_is_long_by_number_too(rounds: Rounds) -> None:
    """However short calls are, no more wait than have their bodies kept."""
    for number in range(10 * MEMORY):
        rounds.join(number)
        rounds.turn()
    for number in range(MAX_WAITING - 1):
        rounds.join(number)
    assert not rounds.line.turns_away()
    rounds.join(MAX_WAITING)
    assert rounds.line.turns_away()


def test_many_at_once_may_be_the_first(rounds: Rounds) -> None:
    """Before it is known how long calls take, fewer may wait than if they took no time."""
    for number in range(MAX_WAITING):
        if rounds.line.turns_away():
            break
        rounds.join(number)
    assert number == WAITING_SECONDS / FIRST_SECONDS + 1


def test_time_without_calls_does_not_count(rounds: Rounds) -> None:
    """A loop that had nothing to do for long is no slow one."""
    rounds.join(1)
    rounds.turn()
    rounds.turn()
    rounds.now += 100 * MEMORY * WAITING_SECONDS
    for number in range(3):
        rounds.join(number)
    assert not rounds.line.turns_away()


@pytest.mark.parametrize(("waited", "most"), [(0.0, 40), (0.3, 40), (0.45, 32), (0.75, 8), (0.85, 0), (2.0, 0)])
def test_who_has_waited_joins_a_shorter_line(waited: float, most: int, rounds: Rounds) -> None:
    """Whoever would be answered too late, with what they have waited before, is turned away, but where none waits."""
    for each in range(MAX_WAITING):
        rounds.join(each)
    for _ in range(MAX_WAITING - 41):
        rounds.long_turn(WAITING_SECONDS / 40.5)
    left = 41
    while rounds.line.turns_away(waited):
        rounds.long_turn(WAITING_SECONDS / 40.5)
        left -= 1
    assert left == most


def test_a_short_line_is_short_by_the_time_that_it_takes(rounds: Rounds) -> None:
    """Of calls that take a little less than a tenth of what is short, ten are, and no more."""
    for each in range(MAX_WAITING):
        rounds.join(each)
    for _ in range(MAX_WAITING - 11):
        rounds.long_turn(SHORT_SECONDS / 10.5)
    assert not rounds.line.is_short
    rounds.long_turn(SHORT_SECONDS / 10.5)
    assert rounds.line.is_short


def test_a_line_that_turned_a_call_away_stands_until_none_waits(rounds: Rounds) -> None:
    """It is remembered for as long as others wait."""
    for number in range(2):
        rounds.join(number)
    seen = [rounds.line.is_standing]
    rounds.line.turns_away(PATIENCE_SECONDS)
    for _ in range(4):
        seen.append(rounds.line.is_standing)
        rounds.turn()
    assert seen == [False, True, True, True, False]


def test_since_a_call_was_turned_away_fewer_bytes_wait(rounds: Rounds) -> None:
    """More may wait where all find room; where one did not, no more than some, until none waits."""
    half = STANDING_BYTES // 2
    for number in range(4):
        rounds.join(number, num_bytes=half)
    assert not rounds.line.turns_away()
    assert rounds.line.turns_away(PATIENCE_SECONDS)
    assert rounds.line.turns_away()
    rounds.turn()
    rounds.turn()
    assert not rounds.line.turns_away()
    rounds.join(4, num_bytes=half)
    assert rounds.line.turns_away()
    for _ in range(4):
        rounds.turn()
    for number in range(5, 9):
        rounds.join(number, num_bytes=half)
    assert not rounds.line.turns_away()
