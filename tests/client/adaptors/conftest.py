"""A client of the service in this process, which every framework asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gradient_client import GradientClient


@pytest.fixture
def client() -> Iterator[GradientClient]:
    """A client without a network."""
    with GradientClient.in_process(timeout=60) as asked:
        yield asked
