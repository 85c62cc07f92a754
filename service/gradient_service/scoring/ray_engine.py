"""Blocks scored by the workers of a Ray cluster: Ray Data maps the function over them, and asks again for lost ones."""

import logging
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray
import ray.data

from gradient_service.core.errors import InvalidInputError
from gradient_service.scoring.errors import ScoringError

T = TypeVar("T")


def on_ray(function: Callable[[slice], T], blocks: Sequence[slice]) -> Iterator[T]:
    """Yield what a function returns for each block, called on any machine of the cluster.

    The cluster is that of `RAY_ADDRESS`, else one that runs on this machine, else one that is started here.

    Raises:
        ScoringError, InvalidInputError, OSError, MemoryError: what the function raises.
    """
    if not blocks:
        return
    if not ray.is_initialized():
        sys.stderr.write("Waiting for Ray: the cluster of RAY_ADDRESS, one of this machine, or one that starts now.\n")
        ray.init(logging_level="error", log_to_driver=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [{"start": block.start, "stop": block.stop} for block in blocks]
    dataset = ray.data.from_items(items, override_num_blocks=len(items))
    for row in dataset.map(_told(function), num_cpus=1).iter_rows():
        outcome = pickle.loads(row["outcome"])  # noqa: S301  written by our own worker
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


def _told(function: Callable[[slice], Any]) -> Callable[[dict[str, int]], dict[str, bytes]]:
    """Return the function as rows of a data set have it: what it returns, or refuses to, as bytes."""

    def call(row: dict[str, int]) -> dict[str, bytes]:
        try:
            outcome: Any = function(slice(row["start"], row["stop"]))
        except (ScoringError, InvalidInputError, OSError, MemoryError) as error:
            outcome = error
        return {"outcome": pickle.dumps(outcome)}

    return call
