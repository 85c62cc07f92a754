"""What is asked of every row: an operation of the service, its options, and the columns that hold its fields."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from gradient_service.core.blocks import Array
from gradient_service.core.errors import Fault, InvalidInputError
from gradient_service.core.exact_sum import Total
from gradient_service.core.limits import WorkLimits
from gradient_service.core.outputs import MADE_OF_JACOBIANS
from gradient_service.core.records import record
from gradient_service.operations import PER_ROW, Work, gradient, loss, part_of_denominator, softmax
from gradient_service.operations.inputs import dtype_of
from gradient_service.schemas.conflicts import check_conflicts, check_fields
from gradient_service.schemas.replies import GradientReply, LossReply, SoftmaxReply
from gradient_service.schemas.requests import GradientRequest, LossRequest, SoftmaxRequest, SupervisedBody
from gradient_service.schemas.tensor import stacked, tensor_fields
from gradient_service.schemas.validation import validate
from gradient_service.scoring.errors import ScoringError
from gradient_service.scoring.sources import Source
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.json_body import read_object, read_values
from gradient_service.wire.json_grammar import JsonText
from gradient_service.wire.safetensors_body import BYTES_PER_NUMBER

Request = SoftmaxRequest | LossRequest | GradientRequest
Reply = SoftmaxReply | LossReply | GradientReply

OPERATIONS: dict[str, tuple[type[Request], Callable[[Any, Work], Reply]]] = {
    "softmax": (SoftmaxRequest, softmax),
    "loss": (LossRequest, loss),
    "gradient": (GradientRequest, gradient),
}
OUTPUTS = {"softmax": ["probabilities", "predicted_labels"], "loss": ["losses"], "gradient": ["gradient"]}
"""What is written of each row unless `include` says so."""
KINDS = {
    "number": ("f[248]", "float16, float32 or float64"),
    "integer": ("[iu][1248]", "an integer type"),
    "boolean": ("b1", "bool"),
}
"""By the kind of a field, NumPy's codes of the types that it may have, and their names."""
MERGED = ("loss", "summary")
"""Outputs over all rows, which no block can give."""
OPTIONS_NESTING = 8
UNLIMITED = WorkLimits(2**62, 2**62, 2**62, BYTES_PER_NUMBER)
"""The size of a block bounds the work on it."""


@record()
class Column:
    """Where the values of a field lie: in a column, or side by side in several."""

    names: tuple[str, ...]
    is_stacked: bool

    @classmethod
    def of(cls, text: str) -> "Column":
        """Return a name, or names between commas; one column of a matrix is a name with a comma behind it."""
        return cls(tuple(name for name in text.split(",") if name), "," in text)

    def __str__(self) -> str:
        return ",".join(self.names) + ("," if self.is_stacked and len(self.names) == 1 else "")


