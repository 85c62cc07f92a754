"""Limits: told as numbers, set by the environment, and enforced before anything is allocated."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from gradient_service.app import create_app
from gradient_service.machine import usable_cores, usable_memory_bytes
from gradient_service.settings import Settings

from .conftest import JSON, check_problem, client_of, post
from .dialects import DIALECTS

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
DEFAULTS = {
    "max_json_body_bytes": 16 * MIB,
    "max_binary_body_bytes": 256 * MIB,
    "max_elements": 64 * MIB,
    "max_reply_bytes": 512 * MIB,
    "max_jacobian_elements": 4 * MIB,
    "max_nesting": 8,
    "max_header_bytes": 32 * 1024,
    "max_header_fields": 100,
    "max_in_flight_bytes": usable_memory_bytes() // 2,
    "max_concurrency": usable_cores(),
}


async def ask(path: str, body: object, **limits: int) -> httpx.Response:
    """The reply of an application with these limits."""
    async with client_of(create_app(Settings.model_construct(None, **limits))) as http:
        return await post(http, path, body)


class Sender:
    """A body in parts of 64 KiB, without a declared length, that remembers how much of it was taken."""

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes
        self.taken = 0

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield blanks."""
        while self.taken < self.num_bytes:
            self.taken += 65_536
            yield b" " * 65_536


async def test_the_defaults_are_told(http: httpx.AsyncClient) -> None:
    """/limits tells each limit by its name."""
    reply = await http.get("/limits")
    assert (reply.status_code, reply.json()) == (200, DEFAULTS)


async def test_the_environment_sets_each_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each limit is its name in capitals after GRADIENT_."""
    wanted = {name: value + position for position, (name, value) in enumerate(DEFAULTS.items())}
    for name, value in wanted.items():
        monkeypatch.setenv(f"GRADIENT_{name.upper()}", str(value))
    async with client_of(create_app()) as http:
        assert (await http.get("/limits")).json() == wanted


@pytest.mark.parametrize("value", ["0", "-1", "many", "", "1.5"])
@pytest.mark.parametrize("name", DEFAULTS)
def test_a_limit_that_is_none_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A limit that is no positive integer keeps the service from starting, and the message names it."""
    monkeypatch.setenv(f"GRADIENT_{name.upper()}", value)
    with pytest.raises(ValidationError, match=name):
        create_app()


