"""A service that answers as a test tells it to, in a package that knows no numbers: zeros, or what was scripted."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ._applied import applied_of
from ._protocol import CHECK, GRADIENT, LOSS, SOFTMAX, Expectation, expectation_of
from ._safetensors import decode_tensors, encode_tensors
from ._strict_json import parse_object
from ._transport import HttpReply, HttpRequest
from ._wire import WIRES, Wire
from .results import Summary

_OPERATIONS: Mapping[str, Any] = {operation.name: operation for operation in (SOFTMAX, LOSS, GRADIENT, CHECK)}
_MATCH: Mapping[str, object] = {
    "verdict": "match",
    "diagnoses": [],
    "worst_rows": [],
    "statistics": {},
    "invariants": [],
}
_LIMITS = {"max_json_body_bytes": 16 * 1024**2, "max_binary_body_bytes": 256 * 1024**2, "max_elements": 64 * 1024**2}
_ZEROS: Mapping[str, object] = {}
_NOTHING = Summary(0.0, 0.0, 0, 0, 0, (), ())


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """What a client sent."""

    operation: str
    """The name of the method, `readyz` for those that ask whether the service is ready."""
    fields: Mapping[str, Any]
    """What was asked by the names of the service's fields, arrays as NumPy arrays."""


class FakeService:
    """A service for tests, without a network and without numbers; a client takes it as `transport=`.

    It answers as scripted, in the order of the script, and then with zeros of the right shapes and dtypes; it tells the
    options in force as the service does.
    `AsyncGradientClient` takes its method `awaited`.
    """

    requests: list[FakeRequest]
    """Every request so far, repeated ones included."""

    def __init__(self) -> None:
        self.requests = []
        self._script: deque[HttpReply | OSError | Mapping[str, object]] = deque()

    def answer(self, **outputs: object) -> None:
        """Script an answer.

        Args:
            outputs: what the result is to hold, by name: numbers, arrays, a `Summary`; zeros for the others.
        """
        self._script.append(outputs)

    def refuse(self, slug: str, *, status: int = 422, pointer: str = "", retry_after: int | None = None) -> None:
        """Script a problem.

        Args:
            slug: its kind, such as `label-out-of-range`.
            status: the HTTP status, which picks the class of the error.
            pointer: JSON pointer to what is wrong, such as `/labels/3`.
            retry_after: seconds that the service asks to wait.
        """
        fault = {"pointer": pointer, "code": slug, "detail": "scripted"}
        problem = {"type": f"/problems/{slug}", "status": status, "detail": "scripted", "errors": [fault]}
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._script.append(_json_reply(problem, status=status, **headers))

    def drop(self, failure: OSError | None = None) -> None:
        """Script a connection that ends without a reply.

        Args:
            failure: what the client meets, such as `TimeoutError()`; left out, a reset connection.
        """
        self._script.append(failure or ConnectionResetError("scripted"))

    def __call__(self, request: HttpRequest) -> HttpReply:
        """The next answer, as a transport gives it.

        Raises:
            OSError: a connection without a reply was scripted.
            AssertionError: an output was scripted that the call does not ask for.
        """
        wire = WIRES["binary" if request.headers.get("Content-Type") == WIRES["binary"].media_type else "json"]
        asked = FakeRequest(request.url.rpartition("/")[2], _fields_of(request.body, wire))
        self.requests.append(asked)
        try:
            scripted = self._script.popleft()
        except IndexError:  # asked before it is taken, it could be gone: chunks are sent by several threads
            scripted = _ZEROS
        if isinstance(scripted, OSError):
            raise scripted
        return scripted if isinstance(scripted, HttpReply) else _answer(asked, wire, scripted)

    async def awaited(self, request: HttpRequest) -> HttpReply:
        """The next answer, as the transport of the asynchronous client gives it."""
        return self(request)


def _fields_of(body: bytes, wire: Wire) -> dict[str, Any]:
    if wire is WIRES["binary"]:
        tensors, metadata = decode_tensors(body)
        return {**tensors, **parse_object(metadata["options"])}
    members = parse_object(body or b"{}")
    is_array = {name: isinstance(value, list) and name != "include" for name, value in members.items()}
    return {name: np.array(value) if is_array[name] else value for name, value in members.items()}


def _answer(asked: FakeRequest, wire: Wire, scripted: Mapping[str, object]) -> HttpReply:
    if asked.operation not in _OPERATIONS:
        return _json_reply({**(_LIMITS if asked.operation == "limits" else {}), **scripted})
    expected = expectation_of(_OPERATIONS[asked.operation], asked.fields, wire)
    applied = applied_of(asked.fields, expected)
    if asked.operation == CHECK.name:
        return _json_reply({**_MATCH, **scripted, "applied": applied})
    if unasked := scripted.keys() - {*expected.outputs}:
        raise AssertionError(f"{asked.operation}() does not ask for {', '.join(sorted(unasked))}")
    outputs = {name: _output(name, scripted.get(name), expected) for name in expected.outputs}
    return _reply({**outputs, "applied": applied}, wire)


def _output(name: str, scripted: object, expected: Expectation[Any]) -> object:
    """An output as it travels: of the right kind, and if nothing was scripted, zeros."""
    if name == "summary":
        return asdict(scripted if isinstance(scripted, Summary) else _NOTHING)
    output = expected.operation.arrays[name]
    if not output.axes:
        return float(np.asarray(scripted or 0.0, expected.dtype))  # JSON does not take NumPy's own
    sizes = dict(zip("NK", expected.shape, strict=True))
    array = np.zeros([sizes[axis] for axis in output.axes], output.dtype or expected.dtype)
    return array if scripted is None else np.broadcast_to(np.asarray(scripted, array.dtype), array.shape)


def _reply(document: Mapping[str, object], wire: Wire) -> HttpReply:
    arrays = {name: value for name, value in document.items() if _is_array(value)}
    if wire is WIRES["json"]:
        return _json_reply({**document, **{name: _listed(array) for name, array in arrays.items()}})
    result = json.dumps({name: value for name, value in document.items() if name not in arrays})
    return HttpReply(200, {"Content-Type": wire.media_type}, encode_tensors(arrays, {"result": result}))


def _is_array(value: object) -> TypeGuard[NDArray[Any]]:
    return isinstance(value, np.ndarray)


def _listed(array: NDArray[Any]) -> object:
    """Nested lists, with null for −∞, which JSON does not have."""
    listed = array.astype(object)
    if array.dtype.kind == "f":
        listed[np.isneginf(array)] = None
    return listed.tolist()


def _json_reply(document: Mapping[str, object], *, status: int = 200, **headers: str) -> HttpReply:
    media_type = WIRES["json"].media_type
    return HttpReply(status, {"Content-Type": media_type, **headers}, json.dumps(document).encode())
