"""Building requests: plain functions, nothing sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar, cast

import numpy as np

from ._arrays import AnyArray
from ._bfloat16 import is_marked
from ._fields import Value
from ._nested import is_untyped
from ._options import CLAIMS, CheckOptions, GradientOptions, LossOptions, Reader, SoftmaxOptions, readers
from ._records import Output, Result, outputs_of
from ._refusal import refusal
from ._wire import WIRES, Wire, number_type, reply_dtype
from .reports import CheckResult
from .results import GradientResult, LossResult, SoftmaxResult

# What an answer holds besides its arrays: a header, scalars, tails of sums, a report, what later versions add.
_BYTES_OF_THE_REST = 1024 * 1024
MOST_JSON_BYTES_A_NUMBER = 32
"""A float64 takes 24 characters, and a comma; a row of one class adds brackets."""

ResultT = TypeVar("ResultT", bound=Result)


@dataclass(frozen=True)
class Operation(Generic[ResultT]):
    """An endpoint that computes: what it takes and what it answers.

    Annotations, which tell both, take longer to read than all the rest of an import: not before a call needs them.
    """

    name: str
    options: type
    result: type[ResultT]
    defaults: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    """Fields that are members of `claimed`; then the answer is a report, in JSON."""

    @cached_property
    def fields(self) -> Mapping[str, Reader]:
        """What reads each field that it takes, by name."""
        return readers(self.options)

    @cached_property
    def arrays(self) -> Mapping[str, Output]:
        """The outputs that it can answer, by name; none of a report."""
        return outputs_of(self.result)


SOFTMAX = Operation("softmax", SoftmaxOptions, SoftmaxResult, ("probabilities", "predicted_labels"))
LOSS = Operation("loss", LossOptions, LossResult, ("loss", "summary"))
GRADIENT = Operation("gradient", GradientOptions, GradientResult, ("loss", "gradient", "summary"))
CHECK = Operation("check", CheckOptions, CheckResult, claims=CLAIMS)


@dataclass(frozen=True, slots=True)
class Message:
    """A request without what changes from attempt to attempt."""

    method: str
    path: str
    body: bytes = b""
    media_type: str | None = None
    accept: str = WIRES["json"].media_type
    max_reply_bytes: int = _BYTES_OF_THE_REST
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

    @property
    def bytes_a_row(self) -> int:
        """How long what the reply holds of a row can be."""
        num_bytes = 0
        for output in (self.operation.arrays[name] for name in self.outputs if name in self.operation.arrays):
            is_json = self.wire is WIRES["json"]
            each = MOST_JSON_BYTES_A_NUMBER if is_json else np.dtype(output.dtype or number_type(self.dtype)).itemsize
            num_bytes += each * self.shape[1] ** output.axes.count("K")
        return num_bytes


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
    fields = read_fields(operation, inputs)
    expected = expectation_of(operation, fields, wire)
    return build_message(fields, expected, wire), expected


def read_fields(operation: Operation[ResultT], inputs: Mapping[str, object]) -> dict[str, Value]:
    """The arguments as they travel, by the names of the service's fields; see `build_request`."""
    if inputs.get("logits") is None:
        raise refusal("logits", "is None", "it takes numbers, shape (rows, classes)")
    fields: dict[str, Value] = {}
    for name, value in inputs.items():
        if name not in operation.fields:
            raise TypeError(_unknown_option(operation, name))
        if value is not None:
            fields[name] = operation.fields[name](name, value)
    for name in operation.claims:
        if name in fields and is_untyped(name, inputs[name]):
            fields[name] = _in_dtype_of_answer(cast("AnyArray", fields[name]), fields)
    return _name_mask(fields)


def expectation_of(operation: Operation[ResultT], fields: Mapping[str, Value], wire: Wire) -> Expectation[ResultT]:
    """What fields imply about the reply."""
    batch_size, num_classes = np.shape(fields["logits"])
    answer = WIRES["json"] if operation.claims else wire
    outputs = _asked_outputs(operation, fields)
    return Expectation(operation, answer, (batch_size, num_classes), reply_dtype(fields), outputs)


def build_message(fields: Mapping[str, Value], expected: Expectation[ResultT], wire: Wire) -> Message:
    """The request that asks for what is expected."""
    operation = expected.operation
    return Message(
        "POST",
        f"/{operation.name}",
        wire.encode(_named_claims(operation, fields, wire)),
        wire.media_type,
        expected.wire.media_type,
        _BYTES_OF_THE_REST + expected.shape[0] * expected.bytes_a_row,
    )


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
        typed = claim.astype(number_type(reply_dtype(fields)))
    return typed if np.array_equal(np.isfinite(typed), np.isfinite(claim)) else claim


def _named_claims(operation: Operation[ResultT], fields: Mapping[str, Value], wire: Wire) -> dict[str, Value]:
    """The fields with what is claimed under the names that it travels by."""
    if operation.claims and not any(name in fields for name in operation.claims):
        raise refusal(
            "check()", "is given nothing to check", f"pass {' or '.join(f'{name}=' for name in operation.claims)}"
        )
    if wire is WIRES["json"]:
        for name in operation.claims:
            if name in fields:
                _check_json_claim(name, cast("AnyArray", fields[name]), number_type(reply_dtype(fields)))
    return {f"claimed.{name}" if name in operation.claims else name: value for name, value in fields.items()}


def _check_json_claim(name: str, claim: AnyArray, dtype: np.dtype[np.floating]) -> None:
    """Refuse what JSON cannot say: numbers that are none, and a dtype, for its numbers count as the answer's."""
    cure = 'check it with wire="binary"'
    if not np.isfinite(claim).all():
        raise refusal(name, "holds NaN or an infinity, which JSON does not", cure)
    if claim.dtype != dtype or is_marked(claim):
        own = "bfloat16" if is_marked(claim) else claim.dtype.name
        raise refusal(name, f"has dtype {own}, and in JSON it would be judged as {dtype.name}", cure)


def _asked_outputs(operation: Operation[ResultT], fields: Mapping[str, Value]) -> tuple[str, ...]:
    include = fields.get("include")
    if isinstance(include, list):
        return tuple(include)
    unreduced = fields.get("reduction") == "none"
    return tuple("losses" if name == "loss" and unreduced else name for name in operation.defaults)
