"""`make profile`: where the time of small and large calls goes, in JSON and in binary, into benchmarks/README.md.

The service answers wrk while py-spy looks at the worker's stacks from outside, which costs the worker nothing between
two looks. A sample belongs to the innermost of our own functions that was at work, with what it had called. The core is
looked at by itself too, for the shapes by which it is compared with others.
"""

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.http.columns import Column
from benchmarks.http.wrk import Wrk
from benchmarks.profile.stages import STAGES, Shares
from benchmarks.reliability.service import Service, running
from benchmarks.report import machine, page
from benchmarks.report.part import table
from benchmarks.rivals.environments import python_of
from benchmarks.rivals.servers import LOOPBACK, OURS, SERVERS

COLUMNS = (Column(1, 10, "JSON"), Column(32, 10, "JSON"), Column(32, 1000, "JSON"), Column(1000, 1000, "binary"))
SECONDS, SAMPLES_PER_SECOND, LEAD_SECONDS = 8, 500, 2
SHOWN_FUNCTIONS = 8
SHAPES = ((4096, 1000), (100_000, 10), (32, 1000), (1, 10))
SHOWN_OF_CORE = 6
DTYPE = "float32"


def profile(service: Service, column: Column, folder: Path) -> tuple[float, Shares]:
    """Requests a second, and where their time went."""
    dialect = column.dialect(next(server for server in SERVERS if server.name == OURS))
    if dialect is None:
        raise ValueError(column.form)
    url = f"http://{LOOPBACK}:{service.port}{dialect.path}"
    messages = [dialect.ask(arrays) for arrays in column.questions(dialect)]
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(Wrk(folder).load, url, messages, SECONDS + LEAD_SECONDS)
        stacks = sampled(service.workers[0], folder / "stacks")
        return load.result().per_second, Shares.of(stacks)


def profile_core(rows: int, classes: int, folder: Path) -> Shares:
    """Where the time of the core goes."""
    seconds = str(SECONDS + LEAD_SECONDS)
    words = ["-m", "benchmarks.profile.core_calls", str(rows), str(classes), DTYPE, seconds]
    with subprocess.Popen([sys.executable, *words]) as calls:  # noqa: S603 - this project's own command
        time.sleep(LEAD_SECONDS / 2)
        return Shares.of(sampled(calls.pid, folder / "stacks"))


def functions_of(shares: Shares, number: int) -> list[list[str]]:
    """The rows of a table of functions."""
    return [
        [f"`{name}`", f"`{path}`" if path else "", shares.share(count)]
        for (name, path), count in shares.functions.most_common(number)
    ]


def sampled(pid: int, file: Path) -> str:
    """What py-spy saw of a process."""
    program = python_of("profile", Path(__file__).with_name("requirements.txt")).with_name("py-spy")
    options = ["--rate", str(SAMPLES_PER_SECOND), "--duration", str(SECONDS), "--format", "raw", "--threads"]
    command = [str(program), "record", "--pid", str(pid), *options, "--output", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - the command above
    return file.read_text() if done.returncode == 0 else sys.exit(f"py-spy could not look: {done.stderr}")


def main() -> None:
    """Profile each kind of call, and the core by itself; print, and write the page."""
    where, stages, blocks = machine.described(quick=False), [], []
    with tempfile.TemporaryDirectory() as folder:
        for column in COLUMNS:
            with running() as service:
                rate, shares = profile(service, column, Path(folder))
            shown = [shares.share(shares.stages[stage]) for stage in STAGES]
            stages.append([column.name, f"{rate:.0f}", *shown])
            rows = functions_of(shares, SHOWN_FUNCTIONS)
            blocks.append(table((f"{column.name}: function, with what it called", "file", "share"), rows))
        for num_rows, num_classes in SHAPES:
            name = f"core, fast, {num_rows}×{num_classes} {DTYPE}"
            rows = functions_of(profile_core(num_rows, num_classes, Path(folder)), SHOWN_OF_CORE)
            blocks.append(table((f"{name}: function, with what it called", "file", "share"), rows))
    intro = f"Shares of the worker's busy time, {SAMPLES_PER_SECOND} looks a second. {where}"
    text = "\n\n".join([intro, table(("call", "requests a second", *STAGES), stages), *blocks])
    print(text)
    page.write("profile", text, {})


if __name__ == "__main__":
    main()
