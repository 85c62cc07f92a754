"""Raw bytes on a real socket: what is no HTTP/1.1 message is a problem, and senders are not waited for forever."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import load, save

from gradient_service.server.protocol import MAX_PIPELINED

from .conftest import Process

MIB = 1024 * 1024
BODY = b'{"logits": [[1, 2]], "labels": [0]}'
HOST = b"Host: localhost\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
GET = b"GET /livez HTTP/1.1\r\n" + HOST


def post(framing: bytes, body: bytes = BODY, fields: bytes = JSON) -> bytes:
    """A call with header fields and a body as they are."""
    return b"POST /loss HTTP/1.1\r\n" + fields + framing + b"\r\n" + body


LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
MESSAGES: dict[str, tuple[bytes, int, str]] = {
    "a call": (post(LENGTH), 200, ""),
    "a chunked call": (post(CHUNKED, CHUNKS), 200, ""),
    "HTTP/1.0": (b"GET /livez HTTP/1.0\r\n\r\n", 200, ""),
    "an upgrade declined": (GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 200, ""),
    "an upgrade with a body": (post(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + LENGTH), 200, ""),
    "an upgrade with chunks": (post(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED, CHUNKS), 200, ""),
    "an upgrade of an old version": (
        post(b"Connection: upgrade\r\nUpgrade: h2c\r\n" + LENGTH).replace(HOST, b"").replace(b"HTTP/1.1", b"HTTP/1.0"),
        200,
        "",
    ),
    "an expectation of an old version": (
        post(b"Expect: 100-continue\r\n" + LENGTH).replace(b"HTTP/1.1", b"HTTP/1.0"),
        200,
        "",
    ),
    "an absolute target": (b"GET http://localhost/livez HTTP/1.1\r\n" + HOST + b"\r\n", 200, ""),
    "an absolute target in capitals": (b"GET HTTP://LOCALHOST/livez HTTP/1.1\r\n" + HOST + b"\r\n", 200, ""),
    "an absolute target without a path": (b"GET http://localhost HTTP/1.1\r\n" + HOST + b"\r\n", 200, ""),
    "an absolute target with a query alone": (b"GET http://localhost?a HTTP/1.1\r\n" + HOST + b"\r\n", 200, ""),
    "a foreign target": (b"GET http://evil.example/livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "a foreign host": (b"GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, "misdirected-request"),
    "blanks around a value": (b"GET /livez HTTP/1.1\r\nHost: \t localhost \t\r\n\r\n", 200, ""),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", 400, "malformed-http"),
    "two hosts": (GET + HOST + b"\r\n", 400, "malformed-http"),
    "length and chunks": (post(LENGTH + CHUNKED), 400, "malformed-http"),
    "chunks and length": (post(CHUNKED + LENGTH, CHUNKS), 400, "malformed-http"),
    "two codings": (post(CHUNKED + CHUNKED, CHUNKS), 400, "malformed-http"),
    "another coding": (post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS), 400, "malformed-http"),
    "identity": (post(b"Transfer-Encoding: identity\r\n"), 400, "malformed-http"),
    "a chunk of no size": (post(CHUNKED, b"zz\r\nabc\r\n0\r\n\r\n"), 400, "malformed-http"),
    "a chunk too large": (post(CHUNKED, b"f" * 17 + b"\r\nabc\r\n0\r\n\r\n"), 400, "malformed-http"),
    "a negative chunk": (post(CHUNKED, b"-1\r\nabc\r\n0\r\n\r\n"), 400, "malformed-http"),
    "a chunk without end": (post(CHUNKED, b"3\r\nabcd\r\n0\r\n\r\n"), 400, "malformed-http"),
    "two lengths": (post(LENGTH + LENGTH), 400, "malformed-http"),
    "a list of lengths": (post(b"Content-Length: 35, 35\r\n"), 400, "malformed-http"),
    "a negative length": (post(b"Content-Length: -1\r\n"), 400, "malformed-http"),
    "a signed length": (post(b"Content-Length: +35\r\n"), 400, "malformed-http"),
    "a hexadecimal length": (post(b"Content-Length: 0x23\r\n"), 400, "malformed-http"),
    "a length beyond 64 bits": (post(b"Content-Length: " + b"9" * 30 + b"\r\n"), 400, "malformed-http"),
    "a length beyond the limit": (post(b"Content-Length: 999999999999\r\n"), 413, "body-too-large"),
    "a call without a length": (post(b"", b""), 411, "length-required"),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400, "malformed-http"),
    "HTTP/0.9, as it is sent": (b"GET /\r\n", 400, "malformed-http"),
    "HTTP/0.9, by a person": (b"GET /\n", 400, "malformed-http"),
    "HTTP/1.2": (b"GET /livez HTTP/1.2\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "HTTP/2 in text": (b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed-http"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "malformed-http"),
    "words": (b"hello world\r\n\r\n", 400, "malformed-http"),
    "bare line feeds": (b"GET /livez HTTP/1.1\nHost: localhost\n\n", 400, "malformed-http"),
    "a space before the colon": (b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", 400, "malformed-http"),
    "a folded field": (GET + b"X: a\r\n b\r\n\r\n", 400, "malformed-http"),
    "a zero byte in a field": (GET + b"X: a\x00b\r\n\r\n", 400, "malformed-http"),
    "a zero byte in the path": (b"GET /li\x00vez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "a field without a colon": (GET + b"X\r\n\r\n", 400, "malformed-http"),
    "a field without a name": (GET + b": a\r\n\r\n", 400, "malformed-http"),
    "a bad field name": (GET + b"X(Y: a\r\n\r\n", 400, "malformed-http"),
    "a bad method": (b"G=T /livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "a tunnel": (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "a relative target": (b"GET livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "a space in the target": (b"GET /li vez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed-http"),
    "a long target": (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "uri-too-long"),
    "an endless target": (b"GET /" + b"a" * 1_000_000, 414, "uri-too-long"),
    "a long field": (GET + b"X: " + b"a" * 40_000 + b"\r\n\r\n", 431, "headers-too-large"),
    "an endless field": (GET + b"X: " + b"a" * 1_000_000, 431, "headers-too-large"),
    "many fields": (GET + b"X: a\r\n" * 100 + b"\r\n", 431, "headers-too-large"),
    "a foreign expectation": (post(LENGTH + b"Expect: 200-ok\r\n"), 417, "expectation-failed"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_answered_by_their_http_meaning(name: str, process: Process) -> None:
    """Each message is answered at once with its status, and a refusal with its problem."""
    message, status, slug = MESSAGES[name]
    answered = process.send(message, seconds=0.3)
    head, _, content = answered.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answered
    if slug:
        problem = json.loads(content)
        assert (problem["type"], problem["status"]) == (f"/problems/{slug}", status)
        assert b"content-type: application/problem+json" in head.lower()
        assert problem["request_id"].encode() in head


@pytest.mark.parametrize("field", [b"X", b"X: " + b"a" * 70_000])
def test_a_refusal_of_head_has_no_content(field: bytes, process: Process) -> None:
    """What is refused before the application sees it is told by its head alone, by RFC 9110, 9.3.2."""
    head, _, content = process.send(GET.replace(b"GET", b"HEAD") + field + b"\r\n\r\n").partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 4(00|31) ", head)
    assert re.search(rb"\r\ncontent-length: \d{3}\r\n", head)
    assert content == b""


def test_garbage_behind_head_is_refused_with_content(process: Process) -> None:
    """What is no message has no method, whatever the one before had."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=5) as connection:
        connection.sendall(GET.replace(b"GET", b"HEAD") + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\x00 garbage\r\n\r\n")
        answered = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b'problems/malformed-http"' in answered.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("first", [GET + b"\r\n", post(LENGTH)], ids=["health", "call"])
def test_however_many_pipelined_requests_are_answered_in_order(first: bytes, process: Process) -> None:
    """More than are parsed at once, cut anywhere between two looks at how many wait."""
    requests = [post(LENGTH, fields=JSON + b"X-Request-ID: id-%d\r\n" % number) for number in range(20 * MAX_PIPELINED)]
    answered = process.send(first + b"".join(requests), seconds=1.0)
    assert answered.count(b"HTTP/1.1 200 OK\r\n") == 1 + len(requests)
    assert re.findall(rb"x-request-id: id-(\d+)", answered) == [b"%d" % number for number in range(len(requests))]


def test_pipelined_calls_are_answered_in_order(process: Process) -> None:
    """Two calls in one segment get two answers; garbage behind a call ends the connection after the answer."""
    assert process.send(post(LENGTH) * 2, seconds=0.5).count(b"HTTP/1.1 200") == 2
    answered = process.send(post(LENGTH) + b"\x00\x01 garbage\r\n\r\n")
    assert answered.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in answered


@pytest.mark.parametrize("num_rows", [1, 1000, 40_000])
def test_replies_of_any_length_arrive_whole(num_rows: int, process: Process) -> None:
    """The tensors of a reply are all there, whether it is sent at once or in pieces."""
    logits = np.zeros((num_rows, 10), np.float32)
    headers = {"Content-Type": "application/x-safetensors"}
    body = save({"logits": logits})
    reply = httpx.post(f"http://127.0.0.1:{process.port}/softmax", content=body, headers=headers)
    assert load(reply.content)["probabilities"].shape == logits.shape


def most_in_sockets() -> int:
    """How many bytes of one connection the system holds at the most, at its two ends."""
    return sum(int(Path(f"/proc/sys/net/ipv4/tcp_{kind}mem").read_text().split()[2]) for kind in "rw")


@pytest.mark.parametrize(("declared", "read"), [(b"Content-Length: 90000000\r\n", 1 * MIB), (CHUNKED, 17 * MIB)])
def test_a_refused_body_is_read_for_a_mebibyte(declared: bytes, read: int, process: Process) -> None:
    """A sender of 90 MB is answered 413 and gets rid of what is read, the last MiB in vain, and what sockets hold."""
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        connection.sendall(post(declared, b""))
        connection.settimeout(5.0)
        sent, part = 0, b" " * 65536
        framed = b"10000\r\n" + part + b"\r\n" if declared == CHUNKED else part
        try:
            while sent < 90_000_000:
                connection.sendall(framed)
                sent += len(part)
        except (ConnectionError, TimeoutError):
            pass
        assert sent < read + most_in_sockets()
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


@pytest.mark.full
def test_slow_senders_are_not_waited_for(process: Process) -> None:
    """A silent connection, and a head, a body and chunks that drip, are ended within 12 seconds."""
    starts = {
        "silent": (b"", b""),
        "head": (GET, b"X: a\r\n"),
        "body": (post(b"Content-Length: 100\r\n", b""), b" "),
        "chunks": (post(CHUNKED, b""), b"1\r\n \r\n"),
    }
    ended: dict[str, tuple[float, bytes]] = {}

    def drip(name: str, first: bytes, more: bytes) -> None:
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", process.port)) as connection:
            connection.sendall(first)
            connection.settimeout(0.5)
            while time.monotonic() < begun + 20:
                try:
                    ended[name] = time.monotonic() - begun, connection.recv(65536)
                    break
                except TimeoutError:
                    connection.sendall(more)

    threads = [threading.Thread(target=drip, args=(name, *parts)) for name, parts in starts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: answered[:12] for name, (_, answered) in ended.items()} == {
        "silent": b"",
        **dict.fromkeys(["head", "body", "chunks"], b"HTTP/1.1 408"),
    }
    assert max(seconds for seconds, _ in ended.values()) < 12
