"""The gradient as a service of BentoML."""

import bentoml
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from benchmarks.rivals.maths import loss_and_gradient


class GradientReply(BaseModel):
    """The loss and its gradient."""

    loss: float
    gradient: list[list[float]]


@bentoml.service(workers=1)
class Gradient:
    """A model without weights."""

    @bentoml.api
    def gradient(self, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> GradientReply:
        """Answer."""
        loss, computed = loss_and_gradient(logits, labels)
        return GradientReply(loss=loss, gradient=computed.tolist())
