"""`gradient-service score`: its arguments, and what is printed."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from gradient_service.core.errors import InvalidInputError
from gradient_service.machine import usable_cores
from gradient_service.scoring.engines import ENGINES, LOCAL, engine_of
from gradient_service.scoring.errors import ScoringError, one_line
from gradient_service.scoring.progress import bar
from gradient_service.scoring.question import OPERATIONS, question_of
from gradient_service.scoring.run import Job, score
from gradient_service.scoring.sources import source_of

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130
SMALLER = "--block-rows makes it smaller, but of Parquet files not smaller than a row group."
SAYS = """Rows are read, scored and written block by block, into a safetensors file each. A run that was ended goes on
when it is started again. What the rows make together is printed, and stands in manifest.json. Rows count from 0."""


def add_score(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "score", help="score the rows of data files, on this machine or a cluster", epilog=SAYS
    )
    add = parser.add_argument
    add("input", type=_path, metavar="INPUT", help=INPUT)
    add("--out", type=_path, required=True, metavar="FOLDER", help=OUT)
    add("--operation", choices=[*OPERATIONS], default="loss")
    add("--include", type=_words, default=[], metavar="OUTPUT,...", help="what is written of each row")
    add("--column", type=_pair, action="append", default=[], metavar="FIELD=COLUMN", help=COLUMN)
    add("--option", type=_pair, action="append", default=[], metavar="FIELD=VALUE", help=OPTION)
    add("--block-rows", type=count, metavar="ROWS", help="at most so many rows a block, but whole Parquet row groups")
    add("--engine", choices=ENGINES, default=LOCAL, help="ray: the cluster of RAY_ADDRESS, or of this machine")


INPUT = "a .parquet, .npy or .safetensors file, or a folder of .parquet files"
OUT = "where the answer goes; a new folder, or one to go on"
COLUMN = """where a field of the rows is: logits, labels, targets, sample_weights, element_mask or upstream; of .npy
files a path. Several names between commas are columns side by side. By default the column of the field's own name; an
empty one leaves the field out"""
OPTION = "any other field of the request, such as label_smoothing=0.1, dtype=float32 or class_weights=[1,2,3]"


def score_files(options: argparse.Namespace) -> None:
    """Score the rows of files, and print what they make together; end with one line where that cannot be."""
    try:
        source = source_of(options.input)
        texts = _by_name("--column", options.column), _by_name("--option", options.option)
        question = question_of(source, options.operation, *texts, options.include)
        threads = usable_cores() if options.engine == LOCAL else 1  # a task of Ray has one core
        job = Job(source=source, question=question, path=options.out, threads=threads)
        manifest = score(job, options.block_rows, engine_of(options.engine), bar())
    except ScoringError as error:
        _end(str(error), BAD_INPUT)
    except InvalidInputError as error:
        _end(f"{options.input}: {one_line(error)}", BAD_INPUT)
    except KeyboardInterrupt:
        _end("Ended. The same command goes on from here.", INTERRUPTED)
    except OSError as error:
        _end(f"{error.filename or options.out}: {error.strerror or error}.", FAILED)
    except MemoryError:
        _end(f"{options.input}: a block takes more memory than there is; {SMALLER}", FAILED)
    else:
        _print({name: value for name, value in manifest.items() if name not in {"question", "blocks"}})


def _print(said: dict[str, Any]) -> None:
    """Print what all rows make together, where somebody listens; it stands in the manifest in any case."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE).decode())
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter tries again when it ends
        _end(f"All rows are scored, but that cannot be printed: {error.strerror}.", FAILED)


def _end(text: str, status: int) -> None:
    sys.stderr.write(f"{text}\n")
    sys.exit(status)


def count(text: str) -> int:
    """Return a whole number from 1 up; argparse tells the function's name with its refusal."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _path(text: str) -> Path:
    """Return a path that is the same for workers that were started elsewhere."""
    return Path(text).absolute()


def _words(text: str) -> list[str]:
    return [word for word in _utf_8(text).split(",") if word]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = _utf_8(text).partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIELD=VALUE")
    return name, value


def _utf_8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("this is not UTF-8") from None
    return text


def _by_name(option: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return pairs by their names, of which each occurs once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise ScoringError(f"{option}: {twice} is given twice.")
    return found
