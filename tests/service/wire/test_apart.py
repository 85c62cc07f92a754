"""A body decoded in a process of its own becomes what it becomes here; the process ends with its caller's patience."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from gradient_service.core.errors import InvalidInputError
from gradient_service.schemas.requests import CheckRequest, LossRequest
from gradient_service.schemas.tensor import is_untyped
from gradient_service.wire import apart, json_body
from gradient_service.wire.apart import ForkLostError, ForkServer, decode_text
from gradient_service.wire.checkpoint import without_pause
from gradient_service.wire.errors import MalformedBodyError, TakesLongError
from gradient_service.wire.json_grammar import SHORT_TEXT

JSON_BODIES = [
    b'{"logits": [[1, 2.5], [3, -1e-320]], "labels": [0, 1], "temperature": 2, "include": ["losses"]}',
    b'{"logits": [[1, 2]], "labels": [0], "class_mask": [true, false], "class_weights": [1, 1e22]}',
    b'{"logits": [[1, 2], [3]], "labels": [0, true]}',
    b'{"logits": [[1e999, 2]], "labels": [9223372036854775808]}',
    b'{"labels": [0], "labels": [1]}',
    b'{"logits": [[1, x]]}',
    b"[" * 100,
    b"",
    b"null",
    b'{"logit": [[1]], "labels": [0]}',
]

read_json = partial(json_body.decode, model=LossRequest, max_nesting=8)
run: Callable[[bytes | bytearray | memoryview], Any] = eval
"""A decoder that does what its body says."""


def outcome(decode: Callable[[], Any]) -> Any:
    """What decoding returns: the fields, or what is wrong with them."""
    try:
        decoded = decode()
    except InvalidInputError as error:
        return error.faults
    except MalformedBodyError as error:
        return error.code, error.pointer, error.detail
    fields = decoded.request.__dict__.items()
    arrays = {name: (value.dtype, value.tobytes()) for name, value in fields if isinstance(value, np.ndarray)}
    return arrays, decoded.request.model_fields_set, decoded.field_order


def check_same(decode: Callable[[Any], Any], body: bytes) -> None:
    """A body taken for a long one has the outcome of a short one."""
    elsewhere = partial(decode_text, decode, body, apart.APART_BYTES + 1, without_pause)
    assert outcome(elsewhere) == outcome(partial(decode, body))


@pytest.mark.parametrize("body", JSON_BODIES)
def test_a_process_makes_no_difference(body: bytes) -> None:
    """The same fields come back, and the same faults in the same words."""
    check_same(read_json, body)


def test_numbers_without_a_type_come_back_as_such() -> None:
    """What a process reads of a claim in JSON has the type of the answer, as what is read here."""
    body = b'{"logits": [[1, 2]], "labels": [0], "claimed": {"gradient": [[1, -1]]}}'
    decode = partial(json_body.decode, model=CheckRequest, max_nesting=8)
    claimed = decode_text(decode, body, apart.APART_BYTES + 1, without_pause).request.claimed
    assert claimed.gradient is not None
    assert is_untyped(claimed.gradient)


def test_a_short_text_is_decoded_here() -> None:
    """No process is made for a short one."""
    assert decode_text(run, b"__import__('os').getpid()", SHORT_TEXT, without_pause) == os.getpid()


@pytest.mark.parametrize("takes_long", [False, True])
def test_a_longer_text_is_decoded_here_if_that_is_soon_done(takes_long: bool) -> None:
    """It is begun here, and done in a process of its own where it takes long."""
    decode = partial(hasty, takes_long=takes_long)
    pid = decode_text(decode, b"__import__('os').getpid()", apart.APART_BYTES, without_pause)
    assert (pid != os.getpid()) is takes_long


def hasty(body: bytes, *, takes_long: bool, hastily: bool = False) -> Any:
    """Do what a body says, hastily where that does not take long."""
    assert hastily or takes_long
    if hastily and takes_long:
        raise TakesLongError
    return run(body)


NUMBERS = b",".join([b"1"] * 70_000)
LONG = [
    b'{"logits": [[%b]], "labels": [0]}' % NUMBERS,
    b'{"logits": [[1, 2]], "labels": [0], "include": [%b]}' % NUMBERS[:1000],
    b'{"logits": [[1, 2]], "labels": [0], "x": 1, "x": 2}',
    b'{"logits": [[1, [2]]], "labels": [0]}',
    b'{"logits": [[1, 2]], "labels": [0], "temperature": {}}',
]


@pytest.mark.parametrize("body", [*JSON_BODIES[2:], *LONG])
def test_what_is_wrong_or_many_is_not_read_hastily(body: bytes) -> None:
    """To tell what is wrong takes long, and so do many numbers."""
    with pytest.raises(TakesLongError):
        read_json(body, hastily=True)


@pytest.mark.parametrize("body", JSON_BODIES[:2])
def test_what_is_right_is_read_hastily(body: bytes) -> None:
    """It becomes what it becomes when there is time."""
    assert outcome(partial(read_json, body, hastily=True)) == outcome(partial(read_json, body))


def decode_apart(body: bytes, checkpoint: Callable[[], None] = without_pause) -> Any:
    """Do what a body says in a process of its own."""
    return decode_text(run, body, apart.APART_BYTES + 1, checkpoint)


def test_every_text_has_a_process_of_its_own() -> None:
    """What one leaves behind is gone for the next."""
    assert decode_apart(b"__import__('os').getpid()") != decode_apart(b"__import__('os').getpid()")


def test_an_error_says_where_it_was() -> None:
    """What a decoder raises that nobody expected is raised here, with its trace."""
    with pytest.raises(ZeroDivisionError) as caught:
        decode_apart(b"1 / 0")
    assert any("ZeroDivisionError" in note for note in caught.value.__notes__)


def test_a_process_that_dies_is_told() -> None:
    """A process that ends without an answer leaves its caller with an error of its own kind, and others with none."""
    with pytest.raises(ForkLostError):
        decode_apart(b"__import__('os').kill(__import__('os').getpid(), 9)")
    assert decode_apart(b"1 + 1") == 2


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_arrays_come_whole(size: int) -> None:
    """Also those that a socket does not take at once, and none of a number of arrays is taken for another."""
    first, second = decode_apart(b"[__import__('numpy').arange(%d) + part for part in (0, 1)]" % size)
    assert first.tolist() == [*range(size)]
    assert np.array_equal(second, first + 1)


def test_a_process_that_dies_in_the_middle_of_an_array_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come of its answer is none."""
    ours, theirs = socket.socketpair()
    with theirs, Connection(os.dup(theirs.fileno())) as sender:
        sender.send((b"", [2]))
        theirs.sendall(b"1")
        theirs.shutdown(socket.SHUT_WR)
        monkeypatch.setattr(ForkServer, "fork", lambda _: Connection(ours.detach()))
        with pytest.raises(ForkLostError):
            decode_apart(b"1")


