"""How fields become a body and a body becomes fields. One class per format; JSON is the only one so far.

A binary format joins as a sibling of `JsonWire` with the same two methods. It would leave finite checks
to the service and answer in the dtype of the logits; both are handled here because only JSON needs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn, Protocol, cast

import numpy as np

from ._arrays import check_finite
from ._fields import Value


class Wire(Protocol):
    """A body format."""

    @property
    def media_type(self) -> str:
        """What `Content-Type` and `Accept` say."""
        ...

    def encode(self, fields: Mapping[str, Value]) -> bytes:
        """A request's body. Raises InputError for a value the format cannot carry."""
        ...

    def decode(self, body: bytes) -> dict[str, object]:
        """A reply's fields, arrays as nested lists or ndarrays. Raises ValueError if malformed."""
        ...


class JsonWire:
    """JSON as RFC 8259 has it: no NaN, no infinities."""

    media_type = "application/json"

    def encode(self, fields: Mapping[str, Value]) -> bytes:
        """The fields as one object. Numbers keep every bit: a float32 travels as the float64 equal to it.

        Logits of at most 32 bits with no dtype asked for get `dtype: "float32"`, so that the answer has the
        logits' precision here as it does on a wire that carries dtypes.
        """
        document = {name: _plain(name, value) for name, value in fields.items()}
        logits = fields.get("logits")
        if isinstance(logits, np.ndarray) and logits.dtype.name in {"float16", "float32"}:
            document.setdefault("dtype", "float32")
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()

    def decode(self, body: bytes) -> dict[str, object]:
        """The members of the reply's object, arrays as nested lists."""
        try:
            document = json.loads(body, parse_constant=_refuse_constant)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(document, dict):
            raise ValueError("not an object")  # noqa: TRY004 - callers expect one error for every malformed body
        return cast("dict[str, object]", document)


def _plain(name: str, value: Value) -> object:
    array = np.asarray(value) if isinstance(value, float | np.ndarray) else None
    if array is None:
        return value
    check_finite(name, array)
    plain: object = array.tolist()
    return plain


def _refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is not JSON")
