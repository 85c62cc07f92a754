"""What long work asks every few milliseconds: whether somebody still waits for it."""

from collections.abc import Callable

Checkpoint = Callable[[], None]
"""What it raises ends the work."""


def without_pause() -> None:
    """Let the work go on."""