def until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something; fail when it has taken too long."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether there is a process of a number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_process_ends_with_the_patience(tmp_path: Path) -> None:
    """What the checkpoint raises is raised, and the process is ended wherever it is."""
    noted = tmp_path / "pid"
    body = f"(open({str(noted)!r}, 'w').write(str(__import__('os').getpid())), 9 ** 9 ** 9)"

    def check() -> None:
        if noted.exists() and noted.read_text():
            raise TimeoutError

    with pytest.raises(TimeoutError):
        decode_apart(body.encode(), check)
    until(lambda: not is_running(int(noted.read_text())))


def test_a_server_that_has_ended_is_started_again() -> None:
    """Whatever ends the process that forks, the next text finds one."""
    decode_apart(b"1")
    os.kill(decode_apart(b"__import__('os').getppid()"), signal.SIGKILL)

    def is_answered() -> bool:
        with suppress(ForkLostError):
            return bool(decode_apart(b"1 + 1") == 2)
        return False

    until(is_answered)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_ends_nothing(number: signal.Signals) -> None:
    """Texts are read to the end while the service is told to end."""
    parent = decode_apart(b"__import__('os').getppid()")
    os.kill(parent, number)
    assert decode_apart(b"__import__('os').getppid()") == parent


def test_a_server_ends_when_it_is_closed() -> None:
    """The process that forks ends with its service."""
    server = ForkServer()
    assert server.is_alive
    server.close()
    assert not server.is_alive


def test_a_process_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does a body for which there is no process."""

    def fail(_: ForkServer) -> NoReturn:
        raise BrokenPipeError

    monkeypatch.setattr(ForkServer, "fork", fail)
    with pytest.raises(ForkLostError):
        decode_apart(b"1")
