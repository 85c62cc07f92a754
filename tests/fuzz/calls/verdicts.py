"""Whether a reply keeps the contract: no 500, problems complete and small, every 200 equal to the reference."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.core import accuracy_cases
from tests.core.accuracy_bounds import SINGLE, Measurement
from tests.fuzz.calls.asgi import Reply
from tests.fuzz.calls.doubles import WIDE, Answer
from tests.fuzz.calls.messages import JSON_BYTES, Message
from tests.fuzz.calls.questions import SOFTMAX, Array
from tests.fuzz.calls.readers import Fields, RefusedError, check, read_inference, read_json, read_safetensors
from tests.fuzz.calls.replies import Answered, read
from tests.fuzz.calls.reports import is_due, is_report
from tests.fuzz.calls.rules import Case, case_of
from tests.reference.exact import evaluate

MAX_PROBLEM_BYTES = 16 * 1024
MAX_ERRORS = 20
MEMBERS = {"type", "title", "status", "detail", "instance", "request_id", "errors", "error"}
POINTER = re.compile(r"(/([^~/]|~[01])*)*")
CALL = re.compile(r"/(softmax|loss|gradient|check)|/v2/models/(softmax|loss|gradient)(?:/versions/1)?/infer")
LIMIT_BYTES = 2**24
ULPS = {("float32", "accurate"): 0.55, ("float64", "accurate"): 16.0}
SMALLEST, SMALLEST_SINGLE = WIDE(5e-324), WIDE(1.5e-45)
PRODUCT_ULPS = 40.0
CLOSE, CLOSE_SINGLE = 1.0, 0.0005
"""So many ulps below what is promised an error begins to be judged by the slow reference: the quick one errs by less,
where nothing is extreme. In float32, where one rounding is promised, it is the second."""
REFUSALS_OF_RESULTS = frozenset({"number-out-of-range", "output-too-large"})
"""What depends on results or on sizes, and not on a rule that can be read off the request."""


class WrongReplyError(AssertionError):
    """The reply breaks the contract; the text says how."""


def demand(is_kept: object, what: str) -> None:
    """Raise where the contract is not kept."""
    if not is_kept:
        raise WrongReplyError(what)


def judge(message: Message, reply: Reply, *, is_exact: bool = False) -> None:
    """Raise WrongReplyError where a reply breaks the contract; exactly: by the slow reference as well."""
    demand(reply.failure is None, f"raised {reply.failure!r}")
    demand(reply.header("x-request-id"), "no request id")
    if reply.status >= 400:
        _judge_problem(reply)
    demand(reply.status == 200 or not message.is_plain, f"a plain request was refused: {reply.body[:300]!r}")
    match = CALL.fullmatch(message.path.partition("?")[0])
    if match and message.method == "POST":
        _judge_call(match[1] or match[2], message, reply, is_exact=is_exact)


def _judge_problem(reply: Reply) -> None:
    demand(reply.status < 500 or reply.status in {501, 503, 504}, f"status {reply.status}")
    demand(reply.header("content-type") == "application/problem+json", "a problem's media type")
    demand(len(reply.body) <= MAX_PROBLEM_BYTES, "a problem of 16 KiB")
    problem = json.loads(reply.body)
    demand(set(problem) == MEMBERS, "a problem's members")
    errors = problem["errors"]
    demand(1 <= len(errors) <= MAX_ERRORS, "a problem's errors")
    for error in errors:
        demand(set(error) == {"pointer", "code", "detail"} and error["detail"], "an error's members")
        demand(POINTER.fullmatch(error["pointer"]), "a pointer of RFC 6901")
        demand(error["detail"].isprintable() and error["pointer"].isprintable(), "printable texts")
    demand(problem["type"] == f"/problems/{errors[0]['code']}", "a problem's type")
    demand(problem["status"] == reply.status, "a problem's status")
    demand(problem["detail"] == problem["error"] == errors[0]["detail"] and problem["title"], "a problem's texts")
    demand(problem["request_id"] == reply.header("x-request-id"), "a problem's request id")
    named = {401: "www-authenticate", 405: "allow", 503: "retry-after"}.get(reply.status)
    demand(named is None or reply.header(named), f"a header of {reply.status}")


def _judge_call(operation: str, message: Message, reply: Reply, *, is_exact: bool) -> None:
    try:
        case = case_of(operation, _fields(message))
    except RefusedError as error:
        demand(reply.status != 200, f"answered in spite of a rule: {error}")
        return
    with np.errstate(all="ignore"):
        answer = Answer(case)
        if reply.status == 200 and operation == "check":
            _hold_report(case, answer, json.loads(reply.body))
        elif reply.status == 200:
            answered = read(_plain(reply), case)
            is_close = _compare(case, answer, answered)
            if is_exact or is_close:
                _compare_exactly(case, answered)
        elif reply.status == 422:
            slug = json.loads(reply.body)["errors"][0]["code"]
            demand(slug in REFUSALS_OF_RESULTS, f"refused as {slug}, and no rule is broken")


def _plain(reply: Reply) -> Reply:
    """Return a reply without its content coding."""
    coding = reply.header("content-encoding")
    inflaters: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
    return Reply(reply.status, reply.headers, inflaters.get(coding, bytes)(reply.body))


def _fields(message: Message) -> Fields:
    body = message.body
    if message.path.startswith("/v2"):
        coding = (message.header("content-encoding") or "").lower()
        if coding in {"gzip", "x-gzip", "deflate"}:
            body = _inflated(body, coding)
        return read_inference(body, message.header(JSON_BYTES), message.path.split("/")[3])
    media_type = (message.header("content-type") or "").partition(";")[0].strip().lower()
    return read_json(body) if media_type == "application/json" else read_safetensors(body)


def _inflated(body: bytes, coding: str) -> bytes:
    """Return the content of one stream of deflate, or of gzip's streams."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS + (0 if coding == "deflate" else 16))
    try:
        content = inflater.decompress(body, LIMIT_BYTES)
    except zlib.error as error:
        raise RefusedError(str(error)) from None
    check(inflater.eof, "a whole stream")
    check(coding != "deflate" or not inflater.unused_data, "one stream")
    return content + (_inflated(inflater.unused_data, coding) if inflater.unused_data else b"")


