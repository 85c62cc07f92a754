"""How much work one request may ask for, judged from shapes alone, before anything is allocated."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod

from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.core.inputs import Scores
from gradient_service.core.outputs import MADE_OF_JACOBIANS, is_array, shape_of
from gradient_service.core.records import record


@record()
class WorkLimits:
    """The bounds on one request."""

    max_elements: int
    """N·K."""
    max_jacobian_elements: int
    """N·K² where the Jacobian is needed."""
    max_reply_bytes: int
    bytes_per_number: int
    """What a number of the reply takes on the wire, at the most."""


def check_work(scores: Scores, names: Sequence[str], limits: WorkLimits) -> None:
    """Raise `output-too-large` when the batch, the Jacobian or the reply exceeds its limit.

    Args:
        scores: whose shape counts.
        names: the outputs asked for, as in `include`.
        limits: the bounds.
    """
    num_elements = prod(scores.logits.shape)
    if max(num_elements, scores.num_classes) > limits.max_elements:
        what = f"{num_elements} elements" if num_elements else f"{scores.num_classes} classes"
        raise _too_large("logits", (), f"{what}; the limit is {limits.max_elements}.")
    num_pairs = num_elements * scores.num_classes
    for position, name in enumerate(names):
        if name in MADE_OF_JACOBIANS and num_pairs > limits.max_jacobian_elements:
            detail = f"{name} needs {num_pairs} elements; the limit is {limits.max_jacobian_elements}."
            raise _too_large("include", (position,), detail)
    num_bytes = limits.bytes_per_number * num_reply_numbers(scores.shape, names)
    if num_bytes > limits.max_reply_bytes:
        raise _too_large(
            "logits", (), f"The reply could take {num_bytes} bytes; the limit is {limits.max_reply_bytes}."
        )


def num_reply_numbers(shape: tuple[int, int], names: Sequence[str]) -> int:
    """Return how many numbers the arrays of a reply to N rows of K classes have together, each output told once."""
    return _num_numbers(shape, tuple(names))


@lru_cache(maxsize=256)  # callers ask for the same again and again
def _num_numbers(shape: tuple[int, int], names: tuple[str, ...]) -> int:
    return sum(prod(shape_of(name, shape)) for name in {*names} if is_array(name))


def _too_large(field: str, index: tuple[int, ...], detail: str) -> InvalidInputError:
    return InvalidInputError([Fault("output-too-large", field, index, detail)])
