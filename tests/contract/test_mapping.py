"""Each row of `docs/mapping.md` is executed: another library's call, ours, and the value that both must have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.metrics import log_loss

from gradient_client import GradientClient

from . import libraries
from .serving import running_service

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")


class Row(NamedTuple):
    """One line of a table: what is called there, what is called here, and the answer to six digits."""

    library: str
    theirs: str
    here: str
    value: str


def rows() -> Iterator[Row]:
    """Every row of every table."""
    for section in PAGE.split("\n## ")[1:]:
        library = section.splitlines()[0]
        for cells in re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|$", section, re.MULTILINE):
            yield Row(library, *cells)


ROWS = list(rows())
NAMES: dict[str, Any] = {"moveaxis": np.moveaxis, "log": np.log, "e": np.array([[1.0, 0.5, 2.0], [0.0, 1.0, 4.0]])}
exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), {"np": np}, NAMES)  # noqa: S102 - our own page
OBJECTIVES_OF_TREES = (
    libraries.softprob,
    libraries.softprob_to_3_2,
    libraries.multiclass,
    libraries.multiclassova,
    libraries.multi_logloss,
)
LIBRARIES = {
    "F": libraries.PYTORCH,
    "tf": libraries.TENSORFLOW,
    "optax": libraries.OPTAX,
    "keras": libraries.KERAS,
    "SoftmaxCrossEntropyLoss": libraries.onnx_softmax_cross_entropy_loss,
    "NegativeLogLikelihoodLoss": libraries.onnx_negative_log_likelihood_loss,
    "Softmax": libraries.softmax,
    "LogSoftmax": libraries.log_softmax,
    "log_loss": log_loss,
    "special": scipy.special,
    "stats": scipy.stats,
} | {objective.__name__: objective for objective in OBJECTIVES_OF_TREES}
THEIRS = NAMES | LIBRARIES


@pytest.fixture(scope="module")
def client() -> Iterator[GradientClient]:
    """A client of a running service."""
    with running_service() as url, GradientClient(url) as client:
        yield client


def called(row: Row) -> str:
    """The name of a row's test."""
    return row.theirs


def of(library: str) -> list[Row]:
    """The rows of one library."""
    return [row for row in ROWS if row.library.startswith(library)]


def evaluate(expression: str, names: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The numbers that an expression of the page stands for."""
    return np.asarray(eval(expression, {}, names))  # noqa: S307 - our own page


@pytest.mark.parametrize("row", ROWS, ids=called)
def test_both_calls_have_the_printed_value(row: Row, client: GradientClient) -> None:
    """Our call answers what the other library's definition does, and that is what the page prints."""
    theirs = evaluate(row.theirs, THEIRS)
    here = evaluate(row.here, NAMES | {"client": client})
    assert here.shape == theirs.shape
    np.testing.assert_allclose(here, theirs, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(here, evaluate(row.value, {}), atol=5.1e-7)


def test_every_table_row_is_read() -> None:
    """No line of a table has a form that the test above would pass over."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| there")]
    assert len(lines) == len(ROWS)


@pytest.mark.full
@pytest.mark.parametrize("row", of("PyTorch"), ids=called)
def test_pytorch_agrees(row: Row) -> None:
    """PyTorch itself answers what the page prints."""
    torch = pytest.importorskip("torch")
    names = {
        name: torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
        for name, value in NAMES.items()
    }
    names |= {"F": torch.nn.functional, "log": torch.log}
    np.testing.assert_allclose(evaluate(row.theirs, names), evaluate(row.value, {}), atol=5.1e-7)


@pytest.mark.full
@pytest.mark.skipif(find_spec("optax") is None, reason="optax is not installed")
def test_optax_agrees() -> None:
    """Optax itself answers what the page prints; it runs elsewhere, for JAX does not bear a fork."""
    rows = of("optax")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
        answers = list(elsewhere.map(answer_of_optax, [row.theirs for row in rows]))
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_allclose(answer, evaluate(row.value, {}), rtol=2e-6, err_msg=called(row))


def answer_of_optax(expression: str) -> Any:
    """What it answers, in the float32 that JAX computes in by default."""
    names = {
        name: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        for name, value in NAMES.items()
    }
    return np.asarray(evaluate(expression, names | {"optax": import_module("optax")}))
