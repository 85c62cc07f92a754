"""Both formats of the client give the same results to the last bit, for every output of every operation."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest

from gradient_client import GradientClient, RejectedInputError
from gradient_client._options import GradientOutput, LossOutput, SoftmaxOutput
from gradient_client._wire import WIRES

from .conftest import NO_RETRY

SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 1e-45, -1e-45, 1.1754942e-38, 2.2250738585072014e-308]
INCLUDES: dict[str, list[str]] = {
    "softmax": list(get_args(SoftmaxOutput)),
    "loss": list(get_args(LossOutput)),
    "gradient": list(get_args(GradientOutput)),
}
# An infinite factor of the chain rule is refused whole; what a batch holds besides is asked for without the factors.
FACTORS = {"loss_wrt_probabilities", "gradient_by_chain_rule"}
SEEDS = range(20)


@pytest.fixture(scope="module")
def clients(url: str) -> Iterator[list[GradientClient]]:
    """One client for each format."""
    made = [GradientClient(url, retry=NO_RETRY, wire=name) for name in WIRES]
    yield made
    for client in made:
        client.close()


def bits(value: Any) -> Any:
    """What two outputs share that are equal to the last bit."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    return struct.pack("d", value) if isinstance(value, float) else value


def answer(client: GradientClient, method: str, question: dict[str, Any]) -> Any:
    """Every output and applied option of a call, or how it was refused."""
    try:
        result = getattr(client, method)(**question)
    except RejectedInputError as error:
        return error.slug, error.pointer
    members = {name: value for name, value in vars(result).items() if name not in {"meta", "applied"}}
    return {name: bits(value) for name, value in members.items()} | {"applied": dict(result.applied)}


def batch(seed: int, dtype: str, method: str) -> dict[str, Any]:
    """A random question: −0, subnormals, masks and weights of several dtypes, hard labels or soft targets."""
    generator = np.random.default_rng(seed)
    rows, columns = int(generator.integers(1, 6)), int(generator.choice([1, 2, 3, 17]))
    logits = generator.normal(scale=generator.choice([1, 30]), size=(rows, columns)).astype(dtype)
    special = generator.choice(np.array(SPECIAL).astype(dtype), logits.shape)
    question: dict[str, Any] = {"logits": np.where(generator.random(logits.shape) < 0.3, special, logits)}
    labels = generator.integers(0, columns, rows)
    mask = generator.random(logits.shape) < 0.7
    mask[np.arange(rows), labels] = True
    if seed % 2:
        question["mask"] = mask
    if seed % 3 == 0:
        question["temperature"] = 0.7
    if method == "softmax":
        return question
    question["labels"] = labels.astype(generator.choice(["int8", "uint16", "int64"]))
    if seed % 4 == 0:
        question["sample_weights"] = generator.random(rows)
        question["class_weights"] = generator.integers(1, 4, columns)
    return question


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("method", INCLUDES)
@pytest.mark.parametrize("has_factors", [True, False], ids=["every output", "without factors"])
def test_results_are_the_same_bits(clients: list[GradientClient], method: str, dtype: str, has_factors: bool) -> None:
    """Random batches have the same outputs, the same applied options or the same refusal over both wires."""
    names = [name for name in INCLUDES[method] if has_factors or name not in FACTORS]
    answered = 0
    for seed in SEEDS:
        question = batch(seed, dtype, method) | {"include": names}
        first, second = (answer(client, method, question) for client in clients)
        assert (seed, first) == (seed, second)
        answered += isinstance(first, dict) and set(names) <= set(first)
    assert answered >= (5 if has_factors else len(SEEDS))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("asked", [None, "float32", "float64"])
def test_the_dtype_asked_for_is_the_same(clients: list[GradientClient], dtype: str, asked: Any) -> None:
    """What is asked for, or follows from the logits, has the same name and bits over both wires."""
    question = {"logits": np.array([[1, 2, 3], [0, 0, 7]], dtype), "dtype": asked}
    first, second = (answer(client, "softmax", question) for client in clients)
    assert first == second


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_soft_targets_are_the_same(clients: list[GradientClient], dtype: str) -> None:
    """Target rows of another dtype than the logits are rounded alike over both wires."""
    targets = np.random.default_rng(5).dirichlet(np.ones(4), 3)
    question = {"logits": np.arange(12, dtype=dtype).reshape(3, 4), "targets": targets, "reduction": "none"}
    first, second = (answer(client, "gradient", question) for client in clients)
    assert first == second
    assert "gradient" in first


def test_the_masked_logarithm_is_the_same(clients: list[GradientClient]) -> None:
    """The −∞ of a masked class, null in JSON, arrives as the same number over both wires."""
    first, second = (
        client.softmax([[1.0, 2.0]], mask=[True, False], include=["log_probabilities"]).log_probabilities
        for client in clients
    )
    assert first.tolist() == second.tolist() == [[0.0, -np.inf]]


def test_sizes_are_those_of_the_bodies(clients: list[GradientClient]) -> None:
    """The binary request of float32 numbers is four bytes a number, and JSON's several times that."""
    logits = np.random.default_rng(3).normal(size=(100, 100)).astype(np.float32)
    binary, text = (client.softmax(logits, include=["probabilities"]).meta for client in clients)
    assert 40_000 < binary.request_bytes < 40_000 + 512
    assert 40_000 < binary.reply_bytes < 40_000 + 512
    assert text.request_bytes > 4 * binary.request_bytes
    assert text.reply_bytes > 2 * binary.reply_bytes
