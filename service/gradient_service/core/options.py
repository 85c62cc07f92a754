"""The named choices of a request: objectives, reductions, denominators, precision, curvatures."""

from enum import StrEnum


class Objective(StrEnum):
    """Which loss is computed from the logits."""

    SOFTMAX_CROSS_ENTROPY = "softmax_cross_entropy"
    SIGMOID_BINARY_CROSS_ENTROPY = "sigmoid_binary_cross_entropy"
    SOFTMAX_BINARY_CROSS_ENTROPY = "softmax_binary_cross_entropy"


class Reduction(StrEnum):
    """How the losses of the rows become one number."""

    MEAN = "mean"
    SUM = "sum"
    NONE = "none"


class Denominator(StrEnum):
    """What `mean` divides the sum by."""

    WEIGHTS = "weights"
    EXAMPLES = "examples"
    BATCH = "batch"


class TargetsSum(StrEnum):
    """What a row of `targets` must sum to."""

    ONE = "one"
    ANY = "any"


class Precision(StrEnum):
    """`accurate` rounds float32 results once and compensates float64; `fast` does neither."""

    ACCURATE = "accurate"
    FAST = "fast"


class Curvature(StrEnum):
    """Which second derivative `hessian_diagonal` holds."""

    EXACT = "exact"
    UPPER_BOUND = "upper_bound"
    CLASS_SCALED = "class_scaled"
    ABSOLUTE_RESIDUAL = "absolute_residual"
