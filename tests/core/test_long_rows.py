"""Rows that are worked on in pieces: the same bits as at once, and a checkpoint in every pass."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest

from gradient_service.core import blocks, evaluate, long_rows
from gradient_service.core.execution import Execution
from gradient_service.core.long_rows import LongArray
from gradient_service.core.outputs import Outputs
from tests.core.calls import FROM_SCORES, SIGMOID, SOFTMAX, TEXTBOOK, Array, evaluated, softmax_of

CLASSES, PIECE = 300, 64
NAMES = (
    "losses",
    "gradient",
    "probabilities",
    "predicted_labels",
    "loss_wrt_probabilities",
    "gradient_diagonal_only",
)
LABELS: dict[str, Any] = {"labels": [3]}
SMOOTHED = LABELS | {"label_smoothing": 0.1}
WEIGHTED = SMOOTHED | {"class_weights": np.linspace(0.5, 2, CLASSES)}
TARGETS: dict[str, Any] = {
    "targets": (np.arange(CLASSES) % 3 / 300)[np.newaxis],
    "targets_sum": "any",
    "element_mask": (np.arange(CLASSES) % 3 != 0)[np.newaxis],
    "sample_weights": [2.0],
}
VANISHING = TARGETS | {"temperature": 0.02, "sample_weights": [1e30]}
"""Computed again in the widest dtype; some derivatives leave the range."""
QUESTIONS = {
    "labels": LABELS,
    "smoothed": SMOOTHED,
    "weighted": WEIGHTED,
    "targets": TARGETS,
    "vanishing": VANISHING,
}
ASKED = [
    pytest.param(objective, options, dtype, precision, id=f"{objective} {name} {dtype.__name__} {precision}")
    for objective in (SOFTMAX, SIGMOID, TEXTBOOK)
    for name, options in QUESTIONS.items()
    for dtype in (np.float32, np.float64)
    for precision in ("accurate", "fast")
    if objective != SIGMOID or "targets" in options
]
every_question = pytest.mark.parametrize(("objective", "options", "dtype", "precision"), ASKED)


class LeftError(Exception):
    """The caller has left."""


def logits(dtype: Any = np.float64) -> Array:
    """One row."""
    return np.random.default_rng(12).normal(0, 3, (1, CLASSES)).astype(dtype)


def answers(objective: str, options: dict[str, Any], dtype: Any, precision: str, **more: Any) -> dict[str, Array]:
    """All outputs of one row."""
    of_scores = {name: options[name] for name in ("element_mask", "temperature") if name in options}
    from_scores = softmax_of(logits(dtype), FROM_SCORES, precision=precision, **of_scores, **more)
    names = [*NAMES, *([] if objective == TEXTBOOK else ["hessian_diagonal"])]
    if options is VANISHING:
        names = ["losses", "gradient"]
    rest: dict[str, Any] = {"objective": objective, "precision": precision, "reduction": "sum"}
    return from_scores | evaluated(logits(dtype), names, **options, **rest, **more).arrays


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have short rows count as long."""
    monkeypatch.setattr(evaluate, "LONG_ROW", 0)
    monkeypatch.setattr(long_rows, "PIECE", PIECE)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)


@every_question
def test_pieces_change_no_bit(
    request: pytest.FixtureRequest, objective: str, options: dict[str, Any], dtype: Any, precision: str
) -> None:
    """A row has the same bits in pieces as at once, and arrays of NumPy's own hold them."""
    expected = answers(objective, options, dtype, precision)
    request.getfixturevalue("pieces")
    for name, found in answers(objective, options, dtype, precision).items():
        assert found.tobytes() == expected[name].tobytes(), name
        assert type(found) is np.ndarray


@every_question
@pytest.mark.usefixtures("pieces")
def test_what_comes_of_a_long_row_is_one(
    monkeypatch: pytest.MonkeyPatch, objective: str, options: dict[str, Any], dtype: Any, precision: str
) -> None:
    """Up to the outputs no number of a long row is computed in an array without checkpoints."""
    apply, write = LongArray.__array_ufunc__, Outputs.write
    seen: list[tuple[str, Any]] = []

    def applied(array: LongArray, ufunc: Any, method: str, *inputs: Any, **given: Any) -> Any:
        seen.extend((ufunc.__name__, each) for each in inputs)
        return apply(array, ufunc, method, *inputs, **given)

    def written(outputs: Outputs, name: str, rows: Any, values: Array) -> None:
        seen.append((name, values))
        write(outputs, name, rows, values)

    monkeypatch.setattr(LongArray, "__array_ufunc__", applied)
    monkeypatch.setattr(Outputs, "write", written)
    answers(objective, options, dtype, precision)
    assert len(seen) > 50
    assert [name for name, value in seen if is_without_checkpoints(value)] == []


def is_without_checkpoints(value: Any) -> bool:
    """Whether these are the numbers of a long row, in no array with checkpoints."""
    is_long = isinstance(value, np.ndarray) and value.size >= CLASSES and value.dtype.kind == "f"
    return is_long and not isinstance(value, LongArray)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("objective", [SOFTMAX, SIGMOID, TEXTBOOK])
def test_every_pass_asks_once_a_piece(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    """Pieces of half the size make about twice as many checkpoints."""
    counts = []
    for piece in (4, 2):
        monkeypatch.setattr(long_rows, "PIECE", piece)
        asked = count()
        checkpoint = partial(next, asked)
        answers(objective, TARGETS, np.float64, "accurate", execution=Execution(checkpoint=checkpoint))
        counts.append(next(asked))
    assert 1.8 < counts[1] / counts[0] <= 2


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (2, 3, 0), (0, 3, 3)])
def test_nothing_has_pieces_too(shape: tuple[int, ...]) -> None:
    """What is done with arrays without numbers, or without axes, is what NumPy does."""
    array = LongArray.of(np.ones(shape), lambda: None)
    assert np.negative(array).shape == array.astype(np.float32).shape == shape
    if shape:
        array[:] = 2.0
        assert np.array_equal(array, np.full(shape, 2.0))


@pytest.mark.parametrize("objective", [SOFTMAX, SIGMOID])
@pytest.mark.parametrize(("name", "is_long"), [("gradient", False), ("jacobian", True)])
def test_the_jacobian_of_a_row_may_be_long_alone(
    monkeypatch: pytest.MonkeyPatch, objective: str, name: str, *, is_long: bool
) -> None:
    """Of 1000 classes it has a million numbers, written in more than 15 pieces, with the bits that it has at once."""
    asked = count()
    one_row = np.random.default_rng(3).normal(0, 3, (1, 1000))
    targets = np.eye(1000)[:1]
    execution = Execution(checkpoint=partial(next, asked))
    found = evaluated(one_row, [name], targets=targets, objective=objective, execution=execution).arrays[name]
    assert (next(asked) > 15) is is_long
    monkeypatch.setattr(evaluate, "LONG_ROW", 1 << 40)
    at_once = evaluated(one_row, [name], targets=targets, objective=objective).arrays[name]
    assert found.tobytes() == at_once.tobytes()
    assert type(found) is np.ndarray


@pytest.mark.usefixtures("pieces")
def test_a_checkpoint_ends_the_work_within_a_row() -> None:
    """What a checkpoint raises comes out, wherever in the row it was asked."""
    for allowed in range(0, 1000, 37):
        left = iter(range(allowed))

        def checkpoint(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise LeftError

        with pytest.raises(LeftError):
            answers(TEXTBOOK, TARGETS, np.float64, "accurate", execution=Execution(checkpoint=checkpoint))
