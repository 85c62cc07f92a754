"""A check from arguments to report, and the assertion that fails by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradient_client import CheckResult, Diagnosis, GradientClient, HttpReply, InputError, Meta, WorstRow
from gradient_client._bfloat16 import marked
from gradient_client._outputs import ContractError
from gradient_client._protocol import CHECK, build_request
from gradient_client._replies import parse_reply
from gradient_client._safetensors import decode_tensors
from gradient_client._wire import WIRES, WireName
from gradient_client.testing import assert_gradient

from .conftest import URL, Script, json_reply, report_reply

LOGITS, LABELS = [[1.0, 2.0], [3.0, 0.5]], [0, 1]
GRADIENT = [[0.5, -0.5], [0.25, -0.25]]


def parse(reply: HttpReply, wire: WireName = "binary") -> CheckResult:
    """A reply read as the answer to a check."""
    _, expected = build_request(CHECK, {"logits": LOGITS, "labels": LABELS, "gradient": GRADIENT}, WIRES[wire])
    return parse_reply(reply, expected, Meta("id", ()))


def client_of(reply: HttpReply, **options: Any) -> tuple[GradientClient, Script]:
    """A client that is answered by one reply, and what it sends."""
    script = Script([reply])
    return GradientClient(URL, transport=script, **options), script


def test_claims_are_tensors_of_their_own_dtype() -> None:
    """In binary each claim is a tensor under its member's name, as the caller has it, NaN and all."""
    claimed = np.array([[np.nan, 0.5], [np.inf, 0.25]], np.float16)
    inputs = {"logits": LOGITS, "labels": LABELS, "gradient": claimed, "loss": np.float32(0.5)}
    message, _ = build_request(CHECK, inputs, WIRES["binary"])
    tensors, _ = decode_tensors(message.body)
    np.testing.assert_array_equal(tensors["claimed.gradient"], claimed)
    loss = tensors["claimed.loss"]
    assert (tensors["claimed.gradient"].dtype.name, loss.dtype.name, loss.shape) == ("float16", "float32", ())


@pytest.mark.parametrize(("options", "dtype"), [({}, "float32"), ({"dtype": "float64"}, "float64")])
def test_claims_of_python_numbers_have_the_dtype_of_the_answer(options: dict[str, Any], dtype: str) -> None:
    """`loss.item()` and nested lists count as in JSON: beside float32 logits they are no claim of 16 digits."""
    inputs = {"logits": np.array(LOGITS, np.float32), "labels": LABELS, "gradient": GRADIENT, "loss": 0.1, **options}
    message, _ = build_request(CHECK, inputs, WIRES["binary"])
    tensors, _ = decode_tensors(message.body)
    assert {name: tensors[f"claimed.{name}"].dtype.name for name in ("gradient", "loss")} == {
        "gradient": dtype,
        "loss": dtype,
    }
    assert tensors["claimed.loss"] == np.dtype(dtype).type(0.1)


class Frame:
    """A table as pandas has it: an array to be had, and no dtype of its own."""

    def __init__(self, rows: np.ndarray[Any, Any]) -> None:
        self._rows = rows

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return self._rows


ROWS = np.array(GRADIENT, np.float32)


