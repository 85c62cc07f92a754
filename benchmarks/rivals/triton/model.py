"""The gradient as a Python model of Triton."""

from typing import Any

import numpy as np
import triton_python_backend_utils as triton

from benchmarks.rivals.maths import loss_and_gradient


class TritonPythonModel:
    """A model without weights."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        logits, labels = (triton.get_input_tensor_by_name(request, name).as_numpy() for name in ("logits", "labels"))
        loss, gradient = loss_and_gradient(logits, labels)
        outputs = {"loss": np.array([loss], gradient.dtype), "gradient": gradient}
        return triton.InferenceResponse([triton.Tensor(name, array) for name, array in outputs.items()])
