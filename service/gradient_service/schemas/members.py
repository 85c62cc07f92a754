"""Fields within fields: wires know a member of `claimed` by one name, `claimed.gradient`, and models nest it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from gradient_service.core.errors import Fault

DOT = "."


@cache
def body_fields(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the fields of a model that have members, by name."""
    return {
        name: field.annotation
        for name, field in model.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


@cache
def member_names(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Return field and member by the name of each member."""
    return {
        f"{field}{DOT}{member}": (field, member)
        for field, body in body_fields(model).items()
        for member in body.model_fields
    }


def path_of(name: str, model: type[BaseModel]) -> tuple[str, ...]:
    """Return where a name belongs, known or not: a field, or a field and its member."""
    field, dot, member = name.partition(DOT)
    return (field, member) if dot and field in body_fields(model) else (name,)


def nested(values: Mapping[str, Any], model: type[BaseModel]) -> Mapping[str, Any]:
    """Return values with those of members within their fields."""
    members = member_names(model)
    if not members:
        return values
    made = {name: value for name, value in values.items() if name not in members}
    for name, (field, member) in members.items():
        if name in values:
            made.setdefault(field, {})[member] = values[name]
    return made


def flat(fields: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return values by the names that wires know them by: the reverse of `nested`."""
    bodies = body_fields(model)
    made: dict[str, Any] = {}
    for name, value in fields.items():
        made |= {f"{name}{DOT}{member}": each for member, each in value.items()} if name in bodies else {name: value}
    return made


def placed(faults: Iterable[Fault], model: type[BaseModel]) -> list[Fault]:
    """Return faults with those of members told of their fields."""
    return [_placed(fault, model) for fault in faults]


def _placed(fault: Fault, model: type[BaseModel]) -> Fault:
    if fault.field is None or not body_fields(model):
        return fault
    field, *members = path_of(fault.field, model)
    return replace(fault, field=field, index=(*members, *fault.index))
