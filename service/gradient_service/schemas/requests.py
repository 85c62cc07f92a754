"""Request bodies, one model each: the only source of fields, types, defaults and the OpenAPI schema.

Array fields hold NumPy arrays already: `wire/` decodes them by their `Tensor` description, so that no number becomes a
Python object on the way. What fields mean together stands in `conflicts.py`.
"""

from typing import Any

from pydantic import ConfigDict, Field

from gradient_service.core.options import Choice, Curvature, Denominator, Objective, Precision, Reduction, TargetsSum
from gradient_service.schemas.fields import (
    Absent,
    Body,
    Dtype,
    Fraction,
    Integer,
    Labels,
    Mask,
    MaskRows,
    NumberFromZero,
    PositiveNumber,
    Rows,
    Scalar,
    Targets,
    Vector,
    Weights,
)

MAX_OUTPUTS = 32
"""More than all outputs there are; a list of millions is refused before each word is looked at."""


def outputs(*default: Choice, is_told: bool = True) -> Any:
    """Return the field that names what to answer, made anew for each request, where a list given would be copied.

    Args:
        default: what is answered where it is left out.
        is_told: whether the schema says so. Generated clients send what it says, which is to be the same.
    """
    told: dict[str, Any] = {"default": [*default]} if is_told else {}
    return Field(default_factory=lambda: [*default], max_length=MAX_OUTPUTS, json_schema_extra=told)


class SoftmaxOutput(Choice):
    """What `/softmax` can answer."""

    PROBABILITIES = "probabilities", "(N, K): softmax of each row"
    PREDICTED_LABELS = "predicted_labels", "(N,): the first class of the largest logit"
    LOG_PROBABILITIES = "log_probabilities", "(N, K): natural logarithms of the probabilities, to their own last digits"
    ONE_HOT = "one_hot", "(N, K): 1 at the predicted class, 0 elsewhere"
    ENTROPY = "entropy", "(N,): −Σ p log p in nats"
    LOG_NORMALIZER = "log_normalizer", "(N,): log Σ exp(s)"


class LossOutput(Choice):
    """What `/loss` can answer."""

    LOSS = "loss", "the reduced loss in nats"
    SUMMARY = "summary", "sums and counts that add up over disjoint sets of rows, exactly"
    LOSSES = "losses", "(N,): the loss of each row in nats, with its weights"


class GradientOutput(Choice):
    """What `/gradient` can answer."""

    LOSS = "loss", "the reduced loss in nats"
    GRADIENT = "gradient", "(N, K): ∂loss/∂logits"
    SUMMARY = "summary", "sums and counts that add up over disjoint sets of rows, exactly"
    LOSSES = "losses", "(N,): the loss of each row in nats, with its weights"
    PROBABILITIES = "probabilities", "(N, K): of the objective, softmax or sigmoid"
    PREDICTED_LABELS = "predicted_labels", "(N,): the first class of the largest logit"
    LOSS_WRT_PROBABILITIES = "loss_wrt_probabilities", "(N, K): ∂loss/∂p, the first factor of the chain rule"
    JACOBIAN = "jacobian", "(N, K, K): ∂pᵢ/∂sⱼ, the second factor"
    GRADIENT_BY_CHAIN_RULE = "gradient_by_chain_rule", "(N, K): the two factors multiplied out"
    GRADIENT_DIAGONAL_ONLY = "gradient_diagonal_only", "(N, K): what the diagonal of the Jacobian alone would give"
    HESSIAN_DIAGONAL = "hessian_diagonal", "(N, K): second derivatives by each logit, as `curvature` says"


class ScoresBody(Body):
    """The fields of every request."""

    logits: Rows
    """Unnormalised scores s (N, K), finite: one row an example, one column a class. Not probabilities, of which softmax
    would be taken twice; their logarithms will do, since softmax(log p) = p."""
    class_mask: Mask | Absent = None
    """(K,): false where a class takes no part in any row. All true when left out."""
    element_mask: MaskRows | Absent = None
    """(N, K): false where a class takes no part in that row. With `class_mask`, both must be true."""
    temperature: PositiveNumber = 1.0
    """T > 0; the logits are divided by it, so that derivatives by them carry one factor 1/T."""
    dtype: Dtype | Absent = None
    """Numbers are rounded to it as read, results have it. JSON: float64 when left out; binary: the logits' own."""


