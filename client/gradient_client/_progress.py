"""Telling how many rows are done: to a function of the caller's, or by the bar of tqdm."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Lock

from .errors import ConfigurationError

Progress = bool | Callable[[int, int], object]
"""True for a bar, or a function that takes the rows done so far and the rows there are."""


@contextmanager
def counting_rows(progress: Progress, num_rows: int) -> Generator[Callable[[int], None]]:
    """What is to be told how many more rows are done; one thread at a time hears of it."""
    lock, done = Lock(), 0
    with _hearer(progress, num_rows) as hear:

        def count(more: int) -> None:
            nonlocal done
            with lock:
                done += more
                hear(done, num_rows)

        yield count


@contextmanager
def _hearer(progress: Progress, num_rows: int) -> Generator[Callable[[int, int], object]]:
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda _done, _num_rows: None
        return
    try:
        from tqdm import tqdm  # noqa: PLC0415 - an extra, which few calls ask for
    except ImportError:
        cure = "install tqdm, or pass a function of rows done and rows in all"
        raise ConfigurationError(f"progress=True needs tqdm: {cure}") from None
    with tqdm(total=num_rows, unit="row", unit_scale=True) as bar:
        yield lambda done, _num_rows: bar.update(done - bar.n)
