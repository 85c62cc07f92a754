"""Gradient boosting: the service's gradient and curvature as the objective of XGBoost and of LightGBM.

    booster = xgboost.train({"num_class": 10}, matrix, obj=gradient_client.boosting.xgboost_objective(client))
    booster = lightgbm.train({"objective": gradient_client.boosting.lightgbm_objective(client), "num_class": 10}, data)

With one margin a row, of 0/1 labels, the objective is that of a sigmoid. Neither library is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ._refusal import refusal

if TYPE_CHECKING:
    from ._client import GradientClient
    from ._options import Curvature

__all__ = ["BoostingObjective", "lightgbm_objective", "xgboost_objective"]

Array = NDArray[Any]


class Examples(Protocol):
    """What an `xgboost.DMatrix` and a `lightgbm.Dataset` have in common."""

    def get_label(self) -> Any:
        """The labels, (N,)."""

    def get_weight(self) -> Any:
        """The weights, (N,), or none."""


@dataclass(frozen=True)
class BoostingObjective:
    """A function of margins (N, K) and examples to gradient and curvature of the summed loss, both (N, K).

    Formula: ∂E/∂s and what `curvature` says of ∂²E/∂s², each times the row's weight
    """

    client: GradientClient
    """Who asks the service."""
    curvature: Curvature | None
    """Which second derivative; None is as the library has it."""
    of_classes: Curvature
    """The library's own with several margins a row; with one, that of a sigmoid, it is the exact one."""

    def __call__(self, margins: Array, examples: Examples) -> tuple[Array, Array]:
        """Both derivatives, in the margins' own shape.

        Raises:
            GradientClientError: the service could not be asked, or refused.
        """
        weights = examples.get_weight()
        result = self.client.gradient(
            margins.reshape(len(margins), 1) if margins.ndim == 1 else margins,
            sample_weights=None if weights is None or not len(weights) else weights,
            reduction="sum",
            include=["gradient", "hessian_diagonal"],
            **self._of_margins(margins, examples.get_label()),
        )
        return result.gradient.reshape(margins.shape), result.hessian_diagonal.reshape(margins.shape)

    def _of_margins(self, margins: Array, labels: Array) -> dict[str, Any]:
        if margins.ndim == 1 or margins.shape[1] == 1:
            targets = {"targets": labels[:, np.newaxis], "objective": "sigmoid_binary_cross_entropy"}
            return targets | {"curvature": self.curvature or "exact"}
        return {"labels": _classes(labels), "curvature": self.curvature or self.of_classes}


def _classes(labels: Array) -> Array:
    """Class indices, which both libraries keep as floats."""
    classes = labels.astype(np.int64)
    if (classes != labels).any():
        row = int(np.argmax(classes != labels))
        raise refusal("labels", "is no whole number", "number the classes from 0", (row,))
    return classes


def xgboost_objective(client: GradientClient, *, curvature: Curvature | None = None) -> BoostingObjective:
    """The objective for `xgboost.train(..., obj=)`, with the curvature of XGBoost's own to version 3.2.

    Args:
        client: who asks the service.
        curvature: `absolute_residual` for what later versions take of several classes; left out, `upper_bound`, and
            `exact` with one margin a row, which has no others but `absolute_residual`.

    Returns:
        A function of predictions and a `DMatrix`. XGBoost adds its `base_score` to the margins of any objective that
        is not its own: with one margin a row, set it to 0.
    """
    return BoostingObjective(client, curvature, of_classes="upper_bound")


def lightgbm_objective(client: GradientClient, *, curvature: Curvature | None = None) -> BoostingObjective:
    """The objective for `lightgbm.train({"objective": ...})`, with the curvature of LightGBM's own.

    Args:
        client: who asks the service.
        curvature: another second derivative; left out, `class_scaled`, and `exact` with one margin a row, which has no
            others but `absolute_residual`.

    Returns:
        A function of predictions and a `Dataset`; it starts at margins of 0 where LightGBM's own starts at the
        logarithms of the classes' shares.
    """
    return BoostingObjective(client, curvature, of_classes="class_scaled")