@record(kw_only=True)
class Question:
    """What is asked of every row, and where its fields lie."""

    operation: str
    columns: Mapping[str, Column]
    """By field."""
    options: Mapping[str, Any]
    """JSON values by field."""
    shapes: Mapping[str, tuple[int, ...]]
    """Of each field, all rows of it."""

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        num_rows, num_classes = self.shapes["logits"]
        return num_rows, num_classes

    @property
    def is_supervised(self) -> bool:
        """Whether the scores are compared with something."""
        return issubclass(self._model, SupervisedBody)

    @property
    def numbers_a_row(self) -> int:
        """How many numbers the work on a row goes through."""
        _, num_classes = self.shape
        return num_classes**2 if MADE_OF_JACOBIANS.intersection(self.options["include"]) else num_classes

    def answer(self, source: Source, rows: slice, denominator: float | None, work: Work) -> Reply:
        """Ask the operation about a block, for what is written of each row and what the rows add to the whole.

        Args:
            source: of the rows.
            rows: the block.
            denominator: what the mean of all rows divides by; None or 0 where each block knows.
            work: who computes.

        Raises:
            InvalidInputError: a row breaks a rule; rows count from that of the block.
        """
        options = dict(self.options)
        names = [name for name in options["include"] if name not in MERGED]
        options["include"] = names + (["summary"] if self.is_supervised else [])
        if denominator:
            options.pop("denominator", None)
            options["denominator_value"] = denominator
        _, operation = OPERATIONS[self.operation]
        return operation(self._request(options, self._arrays(source, rows, self.columns)), work)

    def part_of_denominator(self, source: Source, rows: slice) -> Total | None:
        """Return what a block adds to the number that the mean of all rows divides by, without its logits."""
        request = self.unscored(source, rows)
        return part_of_denominator(request) if isinstance(request, SupervisedBody) else None

    def unscored(self, source: Source, rows: slice) -> Request:
        """Return the request of a block with zeros for its logits, which take no memory."""
        dtype = dtype_of(self._request(self.options, self._arrays(source, slice(0, 0), self.columns)))
        others = {field: column for field, column in self.columns.items() if field != "logits"}
        zeros = np.broadcast_to(dtype.type(0), (rows.stop - rows.start, self.shape[1]))
        return self._request(self.options, {"logits": zeros, **self._arrays(source, rows, others)})

    def check_outputs(self, source: Source) -> None:
        """Refuse outputs that the options do not have; no block is asked for those over all rows."""
        request = self.unscored(source, slice(0, 0))
        if isinstance(request, SupervisedBody):
            check_conflicts(request)

    @property
    def _model(self) -> type[Request]:
        model, _ = OPERATIONS[self.operation]
        return model

    def _request(self, options: Mapping[str, Any], arrays: Mapping[str, Array]) -> Request:
        document = read_object(JsonText(orjson.dumps(options), OPTIONS_NESTING), self._model)
        values, faults = read_values(document, self._model)
        return validate(self._model, {**values, **arrays}, faults)

    def _arrays(self, source: Source, rows: slice, columns: Mapping[str, Column]) -> dict[str, Array]:
        return {field: self._array(source, rows, field, column) for field, column in columns.items()}

    def _array(self, source: Source, rows: slice, field: str, column: Column) -> Array:
        try:
            parts = [source.read(name, rows) for name in column.names]
        except InvalidInputError as error:
            raise InvalidInputError(replace(fault, field=field) for fault in error.faults) from None
        array = stacked(parts) if column.is_stacked else parts[0]
        row_shape = self.shapes[field][1:]
        if not len(array):
            array = array.reshape(0, *row_shape)
        elif array.shape[1:] != row_shape:
            detail = f"{field}[0]: there are not as many numbers as in the first row."
            raise InvalidInputError([Fault("ragged", field, (0,), detail)])
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def question_of(
    source: Source, operation: str, columns: Mapping[str, str], options: Mapping[str, str], include: Sequence[str]
) -> Question:
    """Return a question of which all is right that can be told without the rows.

    Args:
        source: of the rows.
        operation: softmax, loss or gradient.
        columns: by field; a field left out is read from the column of its own name if there is one, and a field with an
            empty name is left out.
        options: of the request, as words or JSON texts.
        include: outputs; none for the usual ones.

    Raises:
        ScoringError: a column is missing, or of another type or length than its field.
        InvalidInputError: a field is unknown, missing, in conflict with another, or no value of its type.
    """
    model, _ = OPERATIONS[operation]
    fields = [field for field in model.model_fields if field in PER_ROW]
    known = set(source.names())
    texts = {field: field for field in fields if field in known} | dict(columns)
    chosen = {field: Column.of(text) for field, text in texts.items() if text.strip(",")}
    values = {name: _value(text) for name, text in options.items()} | {"include": [*include] or OUTPUTS[operation]}
    check_fields(model, [*chosen, *values])
    _check_places(chosen, options)
    shapes = {field: _shape(source, field, column) for field, column in chosen.items()}
    _check_lengths(shapes)
    question = Question(operation=operation, columns=chosen, options=values, shapes=shapes)
    _check_types(question, source, model)
    try:
        question.check_outputs(source)
        question.answer(source, slice(0, 0), None, Work(UNLIMITED))
    except MalformedBodyError as error:
        raise ScoringError(f"--option: {error.detail}") from None
    return question


def _value(text: str) -> Any:
    """Return what a text says as JSON; where it says nothing, it is a word."""
    try:
        value = orjson.loads(text)
        orjson.dumps(value)
    except orjson.JSONDecodeError:
        return text
    except orjson.JSONEncodeError:
        raise ScoringError("--option: a value is nested too deeply.") from None
    return value


def _check_places(columns: Mapping[str, Column], options: Mapping[str, Any]) -> None:
    for field in columns:
        if field not in PER_ROW:
            raise ScoringError(f"--column: {field} is the same for all rows; give it by --option.")
    for name in options:
        if name in PER_ROW:
            raise ScoringError(f"--option: {name} has a value for each row; say by --column where.")
    if "include" in options:
        raise ScoringError("--option: outputs are named by --include.")


def _shape(source: Source, field: str, column: Column) -> tuple[int, ...]:
    shapes = {name: source.shape(name) for name in column.names}
    first = next(iter(shapes.values()))
    odd = next((name for name, shape in shapes.items() if shape != first or len(shape) > 1), None)
    if column.is_stacked and odd is not None:
        raise ScoringError(f"{field}: columns side by side hold a number a row, as many as the others; {odd} does not.")
    return (*first, len(column.names)) if column.is_stacked else first


def _check_lengths(shapes: Mapping[str, tuple[int, ...]]) -> None:
    num_rows = shapes["logits"][0]
    for field, (length, *_) in shapes.items():
        if length != num_rows:
            raise ScoringError(f"{field} has {length} rows; logits {num_rows}.")


def _check_types(question: Question, source: Source, model: type[Request]) -> None:
    """Refuse arrays of another rank or kind than their field."""
    for field, column in question.columns.items():
        tensor, rank = tensor_fields(model)[field], len(question.shapes[field])
        if rank != tensor.rank:
            raise ScoringError(f"{field} has {tensor.rank} dimensions, not {rank} as {column}.")
        codes, names = KINDS[tensor.kind]
        for name in column.names:
            dtype = source.read(name, slice(0, 0)).dtype
            if not re.fullmatch(codes, f"{dtype.kind}{dtype.itemsize}"):
                raise ScoringError(f"{field}: {name} is of type {dtype}; {names} is needed.")
