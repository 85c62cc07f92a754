"""What the core raises: input that breaks the contract, named by field and element."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

MAX_FAULTS = 20
"""Faults told at once; more would not help and could be millions."""
MAX_FOUND = 10 * MAX_FAULTS
"""Faults looked for: those of several fields, before they are put in order and cut."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One breach of the contract: a kebab-case code, where it is, and what was wanted instead."""

    code: str
    field: str | None
    """None where it is the request as a whole."""
    index: tuple[int | str, ...]
    detail: str


class InvalidInputError(ValueError):
    """Raised when a field or an element of one breaks the contract; carries at least one fault."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.detail for fault in self.faults))

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Return what it is made of, for another process."""
        return type(self), (self.faults,)

    def in_order_of(self, fields: Sequence[str]) -> "InvalidInputError":
        """Return the same error with its faults in the order of a document, by field and element; of no field last."""
        places = {name: place for place, name in enumerate(fields)}

        def place(fault: Fault) -> tuple[int, list[tuple[bool, int | str]]]:
            field, index = fault.field or "", fault.index
            member = f"{field}.{index[0]}" if index else field
            return places.get(member, places.get(field, len(places))), [(isinstance(i, str), i) for i in index]

        return InvalidInputError(sorted(self.faults, key=place))


def first_true(are: NDArray[np.bool_]) -> Iterator[tuple[int, ...]]:
    """Yield where the first true elements are, in one pass that ends with the last of them."""
    flat, start, count = are.ravel(), 0, MAX_FAULTS
    while count and start < flat.size:
        start += int(flat[start:].argmax())
        if not flat[start]:
            return
        yield tuple(int(place) for place in np.unravel_index(start, are.shape))
        start, count = start + 1, count - 1


def raise_if_any(faults: Iterable[Fault]) -> None:
    """Raise `InvalidInputError` when there is at least one fault."""
    found = tuple(islice(faults, MAX_FOUND))
    if found:
        raise InvalidInputError(found)
