"""The log of the real process: lines of JSON and nothing else, whatever arrives and whoever reads."""

from __future__ import annotations

import json
import socket
from time import sleep
from typing import Any

from .conftest import Process, running

HEAD = b"POST /softmax HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Request-ID: mine\r\n"
BODY = b'{"logits": [[1, 2]]}'
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MANY = 1000


def lines(process: Process) -> list[dict[str, Any]]:
    """What the lines of a process that has ended say."""
    assert all(len(content) <= 4096 for content in process.log)
    return [json.loads(content) for content in process.log]


def requests(process: Process, **chosen: object) -> list[dict[str, Any]]:
    """What is told of requests, of those with these fields."""
    told = [told for told in lines(process) if told["logger"] == "gradient_service.requests"]
    return [line for line in told if chosen.items() <= line.items()]


def test_a_message_that_is_no_request_is_told() -> None:
    """What the parser refuses is one line with the status, the slug and the id of the answer."""
    with running() as process:
        answered = process.send(b"hello world\r\n\r\n")
    (told,) = requests(process, problem="malformed-http")
    assert (told["status"], told["outcome"]) == (400, "answered")
    assert f"x-request-id: {told['request_id']}".encode() in answered
    assert told["duration_ms"] >= 0


def test_a_body_that_is_none_is_told_once() -> None:
    """Where the parser refuses a body that is already awaited, the request's own line says so, under its id."""
    with running() as process:
        answered = process.send(CHUNKED + b"zz\r\n")
    (told,) = requests(process, request_id="mine")
    assert (told["status"], told["problem"], told["outcome"]) == (400, "malformed-http", "answered")
    assert b"x-request-id: mine" in answered


def test_a_client_that_leaves_is_told() -> None:
    """A caller that leaves within its body, and one that leaves within its reply, are told as such."""
    rows = b'{"include":["probabilities"],"logits":[' + b",".join([b"[1,2,3,4]"] * 500_000) + b"]}"
    with running() as process:
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            connection.sendall(CHUNKED + b"5\r\n" + BODY[:5])
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(rows) + rows)
            connection.recv(1024)
        assert process.is_ready()
    early, late = requests(process, request_id="mine")
    assert early["outcome"] == late["outcome"] == "client-left"
    assert (early.get("status"), early["bytes_out"], late["status"]) == (None, 0, 200)


def test_the_wait_for_a_body_is_told_behind_a_known_head() -> None:
    """How long it was, and how much had arrived: of a call that is answered, of one overdue, and of one that left."""
    length = b"Content-Length: %d\r\n" % len(BODY)
    call, overdue = HEAD + length + b"\r\n", HEAD + length + b"X-Request-Deadline-Ms: 200\r\n\r\n"
    with running() as process:
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            for message in (call + BODY, call + BODY[:5]):
                connection.sendall(message)
                sleep(0.2)
            connection.sendall(BODY[5:])
            sleep(0.2)
            connection.sendall(overdue + BODY[:6])
            sleep(0.4)
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            connection.sendall(call + BODY[:7])
            sleep(0.2)
        assert process.is_ready()
    first, *waited = requests(process, request_id="mine")
    assert first["duration_ms"] < 200
    assert [(told.get("status"), told["bytes_in"]) for told in waited] == [(200, len(BODY)), (504, 6), (None, 7)]
    assert all(told["duration_ms"] >= 195 for told in waited)


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    """More requests than a pipe holds lines of are answered while nobody reads the pipe."""
    get = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
    with running() as process:
        answered = process.send((get + b"\r\n") * (MANY - 1) + get + b"Connection: close\r\n\r\n", seconds=30)
        assert answered.count(b"HTTP/1.1 200") == MANY
    assert 100 < len(requests(process, route="/livez")) < MANY


def test_keys_are_never_told() -> None:
    """Neither the right key nor a wrong one is in any line, whatever the message that carries it."""
    with running(GRADIENT_API_KEYS="secret-key") as process:
        for key in (b"Bearer secret-key", b"Bearer secret-wrong", b"secret\x00", b"secret" * 10_000):
            process.send(HEAD + b"Authorization: " + key + b"\r\nContent-Length: 20\r\n\r\n" + BODY, seconds=0.3)
    assert {line.get("status") for line in requests(process)} >= {200, 400, 401, 431}
    assert b"secret" not in b"".join(process.log)


def test_a_misspelt_setting_is_told() -> None:
    """Keys under the client's name for one would leave the service open; other names belong to others."""
    others = {"GRADIENT_PORT": "tcp://10.0.0.1:80", "GRADIENT_SERVICE_HOST": "10.0.0.1", "GRADIENT_THREADS": "1"}
    with running(GRADIENT_API_KEY="secret", **others) as process:
        pass
    (told,) = [line for line in lines(process) if line["level"] == "warning"]
    assert told["message"] == "GRADIENT_API_KEY is no setting and does nothing; GRADIENT_API_KEYS is one"
