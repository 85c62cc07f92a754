"""scikit-learn: the service's loss as a scorer for cross-validation and searches.

    cross_val_score(model, images, digits, scoring=gradient_client.sklearn.log_loss_scorer(client))

scikit-learn is not imported here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._refusal import refusal
from .errors import RejectedInputError

if TYPE_CHECKING:
    from ._client import GradientClient

__all__ = ["LogLossScorer", "log_loss_scorer"]

ResponseMethod = Literal["predict_proba", "decision_function"]
Array = NDArray[Any]


@dataclass(frozen=True)
class LogLossScorer:
    """A function of an estimator, inputs and true classes to the negated mean loss: greater is better.

    Formula: score = Σ_n r_n log p_n / Σ_n r_n, with p_n the probability of the true class
    """

    client: GradientClient
    """Who asks the service."""
    response_method: ResponseMethod = "predict_proba"
    """What the estimator is asked."""

    def __call__(self, estimator: Any, inputs: Any, classes: Any, sample_weight: Any = None) -> float:
        """The score in nats; −∞ where a true class has probability 0, which `log_loss` clips.

        Raises:
            GradientClientError: the service could not be asked, or refused.
        """
        logits, mask = self._logits(estimator, inputs)
        labels = _indices(estimator.classes_, np.asarray(classes))
        try:
            return -self.client.loss(logits, labels, element_mask=mask, sample_weights=sample_weight).loss
        except RejectedInputError as error:
            if error.slug == "infinite-loss":
                return -math.inf
            raise

    def _logits(self, estimator: Any, inputs: Any) -> tuple[Array, Array | None]:
        """Scores whose softmax is the estimator's probability, and which of them are above 0."""
        response = np.asarray(getattr(estimator, self.response_method)(inputs))
        if self.response_method == "decision_function":
            # Two classes have one score, that of the second over the first.
            return (response if response.ndim > 1 else np.stack([np.zeros_like(response), response], axis=1)), None
        mask: Array = response > 0
        return np.log(response, where=mask, out=np.zeros_like(response)), mask


def _indices(known: Array, classes: Array) -> Array:
    """Where each class stands among those that the estimator knows, which are sorted."""
    places = np.searchsorted(known, classes).clip(max=len(known) - 1)
    if (known[places] != classes).any():
        row = int(np.argmax(known[places] != classes))
        raise refusal("classes", "is a class that the estimator was not fitted to", "fit it to all classes", (row,))
    return places


def log_loss_scorer(client: GradientClient, *, response_method: ResponseMethod = "predict_proba") -> LogLossScorer:
    """The scorer for `cross_val_score(..., scoring=)` and the like.

    Args:
        client: who asks the service.
        response_method: `decision_function` for estimators whose probabilities are the softmax of it, such as
            `LogisticRegression`: nothing is lost where a probability rounds to 1 or to 0.

    Returns:
        A function of estimator, inputs and classes, which pickles as the client does.
    """
    return LogLossScorer(client, response_method)
