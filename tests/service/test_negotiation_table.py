"""Each pair of Content-Type and Accept on the native routes, and the type that answers it."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

from .conftest import check_problem
from .wire.safetensors_files import reply_of

pytestmark = pytest.mark.anyio

JSON = "application/json"
BINARY = "application/x-safetensors"
OCTETS = "application/octet-stream"
MEDIA_TYPES = f"{JSON}, {BINARY}, {OCTETS}"
REFUSED = ""
LOGITS, LABELS = np.array([[1.0, 2.0]]), np.array([0])
PATHS = ("/softmax", "/loss", "/gradient")

# Each spelling of a type that is read, and the type that it is.
SPOKEN = {
    JSON: JSON,
    "application/json; charset=utf-8": JSON,
    "APPLICATION/JSON;version=1": JSON,
    BINARY: BINARY,
    "Application/X-Safetensors; version=1": BINARY,
    OCTETS: OCTETS,
    "application/octet-stream;": OCTETS,
    "application/octet-stream; charset=binary": OCTETS,
}
UNSPOKEN = ("text/plain", "application/safetensors", "application/x-safetensor", "application/cbor", "application/*")
# What is accepted, and the type of the reply to JSON, to safetensors, and to octets.
ACCEPTED: dict[str, tuple[str, str, str]] = {
    "": (JSON, BINARY, BINARY),
    "*/*": (JSON, BINARY, BINARY),
    "application/*": (JSON, BINARY, BINARY),
    "*/*;q=0.001": (JSON, BINARY, BINARY),
    "text/html, application/*;q=0.5": (JSON, BINARY, BINARY),
    JSON: (JSON, JSON, JSON),
    BINARY: (BINARY, BINARY, BINARY),
    OCTETS: (OCTETS, OCTETS, OCTETS),
    "APPLICATION/JSON": (JSON, JSON, JSON),
    "Application/X-Safetensors": (BINARY, BINARY, BINARY),
    f"{JSON};charset=utf-8": (JSON, JSON, JSON),
    f"{BINARY};version=1": (BINARY, BINARY, BINARY),
    f"{JSON}, {BINARY}": (JSON, BINARY, BINARY),
    f"{BINARY}, {JSON}": (JSON, BINARY, BINARY),
    f"{BINARY}, {OCTETS}": (BINARY, BINARY, BINARY),
    f"{JSON}, {OCTETS}": (JSON, JSON, JSON),
    f"{JSON};q=0.5, {BINARY};q=0.4": (JSON, JSON, JSON),
    f"{JSON};q=0.4, {BINARY};q=0.5": (BINARY, BINARY, BINARY),
    f"{JSON};q=0.999, {BINARY};q=1.000": (BINARY, BINARY, BINARY),
    f"{JSON};charset=utf-8;q=0.9, {BINARY};q=0.8": (JSON, JSON, JSON),
    f"{BINARY};q=0.5, {OCTETS};q=0.6": (OCTETS, OCTETS, OCTETS),
    "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2": (JSON, BINARY, BINARY),
    "text/html, *": (JSON, BINARY, BINARY),
    f"{JSON};q=.4, {BINARY};q=.5": (BINARY, BINARY, BINARY),
    f"{JSON};q=0.33334, {BINARY};q=0.33333": (JSON, JSON, JSON),
    f"{JSON};q=7, {BINARY};q=1": (JSON, BINARY, BINARY),
    f"{JSON};q=high, {BINARY};q=0.9": (JSON, JSON, JSON),
    f"*/*;q=0.1, {JSON};q=0.2": (JSON, JSON, JSON),
    f"*/*;q=0.2, {JSON};q=0.1": (BINARY, BINARY, BINARY),
    f"application/*;q=0.2, {BINARY};q=0.1, */*": (JSON, JSON, JSON),
    f"application/*;q=0, {JSON}": (JSON, JSON, JSON),
    f"*/*, {JSON};q=0": (BINARY, BINARY, BINARY),
    f"*/*, {BINARY};q=0": (JSON, JSON, JSON),
    f"*/*, {JSON};q=0, {BINARY};q=0": (OCTETS, OCTETS, OCTETS),
    "text/html": (REFUSED, REFUSED, REFUSED),
    "text/*, image/png": (REFUSED, REFUSED, REFUSED),
    "*/*;q=0": (REFUSED, REFUSED, REFUSED),
    "*;q=.0": (REFUSED, REFUSED, REFUSED),
    "application/*;q=0, */*": (REFUSED, REFUSED, REFUSED),
    f"{JSON};q=0, {BINARY};q=0.000, {OCTETS};q=0, */*": (REFUSED, REFUSED, REFUSED),
    "application/safetensors": (REFUSED, REFUSED, REFUSED),
}


def body_of(path: str, media_type: str) -> bytes:
    """A small request to a path."""
    tensors = {"logits": LOGITS} | ({} if path == "/softmax" else {"labels": LABELS})
    if media_type == JSON:
        return json.dumps({name: array.tolist() for name, array in tensors.items()}).encode()
    return save(tensors)


async def answer(http: httpx.AsyncClient, path: str, given: str, accept: str | None) -> httpx.Response:
    """The reply to a body that says what it is and what is accepted; None sends no Accept."""
    body = body_of(path, SPOKEN.get(given, BINARY))
    request = http.build_request("POST", path, content=body, headers={"Content-Type": given})
    request.headers.pop("Accept")
    if accept is not None:
        request.headers["Accept"] = accept
    return await http.send(request)


def check_written_as(reply: httpx.Response, media_type: str, path: str) -> None:
    """Raise unless a reply is of a type by its header and by its bytes."""
    assert (reply.status_code, reply.headers["content-type"], reply.headers["vary"]) == (200, media_type, "Accept")
    scalars = json.loads(reply.content) if media_type == JSON else reply_of(reply.content)[1]
    assert ("loss" in scalars, scalars["applied"]["dtype"]) == (path != "/softmax", "float64")


@pytest.mark.parametrize("given", SPOKEN)
@pytest.mark.parametrize("accept", ACCEPTED)
@pytest.mark.parametrize("path", PATHS)
async def test_each_pair_has_its_answer(http: httpx.AsyncClient, path: str, accept: str, given: str) -> None:
    """The most wanted type is written, the request's own where several are equal; else 406 lists what is."""
    expected = ACCEPTED[accept][(JSON, BINARY, OCTETS).index(SPOKEN[given])]
    reply = await answer(http, path, given, accept)
    if expected != REFUSED:
        check_written_as(reply, expected, path)
        return
    problem = check_problem(reply, 406, "not-acceptable")
    assert (reply.headers["accept"], reply.headers["vary"]) == (MEDIA_TYPES, "Accept")
    assert MEDIA_TYPES in problem["detail"]


@pytest.mark.parametrize("given", SPOKEN)
@pytest.mark.parametrize("path", PATHS)
async def test_without_accept_the_reply_mirrors_the_request(http: httpx.AsyncClient, path: str, given: str) -> None:
    """Where nothing is said JSON answers JSON, and safetensors answers both its names."""
    check_written_as(await answer(http, path, given, None), JSON if SPOKEN[given] == JSON else BINARY, path)


@pytest.mark.parametrize("given", UNSPOKEN)
@pytest.mark.parametrize("accept", ["*/*", JSON, BINARY, OCTETS, "text/html"])
@pytest.mark.parametrize("path", PATHS)
async def test_no_other_type_is_read(http: httpx.AsyncClient, path: str, accept: str, given: str) -> None:
    """A type that is not spoken is 415 whatever is accepted, and the reply lists what is."""
    reply = await answer(http, path, given, accept)
    problem = check_problem(reply, 415, "unsupported-media-type")
    assert reply.headers["accept"] == MEDIA_TYPES
    assert MEDIA_TYPES in problem["detail"]
