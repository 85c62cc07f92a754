"""A body of declared length on its way past the parser: in one buffer, from which it is read where it lies.

In pieces, each would pass through the parser, an event and a task, and be copied four times: a sixth of the time of a
call with a megabyte of tensors.
"""

from gradient_service.http.body import room_for


class ArrivingBody:
    """One such body.

    Args:
        num_bytes: its length.
        part: what of it has arrived.
    """

    def __init__(self, num_bytes: int, part: bytes) -> None:
        self.content: bytes | memoryview = part if len(part) == num_bytes else _with_room(part, num_bytes)
        """As far as it has arrived, and room for the rest."""
        self.arrived = len(part)
        """How much of it has."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it has arrived."""
        return self.arrived == len(self.content)

    @property
    def place(self) -> memoryview | None:
        """Where the rest of it belongs; None when it has arrived."""
        return None if self.is_whole else memoryview(self.content)[self.arrived :]

    def is_now_whole(self, num_bytes: int) -> bool:
        """Note that so many bytes more are in their place; return whether that is all of it."""
        self.arrived += num_bytes
        return self.is_whole


def _with_room(part: bytes, num_bytes: int) -> memoryview:
    buffer = room_for(num_bytes)
    buffer[: len(part)] = part
    return buffer
