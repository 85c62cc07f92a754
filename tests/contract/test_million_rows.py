"""A million rows through a service that takes 16 MiB at once: the bits of one call, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from gradient_client import GradientClient
from gradient_client._chunk_plan import MOST_LANES

from .serving import running_service

pytestmark = pytest.mark.full

ROWS, CLASSES, LIMIT = 1_000_000, 10, 16 * 1024 * 1024
SECONDS = 120.0


@pytest.fixture(scope="module")
def narrow() -> Iterator[str]:
    """A service whose bodies are limited to 16 MiB."""
    with running_service(max_json_body_bytes=LIMIT, max_binary_body_bytes=LIMIT) as url:
        yield url


def batch(num_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels and sample weights."""
    generator = np.random.default_rng(num_rows)
    logits = generator.normal(scale=5, size=(num_rows, CLASSES))
    return logits, generator.integers(0, CLASSES, num_rows), generator.uniform(0, 2, num_rows)


def test_a_million_rows_have_the_bits_of_one_call(narrow: str) -> None:
    """Loss, gradient and summary of all chunks are those of one unlimited call."""
    logits, labels, weights = batch(ROWS)
    heard: list[int] = []
    with running_service() as wide, GradientClient(wide, timeout=SECONDS) as client:
        whole = client.gradient(logits, labels, sample_weights=weights)
    with GradientClient(narrow, timeout=SECONDS) as client:
        merged = client.gradient(
            logits, labels, sample_weights=weights, chunk_rows="auto", progress=lambda done, _: heard.append(done)
        )
    assert (merged.loss, merged.summary) == (whole.loss, whole.summary)
    assert merged.gradient.tobytes() == whole.gradient.tobytes()
    assert heard[-1] == ROWS
    assert len(heard) > merged.meta.request_bytes / LIMIT


def test_memory_is_that_of_the_chunks_under_way(narrow: str) -> None:
    """Besides its result a call takes a few copies of each chunk under way, and a truth value for each element."""
    logits, labels, _ = batch(ROWS)
    rows = 20_000
    tracemalloc.start()
    with GradientClient(narrow, timeout=SECONDS) as client:
        result = client.gradient(logits, labels, chunk_rows=rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    chunk_bytes = (result.meta.request_bytes + result.meta.reply_bytes) * rows / ROWS
    assert peak - result.gradient.nbytes < MOST_LANES * 4 * chunk_bytes + logits.size
