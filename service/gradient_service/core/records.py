"""Records: dataclasses that nobody changes.

The type checker sees to that. To have it seen to at run time as well makes a record several times as dear, and a small
call makes dozens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """Make a class a record."""
    return dataclass(slots=True, kw_only=kw_only)
