"""The gradient as a deployment of Ray Serve: `python -m benchmarks.rivals.ray.app PORT`."""

import sys
import threading
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from benchmarks.rivals.maths import loss_and_gradient


class Gradient:
    """A model without weights."""

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Answer."""
        document = await request.json()
        loss, gradient = loss_and_gradient(np.array(document["logits"]), np.array(document["labels"]))
        return {"loss": loss, "gradient": gradient.tolist()}


if __name__ == "__main__":
    ray.init(include_dashboard=False, logging_level="error", _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(serve.deployment(Gradient).bind(), route_prefix="/gradient")
    threading.Event().wait()
