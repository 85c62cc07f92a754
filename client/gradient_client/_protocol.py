"""Building requests and parsing replies: plain functions, nothing sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import numpy as np

from ._arrays import AnyArray
from ._fields import Value
from ._options import CLAIMS, CheckOptions, GradientOptions, LossOptions, Reader, SoftmaxOptions, readers
from ._outputs import ContractError, check_dtype, read_output, read_summary
from ._records import Output, ReadOnlyMapping, Result, outputs_of
from ._refusal import refusal
from ._reports import read_report
from ._transport import HttpReply
from ._wire import WIRES, Wire, reply_dtype
from .reports import CheckResult
from .results import GradientResult, Limits, LossResult, Meta, SoftmaxResult

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
    claimed = _named_claims(operation, fields, wire)
    message = Message("POST", f"/{operation.name}", wire.encode(claimed), wire.media_type, answer.media_type)
    logits = fields["logits"]
    batch_size, num_classes = np.shape(logits)
    shape, outputs = (batch_size, num_classes), _asked_outputs(operation, fields)
    return message, Expectation(operation, answer, shape, reply_dtype(fields), outputs)


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


def parse_reply(reply: HttpReply, expected: Expectation[ResultT], meta: Meta) -> ResultT:
    """The typed result of a successful reply.

    Args:
        reply: an answer with status 200.
        expected: what `build_request` said about it.
        meta: about the call, to be attached.

    Returns:
        The result.

    Raises:
        ContractError: the reply is not what the contract says.
    """
    document = _decode(reply, expected.wire)
    if not isinstance(document.get("applied"), Mapping):
        raise ContractError("applied is missing or no object")
    applied = cast("Mapping[str, object]", document["applied"])
    check_dtype(applied, expected.dtype)
    if expected.operation.claims:
        return expected.operation.result(read_report(document), applied=ReadOnlyMapping(applied), meta=meta)
    outputs: dict[str, object] = {}
    for name in expected.outputs:
        if name not in document:
            raise ContractError(f"{name} is missing")
    # A summary comes along unasked; what this version does not know is left aside, not refused.
    for name, output in expected.operation.arrays.items():
        if name in document:
            outputs[name] = read_output(name, document[name], output, expected.shape, expected.dtype)
    if "summary" in document:
        outputs["summary"] = read_summary(document["summary"])
    return expected.operation.result(outputs, applied=ReadOnlyMapping(applied), meta=meta)


def parse_limits(reply: HttpReply) -> Limits:
    """The numbers of a `/limits` reply; members of any other kind are skipped."""
    document = _decode(reply, WIRES["json"])  # whatever the wire of the tensors
    numbers = {
        name: value
        for name, value in document.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return Limits(numbers)


def _decode(reply: HttpReply, wire: Wire) -> dict[str, object]:
    if reply.status != 200:  # noqa: PLR2004 - the contract knows one status of success
        raise ContractError(f"status {reply.status} is neither success nor problem")
    media_type = (reply.header("Content-Type") or "nothing").partition(";")[0].strip().lower()
    if media_type != wire.media_type:
        raise ContractError(f"the body is {media_type}, not {wire.media_type}")
    try:
        return wire.decode(reply.body)
    except ValueError as failure:
        raise ContractError(f"the body is malformed ({failure})") from None


def parse_server_timing(header: str | None) -> ReadOnlyMapping[float]:
    """Milliseconds by stage from a `Server-Timing` header such as `read;dur=0.2, compute;dur=1.5`."""
    stages: dict[str, float] = {}
    for entry in (header or "").split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.lower() == "dur" and value.replace(".", "", 1).isdecimal():
                stages[name] = float(value)
    return ReadOnlyMapping(stages)
