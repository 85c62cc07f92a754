"""The read-only shapes that results are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray

ROW_FIELDS = ("logits", "labels", "targets", "sample_weights", "element_mask", "upstream")
"""Fields whose first axis is that of the rows."""

ValueT_co = TypeVar("ValueT_co", covariant=True)


class ReadOnlyMapping(Mapping[str, ValueT_co], Generic[ValueT_co]):
    """A mapping that cannot be changed, and that, unlike `types.MappingProxyType`, pickles and copies."""

    __slots__ = ("_entries",)

    _entries: dict[str, ValueT_co]

    def __init__(self, entries: Mapping[str, ValueT_co] | None = None) -> None:
        object.__setattr__(self, "_entries", dict(entries or {}))

    def __getitem__(self, name: str) -> ValueT_co:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._entries!r})"

    def __reduce__(self) -> tuple[type, tuple[dict[str, ValueT_co]]]:
        return type(self), (self._entries,)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at sending a request, kept on results and on errors."""

    number: int
    """1 for the first."""
    status: int | None
    """The HTTP status, or None when no complete reply arrived."""
    failure: str | None
    """Why no reply arrived, or None when one did."""
    started_after_seconds: float
    """Time from the start of the call to the start of this attempt."""
    elapsed_seconds: float
    """Time from the start of this attempt to its reply or failure."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the service found wrong with a request, kept on errors."""

    pointer: str
    """JSON pointer to the offending element of the request, such as `/labels/3`; empty for the whole."""
    code: str
    """The kind, such as `label-out-of-range`."""
    detail: str
    """The service's own sentence about it."""

    @property
    def row(self) -> int | None:
        """The row that `pointer` names, if it is in a field with a value for each row."""
        # Nineteen digits hold every row there can be; Python refuses to read thousands of them.
        found = re.match(r"/([^/]*)/([0-9]{1,19})(/|$)", self.pointer)
        return int(found[2]) if found and found[1] in ROW_FIELDS else None


@dataclass(frozen=True, slots=True)
class Meta:
    """About a call rather than its numbers."""

    request_id: str
    """The id in the service's log and problem documents."""
    attempts: tuple[Attempt, ...]
    """Every attempt, first to last; the last one succeeded."""
    server_timing: ReadOnlyMapping[float] = field(default_factory=ReadOnlyMapping[float])
    """Milliseconds the service spent in each stage, by its `Server-Timing` header."""
    request_bytes: int = 0
    """Size of the request's body."""
    reply_bytes: int = 0
    """Size of the reply's body."""


@dataclass(frozen=True, slots=True)
class Output:
    """How one output looks: its axes in the letters of the documentation, and its NumPy dtype.

    A dtype of None means the reply's own floating dtype, which `applied["dtype"]` names.
    """

    axes: str
    dtype: type[np.generic] | None = None


class Result:
    """What every reply has in common.

    An output that was not asked for raises `AttributeError` when read, and `hasattr` is False, instead
    of being None: so each attribute has one type, user code needs no `is not None` before every use,
    and a forgotten `include` is named where it is noticed.
    """

    applied: ReadOnlyMapping[object]
    """Every scalar option in force, defaults included, and the number a mean was divided by."""
    meta: Meta
    """About the call rather than the numbers: request id, attempts, timing, sizes."""

    def __init__(self, outputs: Mapping[str, object], *, applied: ReadOnlyMapping[object], meta: Meta) -> None:
        self.__dict__.update(outputs, applied=applied, meta=meta)

    if not TYPE_CHECKING:  # a visible __getattr__ would make every misspelt attribute type-check

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            if name in getattr(type(self), "__annotations__", ()):
                raise AttributeError(f"{name} was not asked for: add {name!r} to include=[...]")
            raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __repr__(self) -> str:
        shown = (f"{name}={_sketch(value)}" for name, value in vars(self).items() if name != "meta")
        return f"{type(self).__name__}({', '.join(shown)})"


def outputs_of(result: type[Result]) -> Mapping[str, Output]:
    """The outputs that a kind of result can hold, by name, as its annotations describe them."""
    hints = get_type_hints(result, include_extras=True)
    found = {name: getattr(hint, "__metadata__", (None,))[0] for name, hint in hints.items()}
    return {name: output for name, output in found.items() if isinstance(output, Output)}


def _sketch(value: object) -> str:
    """An array as `float64[2, 3]`, anything else in full."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    array = cast("NDArray[Any]", value)
    return f"{array.dtype}{list(array.shape)}"
