"""Requests that ask for the same of different rows: joined, they are one computation.

A row's bits do not depend on its neighbours, and sums are exact, so that each answer is the one it would have alone.
"""

from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, TypeVar, cast

import numpy as np

from gradient_service.operations.work import CallRequest

PER_ROW = frozenset({"logits", "labels", "targets", "sample_weights", "element_mask", "upstream"})
"""The fields that have an element, or a row, for each row of the batch."""

Request = TypeVar("Request", bound=CallRequest)


def kind_of(request: CallRequest) -> Hashable:
    """Return what is the same of requests that can be joined."""
    values, rows = vars(request), len(request.logits)
    given = request.model_fields_set
    return type(request), frozenset([(name, _kind_of_field(name, values[name], rows)) for name in given])


def _kind_of_field(name: str, value: Any, rows: int) -> Hashable:
    if isinstance(value, np.ndarray):
        if name in PER_ROW and len(value) == rows and value.dtype.metadata is None:
            return value.dtype, value.shape[1:]
        return id(value)  # what counts for all rows, was widened as it was read, or is of other rows, is like nothing
    if isinstance(value, float):
        return repr(value)  # −0.0 is told as it came
    return tuple(value) if isinstance(value, list) else value


def joined(requests: Sequence[Request]) -> Request:
    """Return one request with the rows of all, which are of one kind."""
    first = requests[0]
    if len(requests) == 1:
        return first
    arrays = [name for name, value in vars(first).items() if name in PER_ROW and value is not None]
    rows = {name: np.concatenate([vars(each)[name] for each in requests]) for name in arrays}
    return cast("Request", first.model_copy(update=rows))


def rows_of(requests: Sequence[CallRequest]) -> Iterator[slice]:
    """Yield which rows of the joined request are those of each."""
    ends = accumulate((len(each.logits) for each in requests), initial=0)
    return (slice(start, end) for start, end in pairwise(ends))
