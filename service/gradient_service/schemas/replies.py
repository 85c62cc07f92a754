"""Reply bodies, one model each. Outputs that were not asked for are left out; nothing has a default."""

from typing import Literal

from gradient_service.core.options import Curvature, Denominator, Objective, Precision, Reduction, TargetsSum
from gradient_service.schemas.fields import (
    Absent,
    Body,
    Count,
    Dtype,
    Integer,
    Labels,
    LogProbabilityRows,
    Matrices,
    Number,
    ProbabilityRows,
    Rows,
    Vector,
    ZeroOrOneRows,
)


class SoftmaxApplied(Body):
    """Each scalar option in force."""

    temperature: Number
    precision: Precision
    dtype: Dtype


class LossApplied(SoftmaxApplied):
    """Each scalar option in force, and the number that `mean` divided by."""

    objective: Objective
    reduction: Reduction
    denominator: Denominator | Absent = None
    """With `mean`, unless a number was given in its place."""
    denominator_value: Number | Absent = None
    """With `mean`: the number divided by."""
    targets_sum: TargetsSum | Absent = None
    """With `targets`, under a softmax objective."""
    ignore_label: Integer | Absent = None
    """When one was given."""
    label_smoothing: Number | Absent = None
    """Under a softmax objective."""


class GradientApplied(LossApplied):
    """Each scalar option in force, and the number that `mean` divided by."""

    curvature: Curvature | Absent = None
    """Under an objective that has second derivatives."""


class SummaryBody(Body):
    """What these rows add to a loss: summaries of disjoint sets of rows merge by addition, exactly."""

    loss_sum: Number
    """Σ r_n E_n in nats, correctly rounded."""
    loss_tail: list[Number]
    """What rounding left out of `loss_sum`: the remainder, rounded, and again until none is left."""
    weight_sum: Number
    """The `weights` denominator, correctly rounded."""
    weight_tail: list[Number]
    """What rounding left out of `weight_sum`."""
    example_count: Count
    """Rows not ignored."""
    ignored_count: Count
    correct_count: Count
    """Counted rows whose predicted class is the label or the first largest target."""


class SoftmaxReply(Body):
    """The outputs asked for, and what was applied."""

    probabilities: ProbabilityRows | Absent = None
    """(N, K); each row sums to 1."""
    predicted_labels: Labels | Absent = None
    """(N,): the first class of the largest logit."""
    log_probabilities: LogProbabilityRows | Absent = None
    """(N, K) in nats; null for a masked class, whose log-probability is −∞."""
    one_hot: ZeroOrOneRows | Absent = None
    """(N, K): 1 at the predicted class, 0 elsewhere."""
    entropy: Vector | Absent = None
    """(N,) in nats."""
    log_normalizer: Vector | Absent = None
    """(N,): log Σ exp(s)."""
    applied: SoftmaxApplied


class LossReply(Body):
    """The outputs asked for, and what was applied."""

    loss: Number | Absent = None
    """The reduced loss in nats."""
    losses: Vector | Absent = None
    """(N,): the loss of each row in nats, with its weights."""
    summary: SummaryBody | Absent = None
    applied: LossApplied


class GradientReply(Body):
    """The outputs asked for, and what was applied."""

    loss: Number | Absent = None
    """The reduced loss in nats."""
    losses: Vector | Absent = None
    """(N,): the loss of each row in nats, with its weights."""
    gradient: Rows | Absent = None
    """∂loss/∂logits (N, K), with the reduction's factor."""
    probabilities: ProbabilityRows | Absent = None
    """(N, K)."""
    predicted_labels: Labels | Absent = None
    """(N,): the first class of the largest logit."""
    loss_wrt_probabilities: Rows | Absent = None
    """∂E/∂p (N, K), with the reduction's factor."""
    jacobian: Matrices | Absent = None
    """(N, K, K): element [n][i][j] is ∂p_i/∂s_j of row n; no factor."""
    gradient_by_chain_rule: Rows | Absent = None
    """(N, K): the two factors above multiplied out."""
    gradient_diagonal_only: Rows | Absent = None
    """(N, K): what keeping only the diagonal p_i (1−p_i) of the Jacobian gives; not the gradient under softmax."""
    hessian_diagonal: Rows | Absent = None
    """(N, K): second derivatives of the loss by each logit, by `curvature`."""
    summary: SummaryBody | Absent = None
    applied: GradientApplied


class LimitsReply(Body):
    """What this service takes at the most, as its operator set it."""

    max_json_body_bytes: Count
    """Larger JSON bodies are 413."""
    max_binary_body_bytes: Count
    """Larger binary bodies are 413."""
    max_elements: Count
    """N·K of one request; more is 422 `output-too-large`."""
    max_reply_bytes: Count
    """Estimated before anything is computed, 25 bytes a JSON number; more is 422 `output-too-large`."""
    max_jacobian_elements: Count
    """N·K² of one request that needs the Jacobian; more is 422 `output-too-large`."""
    max_nesting: Count
    """Deeper JSON is 400 `nesting-too-deep`."""
    max_header_bytes: Count
    """Larger header fields are 431, a longer target is 414."""
    max_header_fields: Count
    """More header fields are 431."""
    max_in_flight_bytes: Count
    """Memory of all calls under way in one process, estimated; what does not fit is 503 `overloaded`."""
    max_concurrency: Count
    """Large calls that one process computes at once; some more wait, others are 503 `overloaded`."""


class HealthReply(Body):
    """The answer of the health endpoints while all is well."""

    status: Literal["ok"]
    parts: dict[str, bool] | Absent = None
    """Each condition by name; with `?verbose` only."""
