"""The types that fields are made of: arrays by rank and kind, strict numbers, and what all bodies share."""

from functools import lru_cache
from typing import Annotated, Any, Self

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from gradient_service.core.options import Choice
from gradient_service.schemas.tensor import INT64_RANGE, Tensor

Array = NDArray[Any]
Absent = SkipJsonSchema[None]
"""A field that may be left out, but not sent as null."""

DOUBLE = {"format": "double"}
INT64 = {"format": "int64"}

Number = Annotated[float, Field(json_schema_extra=DOUBLE)]
NumberFromZero = Annotated[float, Field(strict=True, json_schema_extra=DOUBLE | {"minimum": 0})]
PositiveNumber = Annotated[float, Field(strict=True, json_schema_extra=DOUBLE | {"exclusiveMinimum": 0})]
Fraction = Annotated[float, Field(strict=True, json_schema_extra=DOUBLE | {"minimum": 0, "maximum": 1})]
"""The bounds only describe, as those of arrays do: values come after shapes, and the core checks them."""
Integer = Annotated[int, Field(strict=True, ge=INT64_RANGE.start, le=INT64_RANGE[-1], json_schema_extra=INT64)]
Count = Annotated[int, Field(ge=0, json_schema_extra=INT64)]

Scalar = Annotated[Array, Tensor(rank=0, kind="number")]
Rows = Annotated[Array, Tensor(rank=2, kind="number")]
Labels = Annotated[Array, Tensor(rank=1, kind="integer", minimum=None)]
Targets = Annotated[Array, Tensor(rank=2, kind="number", minimum=0)]
Weights = Annotated[Array, Tensor(rank=1, kind="number", minimum=0)]
Vector = Annotated[Array, Tensor(rank=1, kind="number")]
Mask = Annotated[Array, Tensor(rank=1, kind="boolean")]
MaskRows = Annotated[Array, Tensor(rank=2, kind="boolean")]
ZeroOrOneRows = Annotated[Array, Tensor(rank=2, kind="integer", minimum=0, maximum=1)]
ProbabilityRows = Annotated[Array, Tensor(rank=2, kind="number", minimum=0, maximum=1)]
LogProbabilityRows = Annotated[Array, Tensor(rank=2, kind="number", maximum=0, is_nullable=True)]
Matrices = Annotated[Array, Tensor(rank=3, kind="number")]


class Dtype(Choice):
    """The floating-point type that numbers are rounded to as read, and that results have."""

    FLOAT32 = "float32", "24 binary digits, about 7 decimal ones"
    FLOAT64 = "float64", "53 binary digits, about 16 decimal ones"


class Body(BaseModel):
    """What all bodies share: nothing unknown, nothing changed after it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Return a body of these values, known to be right; a field left out has no value at all.

        `model_construct` also looks up the default of each field left out, which takes longer than a small computation.
        """
        body = cls.__new__(cls)
        object.__setattr__(body, "__dict__", values)
        object.__setattr__(body, "__pydantic_fields_set__", values.keys())
        return body

    def given(self) -> dict[str, Any]:
        """Return the values of the fields that were given, by their names as they are written."""
        values = self.__dict__
        return {written: values[name] for name, written in _written_names(type(self), tuple(self.model_fields_set))}


@lru_cache(maxsize=1024)  # replies have the same few again and again
def _written_names(body: type[Body], given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the names of the fields given, here and as they are written, in the order of the schema."""
    return tuple((name, field.alias or name) for name, field in body.model_fields.items() if name in given)
