"""How fields become a body and a body becomes fields, one class per format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, Protocol, cast

import numpy as np

from ._fields import Value
from ._safetensors import MEDIA_TYPE, decode_tensors, encode_tensors
from ._strict_json import parse_object

WireName = Literal["binary", "json"]


class Wire(Protocol):
    """A body format."""

    @property
    def media_type(self) -> str:
        """What `Content-Type` and `Accept` say."""
        ...

    def encode(self, fields: Mapping[str, Value]) -> bytes:
        """A request's body."""
        ...

    def decode(self, body: bytes) -> dict[str, object]:
        """A reply's fields, arrays as nested lists or as ndarrays. Raises ValueError if malformed."""
        ...


class BinaryWire:
    """safetensors: arrays as they lie in memory under their fields' names, the rest as one JSON object."""

    media_type = MEDIA_TYPE

    def encode(self, fields: Mapping[str, Value]) -> bytes:
        """Arrays keep their dtype, which for the logits is also how they ask for the dtype of the answer."""
        tensors = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
        options = {name: value for name, value in fields.items() if name not in tensors}
        return encode_tensors(tensors, {"options": _dump(options)})

    def decode(self, body: bytes) -> dict[str, object]:
        """The arrays of the reply, read-only views of its bytes, and the members of its `result`."""
        tensors, metadata = decode_tensors(body)
        result = parse_object(metadata.get("result", "{}"))
        if tensors.keys() & result.keys() or any(isinstance(value, list) for value in result.values()):
            raise ValueError("an array stands in result, where the scalars are")
        return {**tensors, **result}


class JsonWire:
    """JSON as RFC 8259 has it: no NaN, no infinities."""

    media_type = "application/json"

    def encode(self, fields: Mapping[str, Value]) -> bytes:
        """The fields as one object. Numbers keep every bit: a float32 travels as the float64 equal to it.

        Logits of at most 32 bits with no dtype asked for get `dtype: "float32"`, so that the answer has the
        logits' precision here as it does on the wire that carries dtypes.
        """
        document: dict[str, object] = {}
        for name, value in fields.items():
            field, _, member = name.partition(".")
            entry = value.tolist() if isinstance(value, np.ndarray) else value
            if member:
                cast("dict[str, object]", document.setdefault(field, {}))[member] = entry
            else:
                document[field] = entry
        if reply_dtype(fields) == "float32":
            document["dtype"] = "float32"
        return _dump(document).encode()

    def decode(self, body: bytes) -> dict[str, object]:
        """The members of the reply's object, arrays as nested lists."""
        return parse_object(body)


def reply_dtype(fields: Mapping[str, Value]) -> str:
    """The floating dtype that the answer to a request has: as asked for, else the logits', half precision widened."""
    is_narrow = np.asarray(fields["logits"]).dtype.itemsize <= np.dtype(np.float32).itemsize
    return str(fields.get("dtype", "float32" if is_narrow else "float64"))


def number_type(dtype: str) -> np.dtype[np.floating]:
    """What NumPy holds numbers of a reply's dtype in; float64 for a word that is none, which the service refuses."""
    return np.dtype(np.float32 if dtype == "float32" else np.float64)


WIRES: Mapping[WireName, Wire] = {"binary": BinaryWire(), "json": JsonWire()}
"""The formats by the names that the clients' `wire=` takes."""


def _dump(document: Mapping[str, object]) -> str:
    return json.dumps(document, allow_nan=False, separators=(",", ":"))
