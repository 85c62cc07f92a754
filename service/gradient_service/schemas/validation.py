"""From decoded fields to a request: pydantic's findings and the codec's told as faults, in document order."""

from collections.abc import Collection, Iterable, Mapping, Sequence
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


class OutOfRangeError(InvalidInputError):
    """Raised where nothing is wrong but values, while shapes and limits, which are told before them, are yet unknown.

    Args:
        faults: what is wrong.
        request: the same one, other values in place of these.
        fields: in the order of the document.
    """

    def __init__(self, faults: Iterable[Fault], request: BaseModel, fields: Sequence[str] = ()) -> None:
        super().__init__(faults)
        self.request = request
        self.fields = fields

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Return what it is made of, for another process."""
        return type(self), (self.faults, self.request, self.fields)

    def in_order_of(self, fields: Sequence[str]) -> "OutOfRangeError":
        """Return the same error with its faults in the order of a document."""
        return OutOfRangeError(super().in_order_of(fields).faults, self.request, fields)


def validate(model: type[Model], values: Mapping[str, Any], faults: Sequence[Fault] = ()) -> Model:
    """Return the request that the values make.

    Args:
        model: the request model.
        values: every field that could be decoded; where only values were wrong with an array, others of its shape.
        faults: what was found wrong with the others.

    Raises:
        InvalidInputError: `wrong-type`, `unknown-value`, `out-of-range`, and the faults given; of these only the types,
            if any are wrong, else only the shapes.
        OutOfRangeError: where it is neither.
    """
    found = placed(faults, model)
    try:
        request: Model | None = model.model_validate(nested(values, model))
    except ValidationError as error:
        named, refused = {fault.field for fault in found}, set()
        for details in error.errors(include_url=False, include_context=False):
            field = str(details["loc"][0])
            refused.add(field)
            if field not in named and details["type"] != "none_required":
                found.append(_fault(field, details, body_fields(model).get(field)))
        request = _made_of_others(model, values, refused)
    if not found and request is not None:
        return request
    first = min(map(_layer, found))
    told = [fault for fault in found if _layer(fault) == first]
    if request is not None and are_values(told):
        raise OutOfRangeError(told, request)
    raise InvalidInputError(told)


def _made_of_others(model: type[Model], values: Mapping[str, Any], refused: Collection[str]) -> Model | None:
    """Return the request without some fields, if there is one."""
    try:
        return model.model_validate(nested({name: values[name] for name in values if name not in refused}, model))
    except ValidationError:
        return None


def are_values(faults: Iterable[Fault]) -> bool:
    """Return whether nothing is wrong but values."""
    return all(fault.code in VALUES for fault in faults)


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
