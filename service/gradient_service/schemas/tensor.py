"""How a schema describes an array field: one rank, one kind, validated without looking at each number twice."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

ROUNDOFF = "unit_roundoff"
"""Key of an array's dtype metadata: how coarse the numbers were before they were widened."""
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
        """Accept an array; the codec that made it has checked rank and kind."""
        return core_schema.is_instance_schema(np.ndarray)

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


def roundoff(array: np.ndarray[Any, Any]) -> float:
    """Return the unit roundoff of the numbers of an array, as they were sent."""
    metadata = array.dtype.metadata or {}
    return float(metadata.get(ROUNDOFF, np.finfo(array.dtype).eps / 2))


@cache
def tensor_fields(model: type[BaseModel]) -> dict[str, Tensor]:
    """Return the array fields of a model by name."""
    return {
        name: tensor
        for name, field in model.model_fields.items()
        for tensor in _tensors_in(field.annotation, field.metadata)
    }


@cache
def integer_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields of a model that hold integers, arrays and single ones."""
    arrays = {name for name, tensor in tensor_fields(model).items() if tensor.kind == "integer"}
    singles = {
        name
        for name, field in model.model_fields.items()
        if any(getattr(part, "__origin__", part) is int for part in get_args(field.annotation))
    }
    return frozenset(arrays | singles)


def _tensors_in(annotation: Any, metadata: list[Any]) -> list[Tensor]:
    inner = [item for part in getattr(annotation, "__args__", ()) for item in getattr(part, "__metadata__", ())]
    return [item for item in (*metadata, *inner) if isinstance(item, Tensor)]