def _compare(case: Case, answer: Answer, answered: Answered) -> bool:
    """Hold every output against the quick reference; return whether one is so far off that the slow one has to tell."""
    measured, is_close = _measurement(case), False
    names = set(answered.arrays) | (set(answered.scalars) - {"applied"})
    demand(names == set(case.include), f"outputs {sorted(names)}, asked for {sorted(case.include)}")
    for name, found in answered.arrays.items():
        if name == "predicted_labels":
            demand(np.array_equal(found, answer.scored.top), name)
        elif name == "one_hot":
            demand(np.array_equal(found, answer.scored.is_top), name)
        else:
            demand(found.dtype == case.dtype, f"dtype of {name}")
            is_close |= _hold(case, name, found, answer.sized(name), measured.bound(name))
    for name, found in _loss_of(case, answered).items():
        is_close |= _hold(case, name, found, answer.sized(name), measured.bound(name))
    if "summary" in answered.scalars:
        _hold_summary(answer, answered.scalars["summary"])
    _hold_applied(case, answer, answered.scalars["applied"])
    return is_close


def _loss_of(case: Case, answered: Answered) -> dict[str, Array]:
    """Return the reduced loss, if it was answered."""
    return {"loss": np.array(answered.scalars["loss"], case.dtype)} if "loss" in answered.scalars else {}


