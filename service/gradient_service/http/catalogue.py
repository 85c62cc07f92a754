"""The operations that every dialect offers: what each reads, answers and does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradient_service import operations
from gradient_service.operations import CallRequest, Work
from gradient_service.schemas.fields import Body
from gradient_service.schemas.replies import CheckReply, GradientReply, LossReply, SoftmaxReply
from gradient_service.schemas.requests import CheckRequest, GradientRequest, LossRequest, SoftmaxRequest


@dataclass(frozen=True, slots=True)
class Operation:
    """A path and what it does."""

    name: str
    request: type[CallRequest]
    reply: type[Body]
    perform: Callable[[Sequence[Any], Work], Sequence[Body]]
    """Answers calls that are alike (`operations.kind_of`)."""
    summary: str
    answers_tensors: bool = True
    """Whether its reply is tensors above all: it is written in each dialect then, and served as a model."""


OPERATIONS = (
    Operation(
        "softmax",
        SoftmaxRequest,
        SoftmaxReply,
        operations.softmax_of_each,
        "Scores to probabilities and decisions",
    ),
    Operation(
        "loss",
        LossRequest,
        LossReply,
        operations.loss_of_each,
        "Cross-entropy and its mergeable summary",
    ),
    Operation(
        "gradient",
        GradientRequest,
        GradientReply,
        operations.gradient_of_each,
        "Loss and ∂loss/∂logits in one pass",
    ),
    Operation(
        "check",
        CheckRequest,
        CheckReply,
        operations.check_each,
        "Whether a claim is right, and which mistake it is if not",
        answers_tensors=False,
    ),
)
MODELS = tuple(operation for operation in OPERATIONS if operation.answers_tensors)
"""Those that the Open Inference Protocol offers: it knows no other replies."""
