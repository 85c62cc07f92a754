"""Serving: the socket, the workers that share it, and what each of them is."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

from gradient_service.app import create_app
from gradient_service.http import log_lines
from gradient_service.http.health import Lifecycle
from gradient_service.http.traces import Traces
from gradient_service.server.accepting import Acceptor
from gradient_service.server.connections import Connections, counts_of
from gradient_service.server.counting import count_as, counting_together, note_end
from gradient_service.server.exporting import exporting
from gradient_service.server.intake import Intake
from gradient_service.server.memory import keep_freed_blocks
from gradient_service.server.repeating import repeating_protocol
from gradient_service.server.supervisor import Supervisor
from gradient_service.settings import Settings, misspelt_settings

BACKLOG = 2048
SWITCH_SECONDS = 0.0005
"""A thread that computes gives the interpreter lock back to the event loop after so long; by default, ten times that.

The event loop lets go of the lock many times a request, and waits each time until it has it again.
"""
GARBAGE_THRESHOLDS = (10_000, 5, 5)
"""A collection looks at the objects of every connection that is new, or at those of all.

With Python's own, beside thousands of connections that come and go, it took a twelfth of the time.
"""
LOOK_SECONDS = 0.1
"""How often a worker that is about to end looks whether it is to end at once."""
logger = logging.getLogger("gradient_service.server")


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serve until told to stop.

    Args:
        settings: with the address that is listened on, and how many processes there are; each holds the whole
            application.
        listener: what `listen` returned.
    """
    log_lines.install(settings.log_level)
    allow_descriptors()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    logger.info("serving on http://%s:%d", host, listener.getsockname()[1])
    for name, meant in misspelt_settings(os.environ).items():
        logger.warning("%s is no setting and does nothing; %s is one", name, meant)
    parent = os.getpid()
    make_traces = exporting(os.environ)
    counts = counts_of(settings.workers)

    def be_a_worker(place: int) -> None:
        work(settings, listener, Connections(counts, place), parent, make_traces)

    with counting_together():
        Supervisor(be_a_worker, settings.workers, listener, note_end).run()


def allow_descriptors() -> None:
    """Have as many descriptors as the system lets the process have: each connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # where that is more than the kernel has
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: name or address.
        port: TCP port; 0 takes a free one.

    Raises:
        OSError: the address cannot be listened on.
        UnicodeError: there can be no such name.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family, backlog=BACKLOG)


def work(
    settings: Settings,
    listener: socket.socket,
    connections: Connections,
    parent: int,
    make_traces: Callable[[], Traces | None] | None = None,
) -> None:
    """Be one worker: accept and answer until told to stop, or until the parent is gone."""
    keep_freed_blocks()
    count_as(os.getpid())
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings, None if make_traces is None else make_traces())
    gc.collect()
    gc.freeze()  # what was made by now stays; no collection needs to look at it again
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    config = uvicorn.Config(
        app,
        http=repeating_protocol(settings, app.state.readiness, app.state.request_log),
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who the caller is
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    Worker(config, app.state.readiness.lifecycle, settings, connections, parent).run([listener])


class Worker(uvicorn.Server):
    """A uvicorn server that says that it will end some time before it stops to listen."""

    def __init__(
        self, config: uvicorn.Config, lifecycle: Lifecycle, settings: Settings, connections: Connections, parent: int
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._connections = connections
        self._lead_seconds = settings.readiness_lead_seconds
        self._parent = parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, but for accepting."""
        await super().startup(sockets=[])
        loop = asyncio.get_running_loop()
        self._acceptors = [Acceptor(each, self._protocol, loop, self._connections) for each in sockets or []]

    def _protocol(self, count_end: Callable[[], None]) -> Intake:
        speak: Callable[..., Any] = self.config.http_protocol_class
        return Intake(speak(self.config, self.server_state, self.lifespan.state), count_end)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end: when told to, or when nobody is left to tell."""
        return await super().on_tick(counter) or os.getppid() != self._parent

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that no new work is taken, wait until that is known, then end as uvicorn does: with what is under way.

        A person who interrupts need not wait.
        """
        self._lifecycle.is_draining = True
        end = time.monotonic() + self._lead_seconds
        while signal.SIGINT not in self._captured_signals and time.monotonic() < end:  # noqa: ASYNC110  nobody is told
            await asyncio.sleep(min(LOOK_SECONDS, self._lead_seconds))
        for each in self._acceptors:
            await each.close()
        await super().shutdown(sockets)
