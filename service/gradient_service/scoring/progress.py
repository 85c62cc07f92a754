"""How far a run is, as a bar on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Progress = Callable[[int, str], AbstractContextManager[Callable[[int], object]]]
"""Told how many rows there are and what is done with them; what it gives is told the rows done since."""


@contextmanager
def silence(_: int, __: str) -> Iterator[Callable[[int], object]]:
    """Show nothing."""
    yield lambda _: None


def bar() -> Progress:
    """Return what draws a bar on stderr where that is a terminal; one line tells what is missing for it."""
    try:
        from tqdm import tqdm  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        sys.stderr.write("A progress bar needs tqdm: install the extra 'score'.\n")
        return silence

    @contextmanager
    def drawn(total: int, what: str) -> Iterator[Callable[[int], object]]:
        with tqdm(total=total, desc=what, unit=" rows", unit_scale=True, disable=None) as shown:
            yield shown.update

    return drawn