async def test_an_enforced_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that the environment sets is enforced."""
    monkeypatch.setenv("GRADIENT_MAX_ELEMENTS", "3")
    async with client_of(create_app()) as http:
        assert (await post(http, "/softmax", {"logits": [[1, 2, 3]]})).status_code == 200
        check_problem(await post(http, "/softmax", {"logits": [[1, 2], [3, 4]]}), 422, "output-too-large", "/logits")


async def test_a_body_at_its_limit_is_read() -> None:
    """The limit itself is allowed; one byte more is 413."""
    body = b'{"logits": [[1, 2]]}'
    assert (await ask("/softmax", body, max_json_body_bytes=len(body))).status_code == 200
    check_problem(await ask("/softmax", body, max_json_body_bytes=len(body) - 1), 413, "body-too-large")


@pytest.mark.parametrize("path", ["/softmax", "/loss", "/gradient"])
async def test_a_declared_body_is_refused_unread(http: httpx.AsyncClient, path: str) -> None:
    """A body that declares too many bytes is 413 before any is read, and the connection is closed."""
    sender = Sender(MIB)
    headers = JSON | {"Content-Length": str(257 * MIB)}
    reply = await http.post(path, content=sender.parts(), headers=headers)
    check_problem(reply, 413, "body-too-large")
    assert reply.headers["connection"] == "close"
    assert sender.taken <= 65_536


@pytest.mark.parametrize("path", ["/softmax", "/loss", "/gradient"])
async def test_an_undeclared_body_is_refused_at_its_limit(http: httpx.AsyncClient, path: str) -> None:
    """A body in chunks is 413 as soon as more came than may; the rest is not taken."""
    sender = Sender(64 * MIB)
    reply = await http.post(path, content=sender.parts(), headers=JSON)
    assert "content-length" not in reply.request.headers
    check_problem(reply, 413, "body-too-large")
    assert reply.headers["connection"] == "close"
    assert sender.taken <= 17 * MIB


async def test_an_understated_body_is_refused_at_its_limit(http: httpx.AsyncClient) -> None:
    """A body that declares less than it sends meets the same limit."""
    sender = Sender(18 * MIB)
    reply = await http.post("/softmax", content=sender.parts(), headers=JSON | {"Content-Length": "10"})
    check_problem(reply, 413, "body-too-large")


@pytest.mark.parametrize(
    ("length", "status"), [("x", 200), ("-1", 200), ("1e9", 200), ("\u0665", 200), ("9" * 5000, 413)]
)
async def test_a_senseless_length_makes_no_fault(http: httpx.AsyncClient, length: str, status: int) -> None:
    """Behind a server that lets such a thing pass, what arrives is counted; only a number is believed to be one."""
    headers = httpx.Headers(JSON | {"Content-Length": length}, encoding="utf-8")
    reply = await http.post("/softmax", content=b'{"logits": [[1]]}', headers=headers)
    assert reply.status_code == status


async def test_the_declared_length_comes_before_the_media_type(http: httpx.AsyncClient) -> None:
    """A body that is too long and of the wrong type is 413."""
    headers = {"Content-Type": "text/plain", "Content-Length": str(257 * MIB)}
    check_problem(await http.post("/softmax", content=b"x", headers=headers), 413, "body-too-large")


async def test_the_media_type_comes_before_the_bytes_that_arrive(http: httpx.AsyncClient) -> None:
    """A body of the wrong type that does not declare its length is 415 without being read."""
    sender = Sender(64 * MIB)
    reply = await http.post("/softmax", content=sender.parts(), headers={"Content-Type": "text/plain"})
    check_problem(reply, 415, "unsupported-media-type")
    assert sender.taken <= 65_536


JACOBIAN_CASES: list[tuple[str, list[str], str]] = [
    ("the Jacobian", ["jacobian"], "/include/0"),
    ("the product", ["gradient", "gradient_by_chain_rule"], "/include/1"),
    ("both", ["gradient_by_chain_rule", "jacobian"], "/include/0"),
]


@pytest.mark.parametrize(("include", "pointer"), [case[1:] for case in JACOBIAN_CASES],
                         ids=[case[0] for case in JACOBIAN_CASES])  # fmt: skip
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_jacobian_is_refused_before_it_is_allocated(
    http: httpx.AsyncClient, include: list[str], pointer: str, dialect: str
) -> None:
    """N·K² above its limit is refused in every dialect, with less than 8 MiB allocated."""
    fields: dict[str, Any] = {"logits": [[0] * 50_000], "labels": [0], "include": include}
    url, body, headers = DIALECTS[dialect]("gradient", fields)
    await post(http, "/gradient", {"logits": [[0]], "labels": [0]})
    tracemalloc.start()
    try:
        reply = await http.post(url, content=body, headers=headers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    check_problem(reply, 422, "output-too-large", pointer)
    assert peak <= 8 * MIB


async def test_the_jacobian_is_refused_before_it_is_computed(http: httpx.AsyncClient) -> None:
    """The refusal of 2 500 million elements comes after reading the request, and nothing else."""
    body: dict[str, Any] = {"logits": [[0] * 50_000], "labels": [0], "include": ["jacobian"]}
    reply = await post(http, "/gradient", body)
    stages = dict(part.split(";dur=") for part in reply.headers.get("server-timing", "").split(", ") if part)
    check_problem(reply, 422, "output-too-large", "/include/0")
    assert "compute" not in stages


async def test_the_jacobian_at_its_limit_is_computed() -> None:
    """The limit itself is allowed; one element more is refused."""
    body: dict[str, Any] = {"logits": [[0] * 3, [0] * 3], "labels": [0, 1], "include": ["jacobian"]}
    assert (await ask("/gradient", body, max_jacobian_elements=18)).status_code == 200
    check_problem(await ask("/gradient", body, max_jacobian_elements=17), 422, "output-too-large", "/include/0")


async def test_other_outputs_know_no_jacobian_limit() -> None:
    """The diagonal-only gradient and the curvature need no Jacobian."""
    body = {"logits": [[0] * 3], "labels": [0], "include": ["gradient_diagonal_only", "hessian_diagonal"]}
    assert (await ask("/gradient", body, max_jacobian_elements=1)).status_code == 200


async def test_the_reply_is_counted_beforehand() -> None:
    """25 bytes for each number of each output are counted: (2, 3) and (2,) are 8 numbers, 200 bytes."""
    body = {"logits": [[1, 2, 3], [0, 0, 0]]}
    assert (await ask("/softmax", body, max_reply_bytes=200)).status_code == 200
    check_problem(await ask("/softmax", body, max_reply_bytes=199), 422, "output-too-large", "/logits")


async def test_an_output_named_twice_counts_once() -> None:
    """Naming an output twice asks for no more."""
    body = {"logits": [[1, 2, 3], [0, 0, 0]], "include": ["probabilities"] * 5}
    assert (await ask("/softmax", body, max_reply_bytes=150)).status_code == 200


async def test_the_reply_never_takes_more_than_counted(http: httpx.AsyncClient) -> None:
    """25 bytes a number are enough for the longest numbers, with their commas and brackets."""
    body: dict[str, Any] = {"logits": [[-1.2345678901234567e-300 * (n + 1) for n in range(200)]] * 50}
    body |= {"class_weights": [1.2345678901234567e-300] * 200, "labels": [0] * 50, "reduction": "sum"}
    reply = await post(http, "/gradient", body | {"include": ["gradient"]})
    assert reply.status_code == 200
    assert len(reply.content) <= 25 * 200 * 50 + 1000


@pytest.mark.parametrize("path", ["/softmax", "/loss", "/gradient"])
async def test_elements_are_limited_on_each_path(path: str) -> None:
    """N·K above its limit is refused wherever logits are taken, before labels are looked at."""
    body: dict[str, Any] = {"logits": [[1, 2], [3, 4]]} | ({} if path == "/softmax" else {"labels": [9, 9]})
    check_problem(await ask(path, body, max_elements=3), 422, "output-too-large", "/logits")


async def test_nesting_is_limited_as_set() -> None:
    """The depth that JSON may have is a setting."""
    body = b'{"logits": [[[1]]]}'
    check_problem(await ask("/softmax", body, max_nesting=3), 400, "nesting-too-deep")
    check_problem(await ask("/softmax", body, max_nesting=4), 422, "wrong-rank", "/logits")
