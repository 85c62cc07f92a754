"""Building requests: plain functions, nothing sent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import numpy as np

from ._arrays import AnyArray
from ._fields import Value
from ._options import CLAIMS, CheckOptions, GradientOptions, LossOptions, Reader, SoftmaxOptions, readers
from ._records import Output, Result, outputs_of
from ._refusal import refusal
from ._wire import WIRES, Wire, reply_dtype
from .reports import CheckResult
from .results import GradientResult, LossResult, SoftmaxResult

# What an answer holds besides its arrays: a header, scalars, tails of sums, a report, what later versions add.
_ROOM_FOR_THE_REST = 1024 * 1024
# A float64 takes 24 characters, and a comma; a row of one class adds brackets.
_MOST_JSON_BYTES_A_NUMBER = 32

ResultT = TypeVar("ResultT", bound=Result)


@dataclass(frozen=True, slots=True)
class Operation(Generic[ResultT]):
    """An endpoint that computes: what it takes and what it answers."""

    name: str
    fields: Mapping[str, Reader]
    result: type[ResultT]
    arrays: Mapping[str, Output]
    defaults: tuple[str, ...]
    claims: tuple[str, ...] = ()
    """Fields that are members of `claimed`; then the answer is a report, in JSON."""


def _operation(name: str, options: type, result: type[ResultT], *defaults: str) -> Operation[ResultT]:
    return Operation(name, readers(options), result, outputs_of(result), defaults)


SOFTMAX = _operation("softmax", SoftmaxOptions, SoftmaxResult, "probabilities", "predicted_labels")
LOSS = _operation("loss", LossOptions, LossResult, "loss", "summary")
GRADIENT = _operation("gradient", GradientOptions, GradientResult, "loss", "gradient", "summary")

CHECK = Operation("check", readers(CheckOptions), CheckResult, {}, (), claims=CLAIMS)


@dataclass(frozen=True, slots=True)
class Message:
    """A request without what changes from attempt to attempt."""

    method: str
    path: str
    body: bytes = b""
    media_type: str | None = None
    accept: str = WIRES["json"].media_type
    max_reply_bytes: int = _ROOM_FOR_THE_REST
    """No answer is longer."""


@dataclass(frozen=True, slots=True)
class Expectation(Generic[ResultT]):
    """What the request implies about its reply."""

    operation: Operation[ResultT]
    wire: Wire
    """Of the reply."""
    shape: tuple[int, int]
    dtype: str
    outputs: tuple[str, ...]


def build_request(
    operation: Operation[ResultT], inputs: Mapping[str, object], wire: Wire
) -> tuple[Message, Expectation[ResultT]]:
    """The request for an operation, and what its reply must hold.

    Args:
        operation: the endpoint.
        inputs: arguments by name, as the caller gave them; those that are None are not sent.
        wire: the body's format.

    Returns:
        The message and the expectation that `parse_reply` needs.

    Raises:
        InputError: an argument cannot be sent.
        TypeError: an argument the operation does not have.
    """
    fields = _read_fields(operation, inputs)
    for name in operation.claims:
        if name in fields and not hasattr(inputs[name], "dtype"):
            fields[name] = _in_dtype_of_answer(cast("AnyArray", fields[name]), fields)
    answer = WIRES["json"] if operation.claims else wire
    batch_size, num_classes = np.shape(fields["logits"])
    outputs = _asked_outputs(operation, fields)
    expected = Expectation(operation, answer, (batch_size, num_classes), reply_dtype(fields), outputs)
    message = Message(
        "POST",
        f"/{operation.name}",
        wire.encode(_named_claims(operation, fields, wire)),
        wire.media_type,
        answer.media_type,
        _most_reply_bytes(expected),
    )
    return message, expected


def _most_reply_bytes(expected: Expectation[ResultT]) -> int:
    """A bound of the reply's length."""
    sizes = dict(zip("NK", expected.shape, strict=True))
    room = _ROOM_FOR_THE_REST
    for name in expected.outputs:
        if name in expected.operation.arrays:
            output = expected.operation.arrays[name]
            is_json = expected.wire is WIRES["json"]
            each = _MOST_JSON_BYTES_A_NUMBER if is_json else np.dtype(output.dtype or expected.dtype).itemsize
            room += each * math.prod(sizes[axis] for axis in output.axes)
    return room


def _read_fields(operation: Operation[ResultT], inputs: Mapping[str, object]) -> dict[str, Value]:
    if inputs.get("logits") is None:
        raise refusal("logits", "is None", "it takes numbers, shape (rows, classes)")
    fields: dict[str, Value] = {}
    for name, value in inputs.items():
        if name not in operation.fields:
            raise TypeError(_unknown_option(operation, name))
        if value is not None:
            fields[name] = operation.fields[name](name, value)
    return _name_mask(fields)


def _unknown_option(operation: Operation[ResultT], name: str) -> str:
    import difflib  # noqa: PLC0415 - only a mistake needs it

    near = difflib.get_close_matches(name, operation.fields, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{operation.name}() got an unexpected keyword argument {name!r}{hint}"


def _name_mask(fields: dict[str, Value]) -> dict[str, Value]:
    """The convenience `mask` under the name of the field that has its rank."""
    if "mask" not in fields:
        return fields
    mask = fields.pop("mask")
    name = "class_mask" if np.ndim(mask) == 1 else "element_mask"
    if name in fields:
        raise refusal("mask", f"is given together with {name}", "give one of the two")
    fields[name] = mask
    return fields


def _in_dtype_of_answer(claim: AnyArray, fields: Mapping[str, Value]) -> AnyArray:
    """A claim of Python's own numbers, counted as in JSON: they have the dtype of the answer, if it holds them."""
    with np.errstate(over="ignore"):
        typed = claim.astype(reply_dtype(fields))
    return typed if np.array_equal(np.isfinite(typed), np.isfinite(claim)) else claim


def _named_claims(operation: Operation[ResultT], fields: Mapping[str, Value], wire: Wire) -> dict[str, Value]:
    """The fields with what is claimed under the names that it travels by."""
    if operation.claims and not any(name in fields for name in operation.claims):
        raise refusal(
            "check()", "is given nothing to check", f"pass {' or '.join(f'{name}=' for name in operation.claims)}"
        )
    if wire is WIRES["json"]:
        for name in operation.claims:
            if name in fields and not np.isfinite(cast("AnyArray", fields[name])).all():
                raise refusal(name, "holds NaN or an infinity, which JSON does not", 'check it with wire="binary"')
    return {f"claimed.{name}" if name in operation.claims else name: value for name, value in fields.items()}


def _asked_outputs(operation: Operation[ResultT], fields: Mapping[str, Value]) -> tuple[str, ...]:
    include = fields.get("include")
    if isinstance(include, list):
        return tuple(include)
    unreduced = fields.get("reduction") == "none"
    return tuple("losses" if name == "loss" and unreduced else name for name in operation.defaults)
