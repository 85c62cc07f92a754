"""Parsing replies: plain functions that refuse whatever is not what the request implies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ._outputs import ContractError, check_dtype, read_output, read_summary
from ._protocol import Expectation, ResultT
from ._records import ReadOnlyMapping
from ._reports import read_report
from ._transport import HttpReply
from ._wire import WIRES, Wire
from .results import Limits, Meta


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


_BEYOND_LIMITS = 2**63


def parse_limits(reply: HttpReply) -> Limits:
    """The numbers of a `/limits` reply; members of any other kind, or that no limit can be, are skipped."""
    document = _decode(reply, WIRES["json"])  # whatever the wire of the tensors
    numbers = {
        name: value
        for name, value in document.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _BEYOND_LIMITS
    }
    return Limits(numbers)


def _decode(reply: HttpReply, wire: Wire) -> dict[str, object]:
    if reply.status != 200:  # noqa: PLR2004 - the contract knows one status of success
        raise ContractError(f"status {reply.status} is neither success nor problem")
    coding = (reply.header("Content-Encoding") or "identity").strip().lower()
    if coding != "identity":
        raise ContractError(f"the body is coded as {coding}, which was not asked for")
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
