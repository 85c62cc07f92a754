"""One run: what a mean divides by, then block after block, then what the blocks make together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gradient_service import __version__
from gradient_service.core.errors import InvalidInputError
from gradient_service.core.exact_sum import Total, sum_of_parts
from gradient_service.core.execution import Execution
from gradient_service.core.options import Reduction
from gradient_service.core.records import record
from gradient_service.core.reduction import reduced_loss
from gradient_service.core.summary import Summary, merge_summaries
from gradient_service.operations import Work, denominator_of_parts
from gradient_service.operations.inputs import dtype_of
from gradient_service.schemas.requests import SupervisedBody
from gradient_service.scoring.errors import ScoringError, in_file
from gradient_service.scoring.folder import Folder, Record, held, put
from gradient_service.scoring.progress import Progress
from gradient_service.scoring.question import UNLIMITED, Question
from gradient_service.scoring.sources import Source
from gradient_service.wire.safetensors_body import encode

BLOCK_NUMBERS = 4 * 1024 * 1024
"""What the work on a block goes through, unless its rows are told."""

T = TypeVar("T")
Engine = Callable[[Callable[[slice], T], Sequence[slice]], Iterator[T]]
"""Calls a function for each block, on whatever machine and in whatever order, and yields what it returns."""


@record(kw_only=True)
class Job:
    """All that a block needs to be scored, anywhere."""

    source: Source
    question: Question
    path: Path
    """The folder that all machines share."""
    denominator: float | None = None
    """What the mean of all rows divides by."""
    threads: int = 1


def score(job: Job, block_rows: int | None, engine: Engine[Any], progress: Progress) -> dict[str, Any]:
    """Score every row, but those of blocks that are done, and return what the manifest says.

    Raises:
        ScoringError: a file or the folder is not what it should be, or does not stay so.
        InvalidInputError: a row breaks a rule.
    """
    rows = block_rows or max(1, BLOCK_NUMBERS // job.question.numbers_a_row)
    blocks = job.source.cuts(job.question.shape[0], rows)
    asked = _identity(job, blocks)
    with held(job.path, asked) as folder:
        records = [each for each in folder.records() if (each.summary is not None) == job.question.is_supervised]
        done = {each.rows for each in records}
        left = [block for block in blocks if (block.start, block.stop) not in done]
        if not left and folder.is_complete():
            return folder.manifest()
        folder.begin(records)
        denominator = _denominator(job, blocks, engine, progress)
        told = replace(job, denominator=None if denominator is None else denominator.nearest)
        records += _scored(told, left, engine, progress, folder)
        if _identity(job, blocks) != asked:
            raise ScoringError("The input changed while it was read.")
        manifest = _manifest(job, sorted(records, key=lambda each: each.rows), denominator)
        folder.end(manifest)
        return folder.manifest()


def score_block(job: Job, rows: slice) -> Record:
    """Score a block and put its file in place; return what the journal says of it."""
    work = Work(UNLIMITED, Execution(job.threads))
    try:
        reply = job.question.answer(job.source, rows, job.denominator, work)
    except InvalidInputError as error:
        raise in_file(error, rows.start) from None
    name = f"rows-{rows.start:012d}.safetensors"
    length, digest = put(job.path / name, encode(reply))
    summary = Summary(**reply.given()["summary"].given()) if job.question.is_supervised else None
    return Record(file=name, rows=(rows.start, rows.stop), bytes=length, sha256=digest, summary=summary)


def part_of_denominator(job: Job, rows: slice) -> tuple[slice, Total | None]:
    """Return a block, and what it adds to the number that the mean divides by."""
    try:
        return rows, job.question.part_of_denominator(job.source, rows)
    except InvalidInputError as error:
        raise in_file(error, rows.start) from None


def _identity(job: Job, blocks: Sequence[slice]) -> dict[str, Any]:
    """Return what must be the same of a run that goes on: the question, the input and how it is cut."""
    question = job.question
    columns = [name for column in question.columns.values() for name in column.names]
    stats = {path: path.stat() for path in job.source.files(columns)}
    return {
        "version": __version__,
        "operation": question.operation,
        "columns": {field: str(column) for field, column in question.columns.items()},
        "options": dict(question.options),
        "input": [[path.resolve().as_uri(), stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()],
        "block_rows": [[rows, len([*same])] for rows, same in groupby(block.stop - block.start for block in blocks)],
    }


def _denominator(job: Job, blocks: Sequence[slice], engine: Engine[Any], progress: Progress) -> Total | None:
    request = job.question.unscored(job.source, slice(0, 0))
    if not isinstance(request, SupervisedBody) or request.reduction is not Reduction.MEAN:
        return None
    if request.denominator_value is not None:
        return Total.number(request.denominator_value)
    parts = []
    with progress(job.question.shape[0], "denominator") as advance:
        for rows, part in engine(partial(part_of_denominator, job), blocks):
            parts.append(part)
            advance(rows.stop - rows.start)
    return denominator_of_parts(request, parts)


def _scored(
    job: Job, blocks: Sequence[slice], engine: Engine[Any], progress: Progress, folder: Folder
) -> Iterator[Record]:
    with progress(sum(block.stop - block.start for block in blocks), job.question.operation) as advance:
        for told in engine(partial(score_block, job), blocks):
            folder.add(told)
            start, stop = told.rows
            advance(stop - start)
            yield told


def _manifest(job: Job, records: Sequence[Record], denominator: Total | None) -> dict[str, Any]:
    """Return what the blocks make together."""
    num_rows, num_classes = job.question.shape
    reply = job.question.answer(job.source, slice(0, 0), None, Work(UNLIMITED))
    whole: dict[str, Any] = {"rows": num_rows, "classes": num_classes, "applied": reply.applied.given()}
    summaries = [each.summary for each in records if each.summary is not None]
    if summaries:
        summary = merge_summaries(summaries)
        for name in ("loss_sum", "weight_sum"):
            if not isfinite(getattr(summary, name)):
                raise ScoringError(f"{name} of all rows leaves the range of float64.")
        whole["summary"] = asdict(summary)
        request = job.question.unscored(job.source, slice(0, 0))
        if whole["applied"]["reduction"] != Reduction.NONE:
            total = Total(units=sum_of_parts((summary.loss_sum, *summary.loss_tail)))
            whole["loss"] = reduced_loss(total, denominator, dtype_of(request))
    if denominator is not None:
        whole["applied"]["denominator_value"] = np.float64(denominator.nearest)
    return whole | {"blocks": list(records)}
