"""Reading the report of a check; what is not as the contract says is refused, what is more is left aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

from ._outputs import ContractError, read_number
from ._records import ReadOnlyMapping
from .reports import Diagnosis, Invariant, WorstRow

Json = Mapping[str, object]
T = TypeVar("T")


def read_report(document: Json) -> dict[str, object]:
    """The parts of a report by name.

    Args:
        document: the members of the reply.

    Returns:
        What a `CheckResult` is made of.

    Raises:
        ContractError: a part is missing, or none of its kind.
    """
    verdict = _member(document, "verdict", str)
    if verdict not in {"match", "mismatch"}:
        raise ContractError("verdict is neither match nor mismatch")
    return {
        "verdict": verdict,
        "diagnoses": tuple(_diagnosis(each) for each in _objects(document, "diagnoses")),
        "worst_rows": tuple(_worst_row(each) for each in _objects(document, "worst_rows")),
        "statistics": ReadOnlyMapping(
            {name: ReadOnlyMapping(_object(each, name)) for name, each in _object_in(document, "statistics").items()}
        ),
        "invariants": tuple(_invariant(each) for each in _objects(document, "invariants")),
    }


def _diagnosis(entry: Json) -> Diagnosis:
    code, explanation = _member(entry, "code", str), _member(entry, "explanation", str)
    return Diagnosis(code, explanation, read_number("residual", entry.get("residual")))


def _worst_row(entry: Json) -> WorstRow:
    return WorstRow(
        output=_member(entry, "output", str),
        row=_member(entry, "row", int),
        column=_member(entry, "class", int) if "class" in entry else None,
        claimed=read_number("claimed", entry.get("claimed")) if "claimed" in entry else None,
        reference=read_number("reference", entry.get("reference")),
    )


def _invariant(entry: Json) -> Invariant:
    return Invariant(
        _member(entry, "name", str), _member(entry, "holds", bool), read_number("value", entry.get("value"))
    )


def _member(entry: Json, name: str, kind: type[T]) -> T:
    value = entry.get(name)
    if type(value) is not kind:
        raise ContractError(f"{name} is missing or no {kind.__name__}")
    return value


def _objects(entry: Json, name: str) -> list[Json]:
    return [_object(each, name) for each in cast("list[object]", _member(entry, name, list))]


def _object_in(entry: Json, name: str) -> Json:
    return _object(entry.get(name), name)


def _object(value: object, name: str) -> Json:
    if not isinstance(value, Mapping):
        raise ContractError(f"{name} is missing or no object")
    return cast("Json", value)
