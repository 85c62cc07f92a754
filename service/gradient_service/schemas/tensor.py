"""How a schema describes an array field: one rank, one kind, validated without looking at each number twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from gradient_service.schemas.members import body_fields, member_names

ROUNDOFF = "unit_roundoff"
"""Key of an array's dtype metadata: how coarse the numbers were before they were widened."""
UNTYPED: np.dtype[np.float64] = np.dtype(np.float64, metadata={"is_untyped": True})
"""Of numbers that came without a type of their own."""
Kind = Literal["number", "integer", "boolean"]
FORMATS: dict[Kind, str] = {"number": "double", "integer": "int64"}
"""Without them generators of typed languages take a number for float32 and an integer for int32."""
INT64_RANGE = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array of one rank and kind; the bounds only describe, the core checks values."""

    rank: int
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    is_nullable: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Accept an array; the codec that made it has checked rank and kind. A single number becomes one."""
        is_array = core_schema.is_instance_schema(np.ndarray)
        if self.rank > 0:
            return is_array
        return core_schema.no_info_before_validator_function(_scalar_array, is_array)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe nested arrays of one rank, so that generated clients meet no unions."""
        described: dict[str, Any] = {"type": [self.kind, "null"] if self.is_nullable else self.kind}
        if self.kind in FORMATS:
            described["format"] = FORMATS[self.kind]
        if self.minimum is not None:
            described["minimum"] = self.minimum
        if self.maximum is not None:
            described["maximum"] = self.maximum
        for _ in range(self.rank):
            described = {"type": "array", "items": described}
        return described


def _scalar_array(value: Any) -> Any:
    """Return a number as an array without axes, and anything else as it is."""
    return np.array(value, UNTYPED) if type(value) in {int, float} else value


def is_untyped(array: np.ndarray[Any, Any]) -> bool:
    """Return whether the numbers of an array came without a type of their own."""
    return array.dtype.metadata is not None and array.dtype.metadata == UNTYPED.metadata


def roundoff(array: np.ndarray[Any, Any]) -> float:
    """Return the unit roundoff of the numbers of an array, as they were sent."""
    metadata = array.dtype.metadata or {}
    return float(metadata.get(ROUNDOFF, np.finfo(array.dtype).eps / 2))


def stacked(columns: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Return columns (N,) side by side, (N, columns), as coarse as the coarsest of them."""
    array = np.stack(columns, axis=-1)
    if array.dtype.kind != "f":
        return array
    coarsest = max(roundoff(column) for column in columns if column.dtype.kind == "f")
    return array if coarsest <= roundoff(array) else array.view(np.dtype(array.dtype, metadata={ROUNDOFF: coarsest}))


@cache
def tensor_fields(model: type[BaseModel]) -> dict[str, Tensor]:
    """Return the array fields of a model by name, members of its fields among them."""
    own = {
        name: tensor
        for name, field in model.model_fields.items()
        for tensor in _tensors_in(field.annotation, field.metadata)
    }
    bodies = body_fields(model)
    members = {
        name: tensor_fields(bodies[field])[member]
        for name, (field, member) in member_names(model).items()
        if member in tensor_fields(bodies[field])
    }
    return own | members


@cache
def array_fields(model: type[BaseModel]) -> dict[str, Tensor]:
    """Return the array fields of a model that have axes, by name, members of its fields among them."""
    return {name: tensor for name, tensor in tensor_fields(model).items() if tensor.rank}


def _tensors_in(annotation: Any, metadata: list[Any]) -> list[Tensor]:
    inner = [item for part in getattr(annotation, "__args__", ()) for item in getattr(part, "__metadata__", ())]
    return [item for item in (*metadata, *inner) if isinstance(item, Tensor)]
