"""What both clients are apart from sending: configuration that pickles, and a thing to be closed."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, Generic, Self, TypeVar

from ._call import Surroundings
from ._calls import Calls
from ._events import EventHook
from ._settings import ClientSettings
from .errors import ConfigurationError

TransportT = TypeVar("TransportT")


class Lifecycle(Generic[TransportT]):
    """The part of a client that neither sends nor waits.

    Args:
        settings: the checked configuration.
        transport: the caller's own, or None.
        on_event: the caller's hook, or None.
    """

    # Until the constructor has run to its end there is nothing to warn about in __del__.
    _closed = True

    def __init__(self, settings: ClientSettings, transport: TransportT | None, on_event: EventHook | None) -> None:
        self._begin(settings, transport, on_event)

    def _begin(self, settings: ClientSettings, transport: TransportT | None, on_event: EventHook | None) -> None:
        self._settings = settings
        self._custom_transport = transport
        self._on_event = on_event
        self._calls = Calls(Surroundings(settings, on_event))
        self._created_at = _caller()
        if transport is None:
            self._connect()
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError(f"this {type(self).__name__} is closed; make a new one")

    def __repr__(self) -> str:
        settings = self._settings
        key = "" if settings.api_key is None else ", api_key=<hidden>"
        shown = (
            f"{settings.base_url!r}{key}, timeout={settings.timeout}, retry={settings.retry}, wire={settings.wire!r}"
        )
        return f"{type(self).__name__}({shown})"

    def __getstate__(self) -> dict[str, Any]:
        # Connections stay behind; the copy opens its own. The key travels along: it is configuration.
        return {
            "settings": self._settings,
            "transport": self._custom_transport,
            "on_event": self._on_event,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin(**state)

    def __copy__(self) -> Self:
        # A client is shared within its process, by threads as by copies; so there is one to close when LightGBM copies
        # its parameters, or PyTorch a model, with a client in it.
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def _connect(self) -> None:
        """Prepare the client's own transport; the shells know which."""
        raise NotImplementedError

    def __del__(self) -> None:
        # No I/O here: it may run in any thread, during shutdown or after the event loop is gone. The
        # sockets go with the objects that own them.
        if not self._closed:
            message = f"unclosed {type(self).__name__} created at {self._created_at}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)


def _caller() -> str:
    """File and line outside this package where a client is being made."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith(__package__ or ""):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown line"
