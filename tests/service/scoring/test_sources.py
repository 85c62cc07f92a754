"""Rows are the same whatever file they come from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from gradient_service.scoring.sources import source_of

from .conftest import CLASSES, Scored, example, rows_of

LOGITS, LABELS, WEIGHTS = example().values()
NAMES = [f"class_{number}" for number in range(CLASSES)]
GRADIENT = ("--operation", "gradient")


def table(logits: str) -> Any:
    """The rows as Parquet has them, logits in one of several forms."""
    lists = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), CLASSES)
    forms: dict[str, dict[str, Any]] = {
        "fixed lists": {"logits": lists},
        "lists": {"logits": pa.array(list(LOGITS))},
        "large lists": {"logits": pa.array(list(LOGITS), pa.large_list(pa.float64()))},
        "tensors": {"logits": pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float64(), [CLASSES]), lists)},
        "columns": dict(zip(NAMES, LOGITS.T, strict=True)),
    }
    return pa.table({**forms[logits], "labels": LABELS, "sample_weights": WEIGHTS})


@pytest.fixture
def expected(tmp_path: Path, scored: Scored, source: Path) -> tuple[dict[str, Any], bytes]:
    """What is printed of the rows, and their gradient."""
    told = scored(source, tmp_path / "expected", *GRADIENT)
    return told, rows_of(tmp_path / "expected")["gradient"].tobytes()


@pytest.mark.parametrize("form", ["fixed lists", "lists", "large lists", "tensors", "columns"])
def test_parquet_in_row_groups(tmp_path: Path, scored: Scored, expected: object, form: str) -> None:
    """Blocks are whole row groups, as many as the rows asked for hold; lists and columns give the same numbers."""
    pq.write_table(table(form), tmp_path / "rows.parquet", row_group_size=40)
    stacked = ("--column", "logits=" + ",".join(NAMES)) if form == "columns" else ()
    out = tmp_path / "out"
    told = scored(tmp_path / "rows.parquet", out, *GRADIENT, "--block-rows", "100", *stacked)
    assert (told, rows_of(out)["gradient"].tobytes()) == expected
    assert [path.name for path in sorted(out.glob("rows-*"))][1] == "rows-000000000080.safetensors"


def test_a_folder_of_parquet_files(tmp_path: Path, scored: Scored, expected: object) -> None:
    """The files of a folder are one after the other, in the order of their names."""
    (tmp_path / "parts").mkdir()
    for number, start in enumerate(range(0, 300, 120)):
        pq.write_table(table("lists").slice(start, 120), tmp_path / "parts" / f"part-{number}.parquet")
    told = scored(tmp_path / "parts", tmp_path / "out", *GRADIENT, "--block-rows", "150")
    assert (told, rows_of(tmp_path / "out")["gradient"].tobytes()) == expected


def test_files_that_store_their_lists_in_other_ways(tmp_path: Path, scored: Scored, expected: object) -> None:
    """Lists are the same numbers whether their length is fixed, and whatever their items are called."""
    (tmp_path / "parts").mkdir()
    for number, form in enumerate(["lists", "fixed lists", "large lists"]):
        pq.write_table(table(form).slice(100 * number, 100), tmp_path / "parts" / f"part-{number}.parquet")
    told = scored(tmp_path / "parts", tmp_path / "out", *GRADIENT, "--block-rows", "300")
    assert (told, rows_of(tmp_path / "out")["gradient"].tobytes()) == expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_files(tmp_path: Path, scored: Scored, expected: object, order: Any) -> None:
    """Of `.npy` files each column is one, the logits the first; their layout and byte order do not matter."""
    for name, array in (("logits", np.asarray(LOGITS, ">f8", order=order)), ("y", LABELS), ("w", WEIGHTS)):
        np.save(tmp_path / name, array)
    columns = ("--column", f"labels={tmp_path / 'y.npy'}", "--column", f"sample_weights={tmp_path / 'w.npy'}")
    told = scored(tmp_path / "logits.npy", tmp_path / "out", *GRADIENT, *columns, "--block-rows", "77")
    assert (told, rows_of(tmp_path / "out")["gradient"].tobytes()) == expected


def test_paths_are_those_of_where_the_run_began(
    tmp_path: Path, scored: Scored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of a cluster were started in other folders; what they are given is the same there."""
    np.save(tmp_path / "logits", LOGITS)
    np.save(tmp_path / "y", LABELS)
    monkeypatch.chdir(tmp_path)
    rows = source_of(Path("logits.npy").absolute())
    monkeypatch.chdir("/")
    assert rows.read("y.npy", slice(0, 3)).tolist() == LABELS[:3].tolist()
    monkeypatch.chdir(tmp_path)
    scored(Path("logits.npy"), Path("out"), "--column", "labels=y.npy")
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_name_that_is_not_utf_8(tmp_path: Path, scored: Scored, source: Path) -> None:
    """Any name of a file will do."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.safetensors"))
    source.rename(path)
    assert scored(path, tmp_path / "out") == scored(path, tmp_path / "out")


def test_columns_of_other_names(tmp_path: Path, scored: Scored, expected: object) -> None:
    """A field is read from the column that is named for it."""
    save_file({"s": LOGITS, "y": LABELS, "w": WEIGHTS, "labels": 0 * LABELS}, tmp_path / "rows.safetensors")
    columns = [part for pair in ("logits=s", "labels=y", "sample_weights=w") for part in ("--column", pair)]
    told = scored(tmp_path / "rows.safetensors", tmp_path / "out", *GRADIENT, *columns)
    assert (told, rows_of(tmp_path / "out")["gradient"].tobytes()) == expected


def test_a_field_with_an_empty_name_is_left_out(tmp_path: Path, scored: Scored, source: Path) -> None:
    """A column of the field's name is not read where the field is given none."""
    told = scored(source, tmp_path / "out", "--column", "sample_weights=")
    assert told["applied"]["denominator_value"] == len(LOGITS)


