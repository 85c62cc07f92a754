"""What every codec hands on: the request, and the order in which its bytes named the fields."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gradient_service.schemas.fields import Body

Model = TypeVar("Model", bound=Body)


@dataclass(frozen=True, slots=True)
class Decoded(Generic[Model]):
    """A request read from bytes."""

    request: Model
    field_order: Sequence[str]
    """The fields as they stood in the document, for faults that are found later."""
