"""The application that one usually writes: FastAPI, lists checked by pydantic, a model of the reply.

A function that computes belongs in a thread, as the framework's own documentation has it: `def`. For so small a
computation many write `async def` all the same, and are answered sooner, so that both are here.
"""

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.rivals.maths import loss_and_gradient

app = FastAPI()


class GradientRequest(BaseModel):
    """Rows of scores and their labels."""

    logits: list[list[float]]
    labels: list[int]


class GradientReply(BaseModel):
    """The loss and its gradient."""

    loss: float
    gradient: list[list[float]]


@app.post("/gradient")
def gradient(request: GradientRequest) -> GradientReply:
    """Answer in a thread."""
    return answer(request)


@app.post("/async/gradient")
async def gradient_on_the_loop(request: GradientRequest) -> GradientReply:
    """Answer on the event loop."""
    return answer(request)


def answer(request: GradientRequest) -> GradientReply:
    """Lists to arrays and back."""
    loss, computed = loss_and_gradient(np.array(request.logits), np.array(request.labels))
    return GradientReply(loss=loss, gradient=computed.tolist())