@pytest.mark.parametrize(
    "claim", [Frame(ROWS), [*ROWS], [[*row] for row in ROWS], [Frame(row) for row in ROWS]],
    ids=["table", "list of rows", "lists of numbers", "list of tables"],
)  # fmt: skip
def test_claims_have_the_dtype_of_their_numbers(claim: Any) -> None:
    """Numbers of float32 beside logits of float64 are no claim of 16 digits, whatever holds them."""
    inputs = {"logits": LOGITS, "labels": LABELS, "gradient": claim}
    message, _ = build_request(CHECK, inputs, WIRES["binary"])
    tensors, _ = decode_tensors(message.body)
    np.testing.assert_array_equal(tensors["claimed.gradient"], ROWS, strict=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_dtype_that_json_cannot_say_is_refused(dtype: str) -> None:
    """Over JSON a claim would be held to the digits of the answer."""
    claim = marked(ROWS) if dtype == "bfloat16" else ROWS.astype(dtype)
    inputs = {"logits": LOGITS, "labels": LABELS, "gradient": claim}
    with pytest.raises(InputError, match=f"gradient has dtype {dtype}.*binary"):
        build_request(CHECK, inputs, WIRES["json"])
    message, _ = build_request(CHECK, inputs, WIRES["binary"])
    assert message.body


@pytest.mark.parametrize("given", [np.float64(0.1), np.array(0.1), 1e300])
def test_what_has_a_dtype_or_needs_one_keeps_it(given: Any) -> None:
    """NumPy's numbers say what they are, and a number beyond float32 stays what it is."""
    inputs = {"logits": np.array(LOGITS, np.float32), "labels": LABELS, "loss": given}
    message, _ = build_request(CHECK, inputs, WIRES["binary"])
    tensors, _ = decode_tensors(message.body)
    assert (tensors["claimed.loss"].dtype.name, tensors["claimed.loss"].item()) == ("float64", given)


def test_a_dtype_that_is_none_is_left_to_the_service(wire: WireName) -> None:
    """Which words there are is for the service to say, of claims without a dtype too."""
    inputs = {"logits": LOGITS, "labels": LABELS, "gradient": GRADIENT, "dtype": "bfloat16"}
    message, _ = build_request(CHECK, inputs, WIRES[wire])
    assert b"bfloat16" in message.body


def test_claims_are_members_in_json() -> None:
    """In JSON they are nested."""
    client, script = client_of(report_reply(), wire="json")
    with client:
        client.check(LOGITS, LABELS, gradient=GRADIENT, loss=0.5, rtol=0.1)
    assert script.sent["claimed"] == {"gradient": GRADIENT, "loss": 0.5}
    assert script.sent["rtol"] == 0.1


def test_the_answer_is_asked_for_in_json() -> None:
    """Whatever the request is written in, JSON is accepted."""
    client, script = client_of(report_reply())
    with client:
        client.check(LOGITS, LABELS, gradient=GRADIENT)
    headers = script.requests[0].headers
    assert (headers["Accept"], headers["Content-Type"]) == ("application/json", "application/x-safetensors")


def test_the_report_is_typed(wire: WireName) -> None:
    """Diagnoses, worst rows and figures are records, the rest is plain."""
    report = parse(report_reply(), wire)
    assert (report.verdict, report.is_match) == ("mismatch", False)
    assert report.diagnoses == (Diagnosis("sum_instead_of_mean", "gradient: it is the sum.", 1e-16),)
    assert report.worst_rows == (WorstRow("gradient", 1, 0, 0.5, 0.25),)
    assert report.invariants[0].holds
    assert set(report.statistics["gradient"]) == {"claimed", "plain"}


def test_what_is_left_out_is_none() -> None:
    """Losses have no class, and what is no finite number is not told."""
    (worst,) = parse(report_reply(worst_rows=[{"output": "losses", "row": 3, "reference": 0.5}])).worst_rows
    assert (worst.column, worst.claimed) == (None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "perhaps"},
        {"verdict": None},
        {"diagnoses": {}},
        {"diagnoses": [1]},
        {"diagnoses": [{"code": "x", "explanation": "y"}]},
        {"diagnoses": [{"code": "x", "explanation": "y", "residual": 10**400}]},
        {"diagnoses": [{"code": "x", "explanation": "y", "residual": True}]},
        {"worst_rows": [{"output": "gradient", "row": "1", "reference": 0}]},
        {"statistics": []},
        {"statistics": {"gradient": 1}},
        {"invariants": [{"name": "finite", "holds": 1, "value": 0}]},
        {"applied": None},
    ],
    ids=str,
)
def test_a_report_that_breaks_the_contract_is_refused(changes: dict[str, object]) -> None:
    """What is missing or of another kind is told, not passed on."""
    with pytest.raises(ContractError):
        parse(report_reply(**changes))


def test_nothing_to_check_is_refused() -> None:
    """A check without a claim is not sent."""
    client, script = client_of(report_reply())
    with client, pytest.raises(InputError, match="gradient="):
        client.check(LOGITS, LABELS)
    assert script.requests == []


def test_what_json_cannot_say_is_refused() -> None:
    """NaN travels in binary only; the error says so."""
    client, _ = client_of(report_reply(), wire="json")
    with client, pytest.raises(InputError, match="binary"):
        client.check(LOGITS, LABELS, gradient=[[np.nan, 0.0], [0.0, 0.0]])


def test_the_assertion_fails_by_the_diagnosis() -> None:
    """The message names the mistake, its words, and the worst element."""
    client, _ = client_of(report_reply())
    with client, pytest.raises(AssertionError) as failure:
        assert_gradient(client, LOGITS, LABELS, gradient=GRADIENT)
    assert str(failure.value) == (
        "the claim is a mismatch\n"
        "sum_instead_of_mean: gradient: it is the sum. (residual 1e-16)\n"
        "worst: gradient[1, 0] is 0.5, where 0.25 is right"
    )


def test_the_assertion_says_where_no_mistake_is_known() -> None:
    """Without a diagnosis the worst element is all that can be told."""
    client, _ = client_of(report_reply(diagnoses=[]))
    with client, pytest.raises(AssertionError, match="no known mistake"):
        assert_gradient(client, LOGITS, LABELS, gradient=GRADIENT)


def test_the_assertion_passes_a_match() -> None:
    """What is right passes, and the report with it."""
    client, _ = client_of(report_reply(verdict="match", diagnoses=[], worst_rows=[]))
    with client:
        assert assert_gradient(client, LOGITS, LABELS, gradient=GRADIENT).is_match


def test_another_document_is_no_report() -> None:
    """A reply without a verdict is refused."""
    with pytest.raises(ContractError):
        parse(json_reply({"applied": {"dtype": "float64"}}))