def _hold(case: Case, name: str, found: Array, sized: tuple[Array, Array, Any], promised: Any) -> bool:
    """Raise beyond what the quick reference can tell apart; return whether an error comes close to what is promised."""
    value, size, floor = sized
    demand(found.shape == value.shape, f"shape of {name}")
    limits = np.finfo(case.dtype)
    is_hidden = np.isneginf(value) & np.isneginf(found) & (name == "log_probabilities")
    demand((np.isfinite(found) | is_hidden).all(), f"{name} is not finite")
    magnitude = np.minimum(np.maximum(np.abs(value), size), limits.max).astype(case.dtype)
    unit = np.maximum(np.spacing(magnitude).astype(WIDE), WIDE(limits.smallest_subnormal) * floor)
    error = np.where(is_hidden, 0, np.abs(found.astype(WIDE) - value))
    bound = max(_bound(case), PRODUCT_ULPS if name == "gradient_by_chain_rule" else 0.0)
    is_wrong = ~(error <= bound * unit)
    if is_wrong.any():
        place = tuple(np.argwhere(is_wrong)[0].tolist())
        raise WrongReplyError(f"{name}{list(place)}: {found[place]!r}, not {value[place]!r}, bound {bound:g} ulp")
    if name == "gradient_by_chain_rule":  # is held against the factors as reported
        return False
    close = np.max(promised) - (CLOSE_SINGLE if np.max(promised) <= SINGLE else CLOSE)
    return bool((error > close * unit).any())


def _bound(case: Case) -> float:
    """Return the ulps allowed: the contract's, and what the quick reference itself may err."""
    exact = ULPS.get((case.dtype.name, case.options["precision"]))
    if exact is not None:
        return exact
    scores = np.where(case.mask, case.logits, -np.inf).astype(WIDE)
    gaps = (scores.max(axis=1, keepdims=True) - scores) / WIDE(case.options["temperature"])
    alone = np.where(case.mask, np.abs(scores), 0) / WIDE(case.options["temperature"])
    return 32.0 + 2 * float(max(gaps[gaps < 800].max(initial=0), alone[alone < 800].max(initial=0)))


def _hold_summary(answer: Answer, summary: dict[str, Any]) -> None:
    counts = answer.counts()
    demand(counts.items() <= summary.items(), f"counts {summary}, not {counts}")
    is_single = answer.case.options["precision"] == "fast" and answer.case.dtype == np.float32
    rows = np.maximum(1, answer.case.weights("sample_weights")).sum()
    for name, total in (("loss", answer.losses.sum()), ("weight", answer.weight_sum)):
        told = WIDE(summary[f"{name}_sum"])
        demand(np.isfinite(told), f"{name}_sum is not finite")
        bound, least = (1e-5, SMALLEST_SINGLE) if is_single else (1e-13, SMALLEST)
        demand(abs(told - total) <= bound * abs(total) + rows * least, f"{name}_sum {told!r}, not {total!r}")


def _hold_applied(case: Case, answer: Answer, applied: dict[str, Any]) -> None:
    """Hold what is said to be in force against what is."""
    for name, value in applied.items():
        if name == "denominator_value":
            demand(abs(WIDE(value) - answer.denominator) <= 1e-13 * answer.denominator + SMALLEST, name)
        else:
            demand(value == case.options[name], f"applied {name}")


def _hold_report(case: Case, answer: Answer, document: dict[str, Any]) -> None:
    demand(is_report(document, case), f"a report: {document}")
    demand(is_due(document["verdict"], case, answer), f"the verdict is {document['verdict']}")
    _hold_applied(case, answer, document["applied"])


def _compare_exactly(case: Case, answered: Answered) -> None:
    """Hold the outputs within the bounds of the contract, by the reference of arbitrary precision."""
    found = answered.arrays | (_loss_of(case, answered))
    left_out = {"gradient_by_chain_rule", "predicted_labels", "one_hot"}
    names = tuple(name for name in found if name not in left_out)
    measured = _measurement(case)
    exact = evaluate(case.logits, include=names, **measured.case.options)
    for name in names:
        measured.hold(name, found[name], exact[name], measured.bound(name))
    demand(not measured.excesses, "; ".join(map(str, measured.excesses)))


def _measurement(case: Case) -> Measurement:
    given = {name: value for name, value in case.options.items() if name not in {"dtype", "precision", "targets_sum"}}
    options = {"objective": SOFTMAX} | given | {name: case.arrays[name] for name in case.arrays if name != "logits"}
    return Measurement(accuracy_cases.Case("fuzzed", case.logits, options, 0), case.options["precision"])
