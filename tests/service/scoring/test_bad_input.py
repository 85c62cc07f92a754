"""What cannot be scored ends with one line that names it, status 2, and nothing that looks like an answer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.lib.format import write_array_header_1_0
from safetensors.numpy import save_file

from gradient_service.cli import main

from .conftest import CLASSES, ROWS, Arrays, Refused, Scored, example

LAST = ROWS - 1
GRADIENT = ("--operation", "gradient")


def with_value(name: str, place: tuple[int, ...], value: float) -> Arrays:
    """Good rows but for one number."""
    rows = example()
    rows[name][place] = value
    return rows


ROWS_REFUSED: dict[str, tuple[Arrays, dict[str, Any], str]] = {
    "label": (with_value("labels", (LAST,), 7), {}, f"labels, row {LAST}: Labels must be ≥ 0 and < 7"),
    "NaN": (with_value("logits", (LAST, 3), np.nan), {}, f"logits, row {LAST}, class 3: Numbers here must be finite."),
    "weight": (with_value("sample_weights", (200,), -1), {}, "sample_weights, row 200: Weights must be ≥ 0."),
    "masked": (
        with_value("logits", (LAST, example()["labels"][LAST]), -np.inf),
        {},
        f"labels, row {LAST}: the loss is",
    ),
    "loss": (
        with_value("logits", (LAST, 0), 1.7e308) | {"labels": np.full(ROWS, 1)},
        {"temperature": 1e-5},
        f"logits, row {LAST}: The loss of row {LAST} leaves the range of float64.",
    ),
    "float32": (
        with_value("logits", (LAST, 0), 1e300),
        {"dtype": "float32"},
        f"logits, row {LAST}, class 0: this number leaves",
    ),
}


@pytest.mark.parametrize("name", ROWS_REFUSED)
def test_a_bad_row_is_named_by_its_number_in_the_file(tmp_path: Path, refused: Refused, name: str) -> None:
    """Whatever block a row is in, field, row and class are those of the file, and there is no manifest."""
    rows, options, line = ROWS_REFUSED[name]
    path = tmp_path / "rows.safetensors"
    save_file(rows, path)
    assert refused(path, tmp_path / "out", *GRADIENT, "--block-rows", "64", **options).startswith(f"{path}: {line}")
    assert not (tmp_path / "out" / "manifest.json").exists()


def parquet(**columns: Any) -> Callable[[Path], None]:
    """Write columns in row groups of two rows."""
    return lambda path: pq.write_table(pa.table(columns), path, row_group_size=2)


def text(content: bytes) -> Callable[[Path], None]:
    """Write what is no Parquet file."""

    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def two_of_a_name(path: Path) -> None:
    """Write a column twice."""
    labels = pa.array([0])
    pq.write_table(pa.table([pa.array([[1.0]]), labels, labels], names=["logits", "labels", "labels"]), path)


def broken_footer(path: Path) -> None:
    """Write a file of which the end is no description of the rest."""
    parquet(logits=[[1.0]], labels=[0])(path)
    content = bytearray(path.read_bytes())
    content[-100:-8] = b"\xff" * 92
    path.write_bytes(content)


LABELS4 = [0, 1, 0, 1]
PARQUET_REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (text(b""), "this cannot be read as Parquet"),
    "garbage": (text(b"PAR1 and so on PAR1"), "this cannot be read as Parquet"),
    "no rows": (parquet(logits=pa.array([], pa.list_(pa.float32())), labels=[]), "labels is of type null"),
    "no classes": (
        parquet(logits=pa.array([], pa.list_(pa.float32())), labels=pa.array([], pa.int64())),
        "logits: An empty array of rows names no classes.",
    ),
    "ragged": (
        parquet(logits=[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0]], labels=LABELS4),
        "logits, row 3: there are not 2 numbers in column logits.",
    ),
    "ragged group": (
        parquet(logits=[[1.0, 2.0], [1.0, 2.0], [1.0], [1.0]], labels=LABELS4),
        "logits, row 2: there are not as many numbers as in the first row.",
    ),
    "no first list": (
        parquet(logits=[None, [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], labels=LABELS4),
        "logits, row 0: there is no value in column logits.",
    ),
    "no list": (
        parquet(logits=[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], None], labels=LABELS4),
        "logits, row 3: there is no value in column logits.",
    ),
    "no number": (
        parquet(logits=[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [None, 1.0]], labels=LABELS4),
        "logits, row 3: a number is missing in column logits.",
    ),
    "no label": (parquet(logits=[[1.0, 2.0]] * 4, labels=[0, 1, 0, None]), "labels, row 3: there is no value"),
    "texts": (parquet(logits=[["a"]] * 4, labels=LABELS4), "logits is of type list<"),
    "two of a name": (two_of_a_name, "several columns are called labels."),
    "footer": (broken_footer, "this cannot be read as Parquet."),
    "no column": (parquet(scores=[[1.0]] * 4, labels=LABELS4), "logits: logits is required."),
}


@pytest.mark.parametrize("name", PARQUET_REFUSED)
def test_a_bad_parquet_file_is_refused(tmp_path: Path, refused: Refused, name: str) -> None:
    """Rows without numbers are named by their number, whatever row group they are in."""
    write, line = PARQUET_REFUSED[name]
    path = tmp_path / "rows.parquet"
    write(path)
    assert refused(path, tmp_path / "out", *GRADIENT, "--block-rows", "2").startswith(f"{path}: {line}")


ARGUMENTS_REFUSED: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "no such column": (
        ("--column", "labels=y"),
        {},
        "there is no tensor 'y'; there are labels, logits, sample_weights.",
    ),
    "float labels": (
        ("--column", "labels=sample_weights"),
        {},
        "labels: sample_weights is of type float64; an integer type is needed.",
    ),
    "one of several stacked": (
        ("--column", "logits=sample_weights,labels"),
        {},
        "logits: labels is of type int64; float16, float32 or float64 is needed.",
    ),
    "rank": (("--column", "logits=sample_weights"), {}, "logits has 2 dimensions, not 1 as sample_weights."),
    "stacked rows": (("--column", "logits=logits,logits"), {}, "columns side by side hold a number a row"),
    "unknown field": (
        ("--column", "lables=labels"),
        {},
        "lables: There is no field 'lables' here. Did you mean labels?",
    ),
    "class weights": (("--column", "class_weights=labels"), {}, "class_weights is the same for all rows"),
    "unknown option": (
        (),
        {"temprature": 2},
        "temprature: There is no field 'temprature' here. Did you mean temperature?",
    ),
    "rows as an option": (("--column", "labels="), {"labels": [1, 2]}, "labels has a value for each row"),
    "word": ((), {"reduction": "average"}, "reduction: Input should be 'mean', 'sum' or 'none'."),
    "number": ((), {"label_smoothing": "much"}, "label_smoothing: Input should be a valid number."),
    "range": ((), {"label_smoothing": 2}, "label_smoothing must lie in [0, 1]."),
    "conflict": ((), {"reduction": "sum", "denominator": "batch"}, "Only reduction mean has a denominator."),
    "classes": ((), {"class_weights": [1, 2]}, "class_weights has shape (2,); logits (0, 7) need (7,)."),
    "nothing to compare": (("--column", "labels="), {}, "One of labels and targets is required."),
    "output": (("--include", "jacobian"), {}, "include: Input should be 'loss', 'summary' or 'losses'."),
    "include": ((), {"include": ["losses"]}, "outputs are named by --include."),
    "outputs": (("--include", "loss"), {"reduction": "none"}, "With reduction none there is no loss"),
    "an array for a number": ((), {"class_weights": [[1]] * 7}, "class_weights must have 1 dimension."),
    "depth": ((), {"class_weights": json.loads("[" * 300 + "]" * 300)}, "a value is nested too deeply."),
    "no names": (("--column", "logits=,"), {}, "logits is required."),
    "twice": (("--option", "dtype=float32"), {"dtype": "float64"}, "--option: dtype is given twice."),
    "null": ((), {"dtype": None}, "dtype must not be null"),
}


def npy_of(shape: tuple[int, ...]) -> bytes:
    """A file whose header tells this shape, and nothing else."""
    content = io.BytesIO()
    write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return content.getvalue()


@pytest.mark.parametrize("name", ARGUMENTS_REFUSED)
def test_a_bad_question_is_refused_before_any_row_is_read(
    tmp_path: Path, refused: Refused, source: Path, name: str
) -> None:
    """Fields and options are checked as those of a request, and the folder is not even made."""
    more, options, line = ARGUMENTS_REFUSED[name]
    assert line in refused(source, tmp_path / "out", *more, **options)
    assert not (tmp_path / "out").exists()


def test_labels_of_another_length_are_refused(tmp_path: Path, refused: Refused) -> None:
    """A longer column would go unnoticed block by block."""
    save_file({"logits": np.zeros((4, CLASSES)), "labels": np.zeros(5, np.int64)}, tmp_path / "rows.safetensors")
    assert refused(tmp_path / "rows.safetensors", tmp_path / "out") == "labels has 5 rows; logits 4."


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("empty.npy", b"", "there is no array of numbers in it: No data left in file."),
        ("text.npy", b"1,2\n3,4\n", "there is no array of numbers in it: This file contains pickled (object) data."),
        ("long.npy", npy_of((10**30, 3)), "there is no array of numbers in it"),
        ("empty.safetensors", b"", "this is no safetensors file."),
        (
            "cut.safetensors",
            b"\xff\x00\x00\x00\x00\x00\x00\x00{",
            "this is no safetensors file. The header ends at byte",
        ),
        ("rows.csv", b"1,2", "files are read that end in .parquet, .npy or .safetensors"),
        ("rows.npy", None, "there is no such file."),
    ],
)
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, refused: Refused, name: str, content: bytes | None, line: str
) -> None:
    """A file that is not what its name says, or is not there, is named."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name, tmp_path / "out").startswith(f"{tmp_path / name}: {line}")


