"""The process that forks for each long text: `python -m gradient_service.wire.forks FD`, started by `apart.py`.

It has one thread and no state, so that forking it is safe, and has imported what decoding needs, so that it is quick.
"""

import gc
import os
import pickle
import signal
import socket
import sys
import traceback
from contextlib import suppress
from fcntl import F_GETFL, F_SETFL, F_SETOWN, fcntl
from importlib import import_module
from multiprocessing.connection import Connection

DECODERS = (
    "gradient_service.wire.dialects",
    "gradient_service.wire.open_inference",
    "gradient_service.schemas.requests",
)
NICENESS = 10
"""Whoever serves others comes first where there are more processes than cores."""


def serve(control: socket.socket) -> None:
    """Fork for each socket that arrives, until the other end is closed."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # whoever started it says when to end, even to a whole group
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    os.nice(NICENESS)
    gc.disable()  # a fork ends before its garbage is worth a look
    while received := socket.recv_fds(control, 1, 1)[1]:
        with Connection(received[0]) as caller, suppress(OSError):  # none could be made: the caller hears no answer
            if os.fork() == 0:
                control.close()
                _answer(caller)


def _answer(caller: Connection) -> None:
    """Send what a decoder returns or raises, and end."""
    try:
        decode = caller.recv()
        body = caller.recv_bytes()
        _end_with(caller)
        try:
            outcome = decode(body)
        except Exception as error:  # noqa: BLE001  it goes on in the caller
            error.add_note(traceback.format_exc())
            outcome = error
        _send(caller, outcome)
    finally:
        os._exit(0)


def _end_with(caller: Connection, *, is_so: bool = True) -> None:
    """Have this process killed when the other end is closed, whatever it does then."""
    fcntl(caller.fileno(), F_SETOWN, os.getpid())
    flags = fcntl(caller.fileno(), F_GETFL)
    fcntl(caller.fileno(), F_SETFL, flags | os.O_ASYNC if is_so else flags & ~os.O_ASYNC)


def _send(caller: Connection, outcome: object) -> None:
    """Send an outcome, and behind it its arrays from where they lie."""
    arrays: list[pickle.PickleBuffer] = []
    text = pickle.dumps(outcome, protocol=5, buffer_callback=arrays.append)
    _end_with(caller, is_so=False)  # the other end reads now, which would be a signal, too
    parts = [array.raw() for array in arrays]
    caller.send((text, [part.nbytes for part in parts]))
    for part in parts:
        rest = part
        while rest:
            rest = rest[os.write(caller.fileno(), rest) :]


if __name__ == "__main__":
    for name in DECODERS:
        import_module(name)
    serve(socket.socket(fileno=int(sys.argv[1])))
