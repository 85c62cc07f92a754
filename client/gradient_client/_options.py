"""Every request field: its name, its type for checkers, and how its value is read. One line each.

The Annotated metadata of an option is the function that reads it; `readers` collects them, so a new
option is one new line in the TypedDict of the operations that take it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypedDict, get_type_hints

from numpy.typing import ArrayLike as NumpyLike

from ._arrays import SupportsDLPack
from ._fields import (
    Value,
    read_claim,
    read_integer,
    read_integers,
    read_mask,
    read_number,
    read_numbers,
    read_word,
    read_words,
)
from ._progress import Progress

ArrayLike = NumpyLike | SupportsDLPack
"""Nested lists, NumPy arrays, and anything with `__array__` or `__dlpack__`."""

Objective = Literal["softmax_cross_entropy", "sigmoid_binary_cross_entropy", "softmax_binary_cross_entropy"]
Reduction = Literal["mean", "sum", "none"]
Denominator = Literal["weights", "examples", "batch"]
TargetsSum = Literal["one", "any"]
Curvature = Literal["exact", "upper_bound", "class_scaled", "absolute_residual"]
Precision = Literal["accurate", "fast"]
FloatDtype = Literal["float32", "float64"]
SoftmaxOutput = Literal[
    "probabilities", "predicted_labels", "log_probabilities", "one_hot", "entropy", "log_normalizer"
]
LossOutput = Literal["loss", "summary", "losses"]
GradientOutput = Literal[
    "loss",
    "gradient",
    "summary",
    "losses",
    "probabilities",
    "predicted_labels",
    "loss_wrt_probabilities",
    "jacobian",
    "gradient_by_chain_rule",
    "gradient_diagonal_only",
    "hessian_diagonal",
]

_Matrix = Annotated[ArrayLike | None, partial(read_numbers, rank=2)]
_Vector = Annotated[ArrayLike | None, partial(read_numbers, rank=1)]
_AnyMask = Annotated[ArrayLike | None, partial(read_mask, ranks=(1, 2))]
_ClassMask = Annotated[ArrayLike | None, partial(read_mask, ranks=(1,))]
_ElementMask = Annotated[ArrayLike | None, partial(read_mask, ranks=(2,))]
_Number = Annotated[float | None, read_number]
_Integer = Annotated[int | None, read_integer]


class Arrays(TypedDict, total=False):
    """The positional arguments, which every operation reads alike."""

    logits: _Matrix
    labels: Annotated[ArrayLike | None, read_integers]


class SharedOptions(TypedDict, total=False):
    """Options of every operation. None, like leaving an option out, means the service's default."""

    mask: _AnyMask
    """(K,) or (N, K) booleans, true where the class takes part; its rank picks the field to send."""
    class_mask: _ClassMask
    """(K,) booleans: classes that take part in every row."""
    element_mask: _ElementMask
    """(N, K) booleans: classes that take part in that row."""
    temperature: _Number
    """> 0; the logits are divided by it."""
    dtype: Annotated[FloatDtype | None, read_word]
    """Of the results; left out, float32 of half-precision logits, that of other floating arrays, else float64."""


class RowOptions(TypedDict, total=False):
    """Options of every operation that answers numbers, row by row."""

    chunk_rows: int | Literal["auto"] | None
    """Rows of a request at most: a larger batch goes in several, with the result of one, to the last bit.

    `auto` asks the service for its limits. Not a field of the service, as `progress` is none.
    """
    progress: Progress | None
    """With `chunk_rows`: true for a bar by tqdm, or a function of the rows done and the rows in all."""

    precision: Annotated[Precision | None, read_word]
    """Bounded to the last digits, or faster."""


class SoftmaxOptions(SharedOptions, RowOptions, total=False):
    """Options of `softmax`."""

    include: Annotated[Sequence[SoftmaxOutput] | None, read_words]
    """Outputs to compute, in place of `probabilities` and `predicted_labels`."""


class ObjectiveOptions(SharedOptions, total=False):
    """Options of every operation that has an objective."""

    targets: _Matrix
    """(N, K) target rows, in place of labels."""
    targets_sum: Annotated[TargetsSum | None, read_word]
    """`any` lifts the rule that each target row sums to 1."""
    objective: Annotated[Objective | None, read_word]
    """Which loss."""
    reduction: Annotated[Reduction | None, read_word]
    """How row losses become one."""
    denominator: Annotated[Denominator | None, read_word]
    """What a mean divides by."""
    denominator_value: _Number
    """> 0; the number a mean divides by, in place of `denominator`."""
    class_weights: _Vector
    """(K,) ≥ 0."""
    sample_weights: _Vector
    """(N,) ≥ 0."""
    ignore_label: _Integer
    """Rows with this label are left out; there is no default such as −100."""
    label_smoothing: _Number
    """0 to 1, spread over the unmasked classes."""


class LossOptions(ObjectiveOptions, RowOptions, total=False):
    """Options of `loss`."""

    include: Annotated[Sequence[LossOutput] | None, read_words]
    """Outputs to compute, in place of `loss` and `summary`."""


class DerivativeOptions(ObjectiveOptions, total=False):
    """Options of every operation that has to do with derivatives."""

    upstream: _Vector
    """(N,), with `reduction="none"`: ∂(the caller's scalar)/∂(each row's loss)."""


class GradientOptions(DerivativeOptions, RowOptions, total=False):
    """Options of `gradient`."""

    curvature: Annotated[Curvature | None, read_word]
    """Which second derivative `hessian_diagonal` is."""
    include: Annotated[Sequence[GradientOutput] | None, read_words]
    """Outputs to compute, in place of `loss`, `gradient` and `summary`."""


class CheckOptions(DerivativeOptions, total=False):
    """Options of `check`: what you computed, at least one of the four, and what you tolerate."""

    loss: Annotated[ArrayLike | None, partial(read_claim, rank=0)]
    """Your reduced loss, in nats."""
    losses: Annotated[ArrayLike | None, partial(read_claim, rank=1)]
    """(N,), your loss of each row, with its weights."""
    gradient: Annotated[ArrayLike | None, partial(read_claim, rank=2)]
    """(N, K), your ∂loss/∂logits, with the reduction's factor; NaN and infinities may be in it."""
    probabilities: Annotated[ArrayLike | None, partial(read_claim, rank=2)]
    """(N, K)."""
    rtol: _Number
    """≥ 0; left out, what is usual of the dtype of what you claim."""
    atol: _Number
    """≥ 0; left out, the smallest normal number of that dtype."""


CLAIMS = ("loss", "losses", "gradient", "probabilities")
Reader = Callable[[str, object], Value]


def readers(options: type) -> Mapping[str, Reader]:
    """The reading function of each field that an operation with these options takes."""
    hints: dict[str, Any] = get_type_hints(Arrays, include_extras=True)
    hints |= get_type_hints(options, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}
