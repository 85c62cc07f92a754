"""What calls return: typed, read-only records that hold ordinary writable NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ._records import Attempt, Fault, Meta, Output, ReadOnlyMapping, Result

__all__ = ["Attempt", "Fault", "GradientResult", "Limits", "LossResult", "Meta", "SoftmaxResult", "Summary"]

# N rows, K classes. The axes are checked against the request, so a reply of another shape never gets out.
_Rows = Annotated[NDArray[np.floating[Any]], Output("NK")]
_PerRow = Annotated[NDArray[np.floating[Any]], Output("N")]
_Matrices = Annotated[NDArray[np.floating[Any]], Output("NKK")]
_ClassPerRow = Annotated[NDArray[np.int64], Output("N", np.int64)]
_OneHotRows = Annotated[NDArray[np.uint8], Output("NK", np.uint8)]
_Number = Annotated[float, Output("")]


@dataclass(frozen=True, slots=True)
class Summary:
    """The mergeable totals of a loss: those of disjoint rows add up, exactly.

    The sums are float64 whatever the reply's dtype; a tail lists what rounding left out of its sum.
    """

    loss_sum: float
    """Σ of the weighted row losses, in nats."""
    weight_sum: float
    """The denominator named `weights`."""
    example_count: int
    """Rows that were not ignored."""
    ignored_count: int
    """Rows that were ignored."""
    correct_count: int
    """Counted rows whose predicted class is the label or the first largest target; of sigmoid cross-entropy, those with
    s > 0 exactly where c > 1/2 in every class that takes part."""
    loss_tail: tuple[float, ...]
    """The remainder of `loss_sum`, rounded, and again until none is left."""
    weight_tail: tuple[float, ...]
    """The remainder of `weight_sum`, likewise."""


class SoftmaxResult(Result):
    """The answer of `softmax`. Arrays are writable, C-contiguous, in the dtype `applied["dtype"]`.

    Reading an output that was not asked for raises `AttributeError`; see `include`.
    """

    probabilities: _Rows
    """(N, K), rows sum to 1."""
    predicted_labels: _ClassPerRow
    """(N,) int64, the class of the largest logit, the first on ties."""
    log_probabilities: _Rows
    """(N, K), natural logarithm; −inf for a masked class."""
    one_hot: _OneHotRows
    """(N, K) uint8, 1 at the predicted class and 0 elsewhere."""
    entropy: _PerRow
    """(N,), nats."""
    log_normalizer: _PerRow
    """(N,), log Σ exp of the row's scores."""


class LossResult(Result):
    """The answer of `loss`. Arrays are writable, C-contiguous, in the dtype `applied["dtype"]`.

    Reading an output that was not asked for raises `AttributeError`; see `include`.
    """

    loss: _Number
    """The reduced loss in nats; absent with `reduction="none"`, where `losses` takes its place."""
    losses: _PerRow
    """(N,), nats, sample weights included."""
    summary: Summary
    """The mergeable totals."""


class GradientResult(Result):
    """The answer of `gradient`. Arrays are writable, C-contiguous, in the dtype `applied["dtype"]`.

    Every derivative of the loss carries the reduction's factor. Reading an output that was not asked for
    raises `AttributeError`; see `include`.
    """

    loss: _Number
    """The reduced loss in nats; absent with `reduction="none"`, where `losses` takes its place."""
    gradient: _Rows
    """(N, K), ∂loss/∂logits."""
    summary: Summary
    """The mergeable totals."""
    losses: _PerRow
    """(N,), nats, sample weights included."""
    probabilities: _Rows
    """(N, K), of the objective: softmax rows sum to 1."""
    predicted_labels: _ClassPerRow
    """(N,) int64."""
    loss_wrt_probabilities: _Rows
    """(N, K), ∂loss/∂probabilities."""
    jacobian: _Matrices
    """(N, K, K), [n, i, j] = ∂p_i/∂s_j of row n."""
    gradient_by_chain_rule: _Rows
    """(N, K), multiplied out from the factors."""
    gradient_diagonal_only: _Rows
    """(N, K), the textbook shortcut that keeps only the Jacobian's diagonal."""
    hessian_diagonal: _Rows
    """(N, K), second derivatives as `curvature` names them."""


class Limits(ReadOnlyMapping[float]):
    """The service's limits by name: a read-only mapping whose well-known entries are also attributes.

    A limit this version has not heard of is in the mapping like any other.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        max_json_body_bytes: int
        max_binary_body_bytes: int
        max_elements: int
        max_reply_bytes: int
        max_jacobian_elements: int
        max_header_bytes: int
        max_header_fields: int
        max_nesting: int
        max_in_flight_bytes: int
        max_concurrency: int
    else:

        def __getattr__(self, name: str) -> float:
            if name.startswith("_") or name not in self:
                raise AttributeError(f"the service states no limit named {name!r}")
            return self[name]
