"""From the results of chunks to the result of the batch, to the bit what one call would answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._exact_sum import rounded_with_tail
from ._records import Meta, ReadOnlyMapping
from ._refusal import refusal
from .results import Summary


def merge_summaries(summaries: Sequence[Summary]) -> Summary:
    """The summary of all rows from those of disjoint parts.

    Raises:
        InputError: a sum leaves the range of float64.
    """
    try:
        loss_sum, loss_tail = rounded_with_tail(part for each in summaries for part in (each.loss_sum, *each.loss_tail))
        weight_sum, weight_tail = rounded_with_tail(
            part for each in summaries for part in (each.weight_sum, *each.weight_tail)
        )
    except OverflowError:
        raise refusal("logits", "give a sum beyond the range of float64", "divide the weights") from None
    return Summary(
        loss_sum=loss_sum,
        weight_sum=weight_sum,
        example_count=sum(each.example_count for each in summaries),
        ignored_count=sum(each.ignored_count for each in summaries),
        correct_count=sum(each.correct_count for each in summaries),
        loss_tail=loss_tail,
        weight_tail=weight_tail,
    )


def loss_of(summary: Summary, denominator: float | None, dtype: Any) -> float:
    """The reduced loss: the sum, or the sum over D in one division, rounded to the dtype.

    Raises:
        InputError: it leaves the range of the dtype.
    """
    reduced = summary.loss_sum / denominator if denominator else summary.loss_sum
    with np.errstate(over="ignore"):
        loss = float(np.dtype(dtype).type(reduced))
    if not np.isfinite(loss):
        raise refusal("logits", f"give a loss beyond the range of {dtype}", 'pass dtype="float64"')
    return loss


def merge_metas(metas: Sequence[Meta]) -> Meta:
    """About all requests as one: attempts in the order of the rows, sizes and times added up."""
    timing: dict[str, float] = {}
    for each in metas:
        for stage, milliseconds in each.server_timing.items():
            timing[stage] = timing.get(stage, 0.0) + milliseconds
    return Meta(
        request_id=metas[0].request_id,
        attempts=tuple(attempt for each in metas for attempt in each.attempts),
        server_timing=ReadOnlyMapping(timing),
        request_bytes=sum(each.request_bytes for each in metas),
        reply_bytes=sum(each.reply_bytes for each in metas),
    )
