"""Code as users write it, never run: only for type checkers, which must see what each call takes and returns."""

from __future__ import annotations

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from gradient_client import AsyncGradientClient, ChunkError, GradientClient, GradientResult, Limits, LossResult


def ask(client: GradientClient, logits: NDArray[np.float32]) -> float:
    """Ask in one call, and in chunks."""
    result = client.gradient(logits, [0, 1], reduction="mean", chunk_rows="auto", progress=True)
    assert_type(result, GradientResult)
    assert_type(result.summary.loss_tail, tuple[float, ...])
    try:
        assert_type(client.loss(logits, targets=logits, chunk_rows=100, progress=print), LossResult)
    except ChunkError as error:
        assert_type(error.rows, tuple[int, int])
    return result.loss + float(result.gradient.sum())


async def ask_asynchronously() -> Limits:
    """Ask an application in this process."""
    async with AsyncGradientClient.in_process(wire="json") as client:
        assert_type(await client.loss([[1.0]], targets=[[1.0]], denominator="batch"), LossResult)
        return await client.limits()
