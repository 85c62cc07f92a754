"""The service for users' tests says of a call what the real one says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gradient_client import GradientClient
from gradient_client._wire import WireName
from gradient_client.testing import FakeService

LOGITS, LABELS = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]), [2, 0]
TARGETS = [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]
TEXTBOOK, SIGMOID = "softmax_binary_cross_entropy", "sigmoid_binary_cross_entropy"
OPTIONS: list[dict[str, Any]] = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"temperature": 2.0, "label_smoothing": 0.1, "dtype": "float32"},
    {"denominator": "batch", "ignore_label": 0},
    {"denominator_value": 7.0},
    {"class_weights": [1, 2, 3], "sample_weights": [0.1, 0.2]},
    {"labels": None, "targets": TARGETS},
    {"labels": None, "targets": TARGETS, "targets_sum": "any"},
    {"labels": None, "targets": TARGETS, "objective": SIGMOID},
    {"objective": TEXTBOOK},
    {"logits": LOGITS.astype(np.float16)},
]


@pytest.fixture
def clients(wire: WireName) -> Iterator[list[GradientClient]]:
    """A client of the real service, and one of the other."""
    with (
        GradientClient.in_process(timeout=60, wire=wire) as real,
        GradientClient("http://service.test", transport=FakeService(), wire=wire) as other,
    ):
        yield [real, other]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("method", ["loss", "gradient", "check"])
def test_options_in_force(clients: list[GradientClient], method: str, options: dict[str, Any]) -> None:
    """Both tell the same options, those that were left out by their defaults."""
    claim = {"gradient": LOGITS.tolist()} if method == "check" else {}
    arguments = {"logits": LOGITS, "labels": LABELS} | options | claim
    real, other = (dict(getattr(client, method)(**arguments).applied) for client in clients)
    assert other == real


@pytest.mark.parametrize("options", [{}, {"precision": "fast"}, {"temperature": 0.5}], ids=str)
def test_options_in_force_of_softmax(clients: list[GradientClient], options: dict[str, Any]) -> None:
    """So it is where there is nothing to compare with."""
    real, other = (dict(client.softmax(LOGITS, **options).applied) for client in clients)
    assert other == real


def test_a_curvature_and_tolerances_in_force(clients: list[GradientClient]) -> None:
    """What only some calls take is told by them."""
    for client in clients:
        assert client.gradient(LOGITS, LABELS, curvature="upper_bound").applied["curvature"] == "upper_bound"
        applied = client.check(LOGITS, LABELS, gradient=LOGITS, rtol=0.5, atol=1).applied
        assert (applied["rtol"], applied["atol"]) == (0.5, 1)
