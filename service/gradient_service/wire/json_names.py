"""The names in a JSON text that is read piece by piece: those of the open objects, and the first one given twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gradient_service.wire.json_pieces import BEGUN, GOES_ON, Piece
from gradient_service.wire.json_values import is_array, is_object

Path = tuple[str | int, ...]
COMPLETION = frozenset({BEGUN, GOES_ON})


class Pairs(list[Any]):
    """The members of an object as they stand, also those of a name given twice."""


@dataclass(slots=True)
class _Open:
    """An array or object that is open between two pieces."""

    place: str | int
    """The element or member at which it stands."""
    names: set[str] = field(default_factory=set)
    """Those that it has so far."""


class TextNames:
    """What is known of the names up to some piece."""

    def __init__(self) -> None:
        self.repeated: Path | None = None
        """The path of the first name given twice."""
        self._open: list[_Open] = []
        """Outermost first."""

    def go_on(self, piece: Piece, document: Any, read_pairs: Callable[[], Any], *, may_repeat: bool) -> None:
        """Take in a piece.

        Args:
            piece: the piece.
            document: it completed and parsed.
            read_pairs: returns the same with its objects as pairs.
            may_repeat: whether one of its objects may have a name twice.
        """
        own = [_names(value) for value in _begun(piece, document)]
        may_repeat = may_repeat or any(
            not each.names.isdisjoint(names) for each, names in zip(self._open, own, strict=True)
        )
        if may_repeat and self.repeated is None:
            level = 0 if piece.is_begun else None
            self.repeated = next(self._repeats(piece, read_pairs(), (), level), None)
        for each, names in zip(self._open, own, strict=True):
            each.names |= names
        self._open = list(self._end(piece, document))

    def _first_index(self, piece: Piece, level: int) -> int:
        """Return which element of an array that is open before a piece is the first of it completed."""
        is_innermost = level == len(piece.before) - 1
        return int(self._open[level].place) - is_innermost

    def _end(self, piece: Piece, value: Any) -> Iterator[_Open]:
        """Yield what is open behind a piece."""
        is_begun = True
        for level in range(len(piece.after)):
            is_begun = is_begun and level < len(piece.before)
            names = self._open[level].names if is_begun else _names(value)
            if is_array(value):
                last = len(value) - 1
                yield _Open(last + (self._first_index(piece, level) if is_begun else 0), names)
                is_begun = is_begun and last == 0
                value = value[last]
            else:
                name = list(value)[-2]  # the last one is GOES_ON
                yield _Open(self._open[level].place if name == BEGUN else name, names)
                is_begun = is_begun and name == BEGUN
                value = value[name]

    def _repeats(self, piece: Piece, value: Any, path: Path, level: int | None) -> Iterator[Path]:
        """Yield the path of each name given twice, in document order; an array or object of a level was open before."""
        inner = level + 1 if level is not None and level + 1 < len(piece.before) else None
        if isinstance(value, Pairs):
            seen = set() if level is None else set(self._open[level].names)
            for name, member in value:
                if name == BEGUN and level is not None:
                    yield from self._repeats(piece, member, (*path, self._open[level].place), inner)
                elif name != GOES_ON:
                    if name in seen:
                        yield (*path, name)
                    seen.add(name)
                    yield from self._repeats(piece, member, (*path, name), None)
        elif isinstance(value, list):
            first = 0 if level is None else self._first_index(piece, level)
            for place, element in enumerate(value):
                yield from self._repeats(piece, element, (*path, first + place), None if place else inner)


def _begun(piece: Piece, value: Any) -> Iterator[Any]:
    """Yield the rest of each array or object that is open before a piece, outermost first."""
    for _ in piece.before:
        yield value
        value = value[0] if is_array(value) else value[BEGUN]


def _names(value: Any) -> set[str]:
    return set(value) - COMPLETION if is_object(value) else set()
