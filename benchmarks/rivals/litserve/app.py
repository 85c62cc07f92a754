"""The gradient as an API of LitServe: `python -m benchmarks.rivals.litserve.app PORT`."""

import sys
from typing import Any

import litserve
import numpy as np

from benchmarks.rivals.maths import loss_and_gradient


class Gradient(litserve.LitAPI):
    """A model without weights."""

    def setup(self, device: str) -> None:
        """Load nothing."""

    def decode_request(self, request: dict[str, Any]) -> tuple[Any, Any]:
        """Lists to arrays."""
        return np.array(request["logits"]), np.array(request["labels"])

    def predict(self, arrays: tuple[Any, Any]) -> tuple[float, Any]:
        """Compute."""
        return loss_and_gradient(*arrays)

    def encode_response(self, output: tuple[float, Any]) -> dict[str, Any]:
        """Arrays to lists."""
        loss, gradient = output
        return {"loss": loss, "gradient": gradient.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Gradient(api_path="/gradient"), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
