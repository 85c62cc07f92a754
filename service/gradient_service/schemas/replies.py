"""Reply bodies, one model each. Outputs that were not asked for are left out; nothing has a default."""

from typing import Annotated, Literal

from pydantic import Field

from gradient_service.core.checking.codes import DiagnosisCode
from gradient_service.core.checking.invariants import Invariant
from gradient_service.core.options import Choice, Curvature, Denominator, Objective, Precision, Reduction, TargetsSum
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


class SupervisedApplied(Body):
    """The options in force of what scores are compared with."""

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


class LossApplied(SupervisedApplied, SoftmaxApplied):
    """Each scalar option in force, and the number that `mean` divided by."""


class GradientApplied(LossApplied):
    """Each scalar option in force, and the number that `mean` divided by."""

    curvature: Curvature | Absent = None
    """Under an objective that has second derivatives."""


class ScoresApplied(Body):
    """The options in force of how scores are read."""

    temperature: Number
    dtype: Dtype


class CheckApplied(SupervisedApplied, ScoresApplied):
    """Each scalar option in force, and the number that `mean` divided by."""

    rtol: Number | Absent = None
    """When one was given."""
    atol: Number | Absent = None
    """When one was given."""


class SummaryBody(Body):
    """What these rows add to a loss: summaries of disjoint sets of rows merge by addition, exactly."""

    loss_sum: Number
    """Σ rₙ Eₙ in nats, correctly rounded."""
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
    """Counted rows whose predicted class is the label or the first largest target; of sigmoid cross-entropy, those with
    s > 0 exactly where c > 1/2 in every class that takes part."""


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
    """∂loss/∂logits (N, K), with the row's factor: rₙ/D for `mean`, rₙ for `sum`, rₙ times `upstream` for `none`; rₙ is
    the sample weight, D the number divided by."""
    probabilities: ProbabilityRows | Absent = None
    """(N, K)."""
    predicted_labels: Labels | Absent = None
    """(N,): the first class of the largest logit."""
    loss_wrt_probabilities: Rows | Absent = None
    """∂E/∂p (N, K), with the row's factor, as `gradient` has it."""
    jacobian: Matrices | Absent = None
    """(N, K, K): element [n][i][j] is ∂pᵢ/∂sⱼ of row n; no factor."""
    gradient_by_chain_rule: Rows | Absent = None
    """(N, K): the two factors above multiplied out."""
    gradient_diagonal_only: Rows | Absent = None
    """(N, K): what keeping only the diagonal pᵢ (1−pᵢ) of the Jacobian gives. Under softmax that is not the gradient:
    off the diagonal the Jacobian is −pᵢ pⱼ."""
    hessian_diagonal: Rows | Absent = None
    """(N, K): second derivatives of the loss by each logit, by `curvature`: the diagonal of the Hessian, with the row's
    factor."""
    summary: SummaryBody | Absent = None
    applied: GradientApplied


class Verdict(Choice):
    """What became of a claim."""

    MATCH = "match", "every element is within the tolerance"
    MISMATCH = (
        "mismatch",
        "some element is not, or all are equal where those of the reference differ by more than rounding",
    )


class DiagnosisBody(Body):
    """A mistake that reproduces what was claimed."""

    code: DiagnosisCode
    explanation: str
    """Which outputs it explains, and in plain words what it is."""
    residual: Number
    """The largest error that it leaves, over its size."""


class WorstRow(Body):
    """A row, and its element that is off the most."""

    output: str
    row: Count
    column: Annotated[Count | Absent, Field(alias="class")] = None
    """Left out where the output has one number a row."""
    claimed: Number | Absent = None
    """Left out where it is no finite number."""
    reference: Number


class ErrorsBody(Body):
    """The largest error and the middle one."""

    maximum: Number
    median: Number


class ErrorKinds(Body):
    """Errors in units of the last place of the claimed dtype, as they are, and over the number itself."""

    ulp: ErrorsBody
    absolute: ErrorsBody
    relative: ErrorsBody


class OutputStatistics(Body):
    """How far a claimed output is off, and how far plain NumPy would be in the same dtype."""

    claimed: ErrorKinds | Absent = None
    """Of its finite numbers; left out where there is none."""
    plain: ErrorKinds | Absent = None


class StatisticsBody(Body):
    """The errors of each claimed output."""

    loss: OutputStatistics | Absent = None
    losses: OutputStatistics | Absent = None
    gradient: OutputStatistics | Absent = None
    probabilities: OutputStatistics | Absent = None


class InvariantBody(Body):
    """Something that holds of every right claim."""

    name: Invariant
    holds: bool
    value: Number
    """What was found: a count, or the largest number that should be 0."""


class CheckReply(Body):
    """Whether a claim is right, and if not, which mistakes reproduce it."""

    verdict: Verdict
    diagnoses: list[DiagnosisBody]
    """Best first; none for a right claim, but that it lost digits next to 0."""
    worst_rows: list[WorstRow]
    """Those with the largest errors, worst first."""
    statistics: StatisticsBody
    invariants: list[InvariantBody]
    applied: CheckApplied


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