def test_a_folder_without_parquet_files_is_refused(tmp_path: Path, refused: Refused) -> None:
    """There is nothing to read in it."""
    assert "there is no .parquet file in this folder" in refused(tmp_path, tmp_path / "out")


def test_a_sum_beyond_the_range_is_refused_however_it_is_cut(tmp_path: Path, refused: Refused) -> None:
    """Six losses of 1.5e308 have no sum in float64, in one block or in six."""
    save_file({"logits": np.array([[1.5e308, 0]] * 6), "labels": np.ones(6, np.int64)}, tmp_path / "rows.safetensors")
    for rows in ("1", "6"):
        assert "leaves the range of float64" in refused(
            tmp_path / "rows.safetensors", tmp_path / rows, "--block-rows", rows
        )
        assert not (tmp_path / rows / "manifest.json").exists()


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the system refuses is told with the path that it refused."""
    (tmp_path / "2.parquet").mkdir()
    with pytest.raises(SystemExit) as end:
        main(["score", str(tmp_path), "--out", str(tmp_path / "out")])
    assert (end.value.code, capsys.readouterr().err) == (1, f"{tmp_path / '2.parquet'}: Is a directory.\n")


def test_an_answer_goes_into_a_folder(tmp_path: Path, refused: Refused, source: Path) -> None:
    """A file in its place is left alone."""
    (tmp_path / "out").write_text("mine")
    assert refused(source, tmp_path / "out") == f"{tmp_path / 'out'} is no folder."


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the run with one line and status 1, and the next run goes on."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "out"))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemExit) as end:
        main(["score", str(source), "--out", str(tmp_path / "out")])
    assert (end.value.code, capsys.readouterr().err) == (1, f"{tmp_path / 'out'}: No space left on device.\n")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_targets_and_labels_exclude_each_other(tmp_path: Path, scored: Scored, refused: Refused) -> None:
    """A file that has both is asked about one of them."""
    rows = {"logits": np.zeros((2, 2)), "labels": np.array([0, 1]), "targets": np.eye(2)}
    path = tmp_path / "rows.safetensors"
    save_file(rows, path)
    assert "Give labels or targets, not both." in refused(path, tmp_path / "out")
    assert scored(path, tmp_path / "out", "--column", "labels=")["loss"] == pytest.approx(np.log(2))
