"""Reading that is held, whoever else would go on with it."""

from asyncio import Transport

from uvicorn.protocols.http.flow_control import FlowControl


class HoldingFlow(FlowControl):
    """Flow control of a connection, of which nothing is read while it is held.

    An answer would resume the reading, and so would whoever waits for a body.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self._is_held = False

    def hold(self) -> None:
        """Read nothing until it is let go."""
        if not self._is_held:
            self._is_held = True
            self.pause_reading()

    def let_go(self) -> None:
        """Go on."""
        self._is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Go on, unless it is held."""
        if not self._is_held:
            super().resume_reading()
