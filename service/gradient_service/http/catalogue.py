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
    description: str
    answers_tensors: bool = True
    """Whether its reply is tensors above all: it is written in each dialect then, and served as a model."""


OPERATIONS = (
    Operation(
        "softmax",
        SoftmaxRequest,
        SoftmaxReply,
        operations.softmax_of_each,
        "Scores to probabilities and decisions",
        "p_j = exp(s_j) / Σ_k exp(s_k) with s = logits / T, and the class of the largest logit.",
    ),
    Operation(
        "loss",
        LossRequest,
        LossReply,
        operations.loss_of_each,
        "Cross-entropy and its mergeable summary",
        "E = −Σ_j w_j c_j log p_j of each row in nats, and over rows the sum, or the sum over a named denominator.",
    ),
    Operation(
        "gradient",
        GradientRequest,
        GradientReply,
        operations.gradient_of_each,
        "Loss and ∂loss/∂logits in one pass",
        "∂E/∂s_i = Σ_j (∂E/∂p_j)(∂p_j/∂s_i), ending at **p − c** for the default objective; on request every factor of "
        "the chain rule, the factors multiplied out, and what the Jacobian's diagonal alone would give.",
    ),
    Operation(
        "check",
        CheckRequest,
        CheckReply,
        operations.check_each,
        "Whether a claim is right, and which mistake it is if not",
        "Compares the caller's own loss, gradient or probabilities with the reference, |claimed − reference| ≤ atol + "
        "rtol · size, and names the known mistakes that reproduce what is off: each is recomputed and compared, alone "
        "and in pairs. The answer is JSON, whatever the request is.",
        answers_tensors=False,
    ),
)
MODELS = tuple(operation for operation in OPERATIONS if operation.answers_tensors)
"""Those that the Open Inference Protocol offers: it knows no other replies."""