class PreciseBody(Body):
    """The field of every request that is answered with numbers computed."""

    precision: Precision = Precision.ACCURATE


class SoftmaxRequest(PreciseBody, ScoresBody):
    """Scores to turn into probabilities."""

    include: list[SoftmaxOutput] = outputs(SoftmaxOutput.PROBABILITIES, SoftmaxOutput.PREDICTED_LABELS)
    """What to answer; replaces the default."""


class SupervisedBody(ScoresBody):
    """The fields of every request that compares scores with labels or targets."""

    labels: Labels | Absent = None
    """Class indices (N,), from 0: 0 ≤ label < K. One of `labels` and `targets` is needed; softmax objectives only."""
    targets: Targets | Absent = None
    """Target rows c (N, K) ≥ 0. Softmax objectives: each sums to 1 within 1e-6, or the rounding of half-precision
    numbers. Binary ones: each number in [0, 1]."""
    targets_sum: TargetsSum = TargetsSum.ONE
    objective: Objective = Objective.SOFTMAX_CROSS_ENTROPY
    reduction: Reduction = Reduction.MEAN
    denominator: Denominator = Denominator.WEIGHTS
    denominator_value: PositiveNumber | Absent = None
    """With `mean`: the number to divide by, in place of `denominator`."""
    class_weights: Weights | Absent = None
    """w (K,) ≥ 0, in E = −Σⱼ wⱼ cⱼ log pⱼ. All 1 when left out. Under softmax objectives the denominator `weights`
    counts each row by the weights of its target."""
    sample_weights: Weights | Absent = None
    """r (N,) ≥ 0: the loss of row n counts rₙ times, also in the denominator `weights`. All 1 when left out."""
    ignore_label: Integer | Absent = None
    """With `labels`: rows with this label are ignored. Their loss and gradient are 0, and only the denominator `batch`
    counts them. There is no default such as −100."""
    label_smoothing: Fraction = 0.0
    """ε: c ← (1−ε) c + ε/K' over the K' unmasked classes, the true one included; softmax objectives only. Where ε/(K−1)
    goes to the other classes only, that is ε K/(K−1) here."""


class LossRequest(PreciseBody, SupervisedBody):
    """Scores to compare with labels or targets."""

    include: list[LossOutput] = outputs(LossOutput.LOSS, LossOutput.SUMMARY, is_told=False)
    """What to answer; left out, `loss` and `summary`, with reduction `none` `losses` in place of `loss`."""


class DifferentiatedBody(SupervisedBody):
    """The fields of every request that has to do with derivatives."""

    upstream: Vector | Absent = None
    """(N,), with reduction `none`: the derivative of the caller's scalar by each row's loss. All 1 when left out."""


class GradientRequest(PreciseBody, DifferentiatedBody):
    """Scores to compare with labels or targets, and to differentiate by."""

    curvature: Curvature = Curvature.EXACT
    include: list[GradientOutput] = outputs(
        GradientOutput.LOSS, GradientOutput.GRADIENT, GradientOutput.SUMMARY, is_told=False
    )
    """What to answer; left out, `loss`, `gradient` and `summary`, with reduction `none` `losses` in place of `loss`."""


class Claimed(Body):
    """What the caller computed: at least one output, by the options of the request."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    loss: Scalar | Absent = None
    """The reduced loss in nats."""
    losses: Vector | Absent = None
    """(N,): the loss of each row in nats, with its weights."""
    gradient: Rows | Absent = None
    """(N, K): ∂loss/∂logits, with the row's factor, as `/gradient` answers it."""
    probabilities: Rows | Absent = None
    """(N, K)."""


class CheckRequest(DifferentiatedBody):
    """Scores, what they are compared with, and what the caller makes of them."""

    claimed: Claimed
    """The caller's own outputs. In JSON they count as numbers of `dtype`; in binary NaN and infinities are possible."""
    rtol: NumberFromZero | Absent = None
    """|claimed − reference| ≤ atol + rtol · size is a match; mistakes that leave no more are looked for, too.

    When left out, what is usual of the claimed dtype.
    """
    atol: NumberFromZero | Absent = None
    """When left out, the smallest normal number of the claimed dtype."""
