"""What every codec hands on: the request, and the order in which its bytes named the fields."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from gradient_service.core.records import record
from gradient_service.schemas.fields import Body

Model = TypeVar("Model", bound=Body)


@record()
class Decoded(Generic[Model]):
    """A request read from bytes."""

    request: Model
    field_order: Sequence[str]
    """The fields as they stood in the document, for faults that are found later."""
