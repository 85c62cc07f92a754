"""A batch in chunks: a few on their way at the same time, their results put in place as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any, Generic, cast

import numpy as np

from ._arrays import AnyArray
from ._chunk_plan import MOST_LANES, part_of
from ._denominator import denominator_of
from ._fields import Value
from ._merging import loss_of, merge_metas, merge_summaries
from ._protocol import Expectation, ResultT
from ._records import ReadOnlyMapping
from ._shift import shift_of
from ._steps import Steps, Together
from .errors import ChunkError, GradientClientError, ServiceError
from .results import Summary

Ask = Callable[[Mapping[str, Value]], Steps[ResultT]]
"""The call for some fields."""


class Chunks(Generic[ResultT]):
    """The chunks of one call: which rows wait, what has come back, what went wrong.

    Args:
        fields: of the whole batch.
        expected: what one call for the whole batch would answer.
        ask: the call for a chunk.
        count: told how many more rows are done.
    """

    def __init__(
        self,
        fields: Mapping[str, Value],
        expected: Expectation[ResultT],
        ask: Ask[ResultT],
        count: Callable[[int], None],
    ) -> None:
        self._expected = expected
        self._ask = ask
        self._count = count
        self._denominator_name = fields.get("denominator", "weights")
        self._is_told = "denominator_value" in fields
        self._denominator = denominator_of(fields) if "summary" in expected.operation.defaults else None
        self._shift = shift_of(fields, self._denominator)
        self._fields = self._fields_of_chunks(fields)
        self._waiting: deque[slice] = deque()
        self._lock = Lock()
        self._arrays: dict[str, AnyArray] = {}
        self._results: dict[tuple[int, int], ResultT] = {}
        self._summaries: list[Summary] = []
        self._failures: dict[tuple[int, int], GradientClientError] = {}

    def _fields_of_chunks(self, fields: Mapping[str, Value]) -> dict[str, Value]:
        """What every chunk is asked: the batch's denominator as a number, and the sums in place of the loss."""
        changed = self._shift.fields(fields)
        # Where it is 0, it is 0 for every chunk, and the service knows what a mean over nothing is.
        if self._denominator and self._denominator.value and not self._is_told:
            changed.pop("denominator", None)
            changed["denominator_value"] = self._denominator.shifted(self._shift.bits)
        if "loss" in self._expected.outputs and fields.get("reduction") != "none":
            others = [name for name in self._expected.outputs if name not in {"loss", "summary"}]
            changed["include"] = [*others, "summary"]
        return changed

    def run(self, rows_at_once: int) -> Steps[ResultT]:
        """The result of the batch.

        Raises:
            ChunkError: a chunk failed, and with it the chunks that had not begun.
        """
        num_rows = self._expected.shape[0]
        starts = range(0, max(1, num_rows), rows_at_once)
        self._waiting.extend(slice(start, min(start + rows_at_once, num_rows)) for start in starts)
        lanes = [self._lane() for _ in range(min(MOST_LANES, len(starts)))]
        yield Together(lanes, self._waiting.clear)
        self._results = dict(sorted(self._results.items()))
        if self._failures:
            raise self._error()
        return self._merged()

    def _lane(self) -> Steps[None]:
        """One chunk after the other, until none waits or one has failed."""
        while self._waiting:
            try:
                rows = self._waiting.popleft()
            except IndexError:  # another lane was faster
                return
            place = rows.start, rows.stop
            try:
                result = yield from self._ask(part_of(self._fields, rows))
            except GradientClientError as error:
                self._failures[place] = error
                self._waiting.clear()
                return
            self._results[place] = self._in_place(result, rows)
            self._count(rows.stop - rows.start)

    def _in_place(self, result: ResultT, rows: slice) -> ResultT:
        """The result with its arrays in those of the batch, so that they are held once."""
        answered = {name: value for name, value in vars(result).items() if name not in {"applied", "meta"}}
        if "summary" in answered:
            self._summaries.append(answered["summary"])
        placed = self._shift.outputs(answered)
        for name, value in placed.items():
            if isinstance(value, np.ndarray):
                placed[name] = self._whole(name, cast("AnyArray", value))[rows]
                placed[name][...] = value
        return type(result)(placed, applied=self._applied(result.applied), meta=result.meta)

    def _applied(self, applied: ReadOnlyMapping[object]) -> ReadOnlyMapping[object]:
        """The options in force, with what the batch divides by in place of what its chunks were told."""
        if self._denominator is None or self._is_told:
            return applied
        words = {"denominator": self._denominator_name, "denominator_value": self._denominator.value}
        return ReadOnlyMapping({**applied, **words})

    def _whole(self, name: str, part: AnyArray) -> AnyArray:
        """The array of the batch; the first chunk to come back makes it."""
        with self._lock:
            if name not in self._arrays:
                self._arrays[name] = np.empty((self._expected.shape[0], *part.shape[1:]), part.dtype)
        return self._arrays[name]

    def _merged(self) -> ResultT:
        parts = [*self._results.values()]
        outputs: dict[str, Any] = {**self._arrays}
        summaries = [vars(part)["summary"] for part in parts if "summary" in vars(part)]
        if summaries:
            outputs |= self._reduced(summaries)
        return self._expected.operation.result(
            outputs, applied=parts[0].applied, meta=merge_metas([part.meta for part in parts])
        )

    def _reduced(self, summaries: Iterable[Summary]) -> dict[str, object]:
        outputs: dict[str, object] = {}
        if "summary" in self._expected.outputs:
            outputs["summary"] = merge_summaries([*summaries])
        if "loss" in self._expected.outputs:
            divisor = None if self._denominator is None else self._denominator.shifted(self._shift.bits)
            outputs["loss"] = loss_of(merge_summaries(self._summaries), divisor, self._expected.dtype)
        return outputs

    def _error(self) -> ChunkError:
        (start, stop), error = min(self._failures.items())
        row = error.row if isinstance(error, ServiceError) else None
        place = "" if row is None else f", row {start + row}"
        done = f"{len(self._results)} finished chunks are in .partial"
        return ChunkError(
            f"rows {start} to {stop - 1} of {self._expected.shape[0]}{place}: {error}; {done}",
            rows=(start, stop),
            row=None if row is None else start + row,
            error=error,
            partial=self._results,
        )
