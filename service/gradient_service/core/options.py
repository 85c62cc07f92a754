"""The named choices of a request, each with its meaning: objectives, reductions, denominators and more."""

from enum import StrEnum
from typing import Self


class Choice(StrEnum):
    """Words to choose from; a member is written as the word and what it means, and the docstring lists them."""

    meaning: str
    """What the word means, as the rest of a line after it."""

    # The second argument has a default only because a word alone also calls the class, to look its member up.
    def __new__(cls, word: str, meaning: str = "") -> Self:  # noqa: D102  as documented as any special method
        choice = str.__new__(cls, word)
        choice._value_ = word
        choice.meaning = meaning
        return choice

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        lines = (f"- `{choice}`: {choice.meaning}" for choice in cls)
        cls.__doc__ = "\n".join((cls.__doc__ or "", "", *lines))


class Objective(Choice):
    """Which loss is computed from the logits."""

    SOFTMAX_CROSS_ENTROPY = (
        "softmax_cross_entropy",
        "E = −Σⱼ wⱼ cⱼ log pⱼ with p = softmax(s): one class of K is right",
    )
    SIGMOID_BINARY_CROSS_ENTROPY = (
        "sigmoid_binary_cross_entropy",
        "E = −Σⱼ wⱼ [cⱼ log pⱼ + (1−cⱼ) log(1−pⱼ)] with pⱼ = 1/(1+exp(−sⱼ)): each class by itself",
    )
    SOFTMAX_BINARY_CROSS_ENTROPY = (
        "softmax_binary_cross_entropy",
        "the same binary sum with p = softmax(s), as some textbooks print it: another loss than the first",
    )


class Reduction(Choice):
    """How the losses of the rows become one number."""

    MEAN = "mean", "their sum divided by the denominator"
    SUM = "sum", "their sum"
    NONE = "none", "they stay apart, and `losses` takes the place of `loss`"


class Denominator(Choice):
    """What `mean` divides the sum by: D."""

    WEIGHTS = (
        "weights",
        "Σₙ rₙ Σⱼ wⱼ cₙⱼ over rows not ignored, for the sigmoid objective Σₙ rₙ, as PyTorch and ONNX divide",
    )
    EXAMPLES = "examples", "the number of rows that are not ignored, as Keras, whatever the weights"
    BATCH = "batch", "the number of all rows, ignored ones included"


class TargetsSum(Choice):
    """What a row of `targets` must sum to."""

    ONE = "one", "1, within 1e-6 or the rounding of half-precision numbers"
    ANY = "any", "any sum: the rows are no probability distributions"


class Precision(Choice):
    """How digits are traded for time."""

    ACCURATE = (
        "accurate",
        "float32 results are computed in float64 and rounded once, float64 ones compensated: a few ulp",
    )
    FAST = (
        "fast",
        (
            "neither: up to g + 12 ulp, 2g + 12 with a temperature, g the largest gap between the logits of a row; the "
            "Jacobian, the chain rule's gradient and `softmax_binary_cross_entropy` are computed as by `accurate`"
        ),
    )


class Curvature(Choice):
    """Which second derivative by each logit `hessian_diagonal` holds; each is divided by T²."""

    EXACT = "exact", "W p (1−p)"
    UPPER_BOUND = "upper_bound", "2 W p (1−p), as XGBoost up to 3.2; softmax cross-entropy only"
    CLASS_SCALED = "class_scaled", "K/(K−1) W p (1−p), 0 at K = 1, as LightGBM; softmax cross-entropy only"
    ABSOLUTE_RESIDUAL = "absolute_residual", "|∂E/∂s|, as XGBoost since"
