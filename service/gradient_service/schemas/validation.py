"""From decoded fields to a request: pydantic's findings and the codec's told as faults, in document order."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.schemas.members import body_fields, nested, placed

Model = TypeVar("Model", bound=BaseModel)

UNKNOWN_VALUE = frozenset({"enum", "literal_error"})
OUT_OF_RANGE = frozenset({"greater_than_equal", "less_than_equal", "too_long"})
MESSAGES = {"is_instance_of": "Input should be a valid number", "model_type": "Input should be an object"}
"""What pydantic says of Python's types. Where an array is wanted and none has come, the codec tells but of a number."""
SHAPES = frozenset({"length-mismatch", "ragged"})
VALUES = frozenset({"label-out-of-range", "number-out-of-range", "out-of-range"})


def validate(model: type[Model], values: Mapping[str, Any], faults: Sequence[Fault] = ()) -> Model:
    """Return the request that the values make.

    Args:
        model: the request model.
        values: every field that could be decoded.
        faults: what was found wrong with the others.

    Raises:
        InvalidInputError: `wrong-type`, `unknown-value`, `out-of-range`, and the faults given; of these only the types,
            if any are wrong, else only the shapes.
    """
    found = placed(faults, model)
    try:
        request = model.model_validate(nested(values, model))
    except ValidationError as error:
        named = {fault.field for fault in found}
        for details in error.errors(include_url=False, include_context=False):
            field = str(details["loc"][0])
            if field not in named and details["type"] != "none_required":
                found.append(_fault(field, details, body_fields(model).get(field)))
    if found:
        first = min(map(_layer, found))
        raise InvalidInputError(fault for fault in found if _layer(fault) == first)
    return request


def _layer(fault: Fault) -> int:
    """Return when a fault is told: types come before shapes, and shapes before values."""
    return (fault.code in SHAPES) + 2 * (fault.code in VALUES)


def _fault(field: str, details: ErrorDetails, body: type[BaseModel] | None) -> Fault:
    members = () if body is None else body.model_fields
    index = tuple(part for part in details["loc"][1:] if isinstance(part, int) or part in members)
    where = field + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in index)
    code = "wrong-type"
    if details["type"] in UNKNOWN_VALUE and isinstance(details["input"], str):
        code = "unknown-value"
    elif details["type"] in OUT_OF_RANGE:
        code = "out-of-range"
    return Fault(code, field, index, f"{where}: {MESSAGES.get(details['type'], details['msg'])}.")
