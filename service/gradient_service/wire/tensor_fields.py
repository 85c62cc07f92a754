"""What a binary dialect's header says of a field, held against the field: its type, its rank, and whether it is one."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gradient_service.core.errors import Fault
from gradient_service.schemas.fields import Body
from gradient_service.schemas.tensor import INT64_RANGE, Kind, Tensor, tensor_fields
from gradient_service.wire.tensor_codec import ElementType


@dataclass(frozen=True, slots=True)
class TypeNames:
    """How a dialect names element types."""

    elements: Mapping[str, ElementType]
    kinds: Mapping[Kind, str]
    """The names that a field of each kind can have, as a text."""

    def faults(self, name: str, dtype: str, shape: tuple[int, ...], tensor: Tensor | None) -> Iterator[Fault]:
        """Yield what keeps a tensor from being the value of a field; nothing where the field is unknown."""
        if tensor is None:
            return
        element = self.elements.get(dtype)
        if element is None:
            yield Fault("unsupported-dtype", name, (), f"{name} is {self.kinds[tensor.kind]}.")
        elif element.kind != tensor.kind:
            yield Fault("wrong-type", name, (), f"{name} is {self.kinds[tensor.kind]}, not {dtype}.")
        elif len(shape) != tensor.rank:
            dimensions = "dimension" if tensor.rank == 1 else "dimensions"
            yield Fault("wrong-rank", name, (), f"{name} must have {tensor.rank} {dimensions}, not {len(shape)}.")


def misplaced(tensors: Collection[str], options: Collection[str], model: type[Body]) -> list[Fault]:
    """Return the arrays among the options, and the options among the tensors."""
    arrays = [Fault("wrong-type", name, (), f"{name} is a tensor.") for name in options if name in tensor_fields(model)]
    scalars = [name for name in tensors if name not in tensor_fields(model)]
    return arrays + [Fault("wrong-type", name, (), f"{name} is no tensor but an option.") for name in scalars]


def is_counts(values: Any) -> bool:
    """Return whether values are a list of whole numbers from 0 up that 64 bits hold: a shape, or offsets."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < INT64_RANGE.stop for value in values)
