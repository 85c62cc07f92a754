"""How much work a request makes, who does it, and what bounds it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import field
from typing import Any

import numpy as np

from gradient_service.core.execution import Execution
from gradient_service.core.inputs import Scores
from gradient_service.core.limits import WorkLimits, check_work, num_reply_numbers
from gradient_service.core.outputs import MADE_OF_JACOBIANS
from gradient_service.core.records import record
from gradient_service.schemas.requests import CheckRequest, GradientRequest, LossRequest, SoftmaxRequest

CallRequest = SoftmaxRequest | LossRequest | GradientRequest | CheckRequest
NUMBER_BYTES = 8
ROW_BYTES = 64
"""What is kept of a row until the rows are summed, whatever the reply holds: its loss and factor, with exponents."""

ELEMENTS_BESIDE = 16
"""So many elements take as long as what is done once for a row."""
FOLLOWED_ELEMENTS = 1 << 20
"""A check follows hundreds of recipes through a few rows, however few there are."""


def _finds_room(_: int) -> None:
    """Let the work go on."""


@record()
class Work:
    """How much one request may ask for, who does it, and who knows what room there is."""

    limits: WorkLimits
    execution: Execution = field(default_factory=Execution)
    reserve: Callable[[int], None] = _finds_room
    """Told the bytes that the work will take beside the request, before it takes them; what it raises ends the work."""


class _BegunError(Exception):
    """Ends work of which only the beginning is wanted."""


def _end(_: int) -> None:
    raise _BegunError


def begin(perform: Callable[[Sequence[Any], Work], object], request: Any, limits: WorkLimits) -> None:
    """Raise what is wrong with a request before its values: conflicts, shapes, then limits. Nothing is computed."""
    with suppress(_BegunError):
        perform([request], Work(limits, reserve=_end))


def num_elements(request: CallRequest) -> int:
    """Return the work on a request, about, as the number of elements whose gradient takes as long.

    That is the numbers of the reply, N·K at the least, N·K² where the Jacobian is needed, and what is done for a row.
    """
    shape: tuple[int, int] = request.logits.shape
    rows, classes = shape
    elements = rows * classes
    if isinstance(request, CheckRequest):
        return elements + FOLLOWED_ELEMENTS
    if MADE_OF_JACOBIANS.intersection(request.include):
        elements *= classes
    of_reply = num_reply_numbers(shape, request.include)
    return max(elements, of_reply) + ELEMENTS_BESIDE * rows


def num_array_bytes(request: CallRequest) -> int:
    """Return what the arrays of a request take in memory."""
    values = [*vars(request).values(), *(vars(request.claimed).values() if isinstance(request, CheckRequest) else ())]
    return sum(value.nbytes for value in values if isinstance(value, np.ndarray))


def take_on(scores: Scores, names: list[str], dtype: np.dtype[np.floating], work: Work) -> None:
    """Raise where the work exceeds its limits, then reserve the memory that it takes, at the most."""
    check_work(scores, names, work.limits)
    per_number = NUMBER_BYTES + work.limits.bytes_per_number
    copied = 0 if scores.logits.dtype == dtype else scores.logits.size * dtype.itemsize
    work.reserve(per_number * num_reply_numbers(scores.shape, names) + ROW_BYTES * scores.batch_size + copied)