def test_one_column_of_scores(tmp_path: Path, scored: Scored) -> None:
    """A name with a comma behind it is a matrix of one column, as of a binary classifier."""
    pq.write_table(pa.table({"score": [0.0, 1.0], "hit": [1.0, 0.0]}), tmp_path / "rows.parquet")
    columns = ("--column", "logits=score,", "--column", "targets=hit,")
    told = scored(
        tmp_path / "rows.parquet", tmp_path / "out", *columns, objective="sigmoid_binary_cross_entropy", reduction="sum"
    )
    assert told["loss"] == pytest.approx(np.log(2) + np.log1p(np.e))


def test_the_same_column_twice(tmp_path: Path, scored: Scored) -> None:
    """A column may stand beside itself."""
    pq.write_table(pa.table({"score": [0.0, 1.0], "hit": [0, 1]}), tmp_path / "rows.parquet")
    columns = ("--column", "logits=score,score", "--column", "labels=hit")
    told = scored(tmp_path / "rows.parquet", tmp_path / "out", *columns)
    assert told["loss"] == pytest.approx(np.log(2))


def test_bfloat16_columns_side_by_side(tmp_path: Path, scored: Scored) -> None:
    """Targets in several columns may sum to 1 within the rounding of the coarsest, as in one."""
    third = (np.full(2, 1 / 3, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    tensors = {
        "a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]},
        "b": {"dtype": "BF16", "shape": [2], "data_offsets": [4, 8]},
        "c": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]},
        "logits": {"dtype": "F32", "shape": [2, 3], "data_offsets": [12, 36]},
    }
    text = json.dumps(tensors).encode()
    content = len(text).to_bytes(8, "little") + text + third * 3 + np.zeros((2, 3), np.float32).tobytes()
    (tmp_path / "rows.safetensors").write_bytes(content)
    told = scored(tmp_path / "rows.safetensors", tmp_path / "out", "--column", "targets=a,b,c")
    assert told["loss"] == pytest.approx(np.log(3), rel=0.01)


def test_bfloat16_is_widened(tmp_path: Path, scored: Scored) -> None:
    """A tensor of bfloat16 is read as float32, and soft targets of it may sum to 1 within its rounding."""
    text = (
        b'{"logits":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]},'
        b'"targets":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]},"__metadata__":{"made_by":"us"}}'
    )
    halves = (np.array([[1, 2], [0.7, 0.3]], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    (tmp_path / "rows.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + halves.tobytes())
    assert scored(tmp_path / "rows.safetensors", tmp_path / "out")["applied"]["dtype"] == "float32"
