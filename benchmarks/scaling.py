"""How requests and rows add up over cores and nodes: what `docs/scaling.md` is checked against.

`python -m benchmarks.scaling` serves with one worker and with two, then on a Ray cluster of one node and of two, and
loads each with wrk; then it scores a Parquet file in this process, on one node and on two. It prints what was found,
what the model of that page takes from the smallest and the largest binary call, and what it makes of them for the one
between. Both nodes are on this machine and share its cores, with wrk and with Ray itself. It needs wrk, the packages of
`make test-all`, and three minutes.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray import serve
from ray.cluster_utils import Cluster

from benchmarks.http.columns import Column
from benchmarks.http.wrk import Load, Wrk
from benchmarks.reliability.processes import cpu_seconds, family
from benchmarks.rivals.running import running
from benchmarks.rivals.servers import LOOPBACK, OURS, SERVERS, Server, Start
from gradient_service.ray_serve import deployment
from gradient_service.scoring.engines import engine_of
from gradient_service.scoring.progress import silence
from gradient_service.scoring.question import question_of
from gradient_service.scoring.run import Job, score
from gradient_service.scoring.sources import source_of
from tests.contract.serving import free_port

COLUMNS = (Column(1, 10, "JSON"), Column(1, 10, "binary"), Column(32, 1000, "binary"), Column(1000, 1000, "binary"))
SECONDS = 5
LINKS = {"1 Gb/s": 125e6, "10 Gb/s": 1.25e9, "25 Gb/s": 3.125e9}
ROWS, CLASSES, GROUP_ROWS = 4_000_000, 10, 200_000
NODE = {"num_cpus": 1, "object_store_memory": 512 * 1024 * 1024, "include_dashboard": False}
PROXIES = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "gradient_service.ray_serve:proxy_layers",
    "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",
}


def main() -> None:
    """Measure and print."""
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        wrk, parquet = Wrk(Path(folder)), Path(folder) / "rows.parquet"
        for workers in (1, 2):
            requests(wrk, workers)
        write_rows(parquet)
        scored("in this process, one thread", "in-process", parquet)
        with cluster() as nodes:
            served("Ray, one node", wrk, 1)
            scored("Ray, one node, first run", "ray", parquet)
            scored("Ray, one node", "ray", parquet)
            nodes.add_node(**NODE)
            served("Ray, two nodes", wrk, 2)
            scored("Ray, two nodes, first run", "ray", parquet)
            scored("Ray, two nodes", "ray", parquet)


def ours(workers: int) -> Server:
    """The service with so many workers."""
    server = next(server for server in SERVERS if server.name == OURS)

    def start(python: Path, port: int) -> Start:
        usual = server.start(python, port)
        return Start(usual.command, {**usual.variables, "GRADIENT_WORKERS": str(workers)})

    return replace(server, start=start)


def requests(wrk: Wrk, workers: int) -> None:
    """Load the plain service, and print what a request costs and where a link would be full."""
    print(
        f"\nplain service, {workers} workers\n| call | requests/s | CPU µs a request | bytes | cores to fill a link |"
    )
    server, costs = ours(workers), {}
    with running(server, COLUMNS[0].questions(server.json)[0]) as service:
        for column in COLUMNS:
            load, cost, sent = loaded(wrk, service.port, column, lambda: service.cpu_seconds)
            costs[column.name] = cost
            bytes_a_request = sent + load.bytes_an_answer
            full = ", ".join(f"{link * cost / bytes_a_request:.1f} at {name}" for name, link in LINKS.items())
            print(f"| {column.name} | {load.per_second:.0f} | {cost * 1e6:.0f} | {bytes_a_request:.0f} | {full} |")
    fixed, middle, largest = (costs[column.name] for column in COLUMNS[1:])
    element = (largest - fixed) / (1000 * 1000 - 10)
    print(f"binary: {fixed * 1e6:.0f} µs a request and {element * 1e9:.2f} ns an element; ", end="")
    print(f"32×1000 by that {(fixed + 32_000 * element) * 1e6:.0f} µs, found {middle * 1e6:.0f} µs")


def loaded(wrk: Wrk, port: int, column: Column, busy_seconds: Callable[[], float]) -> tuple[Load, float, float]:
    """Load a server with one kind of request; return also what such a request takes of the CPU, and its length."""
    server = ours(1)
    dialect = server.json if column.form == "JSON" else server.binary
    assert dialect is not None  # noqa: S101 - the table has both
    url, questions = f"http://{LOOPBACK}:{port}{dialect.path}", column.questions(dialect)
    messages = [dialect.ask(question) for question in questions]
    wrk.warm(url, messages, 1)
    before = busy_seconds()
    load = wrk.load(url, messages, SECONDS)
    cost = (busy_seconds() - before) / load.requests
    return load, cost, sum(len(message.body) for message in messages) / len(messages)


@contextmanager
def cluster() -> Iterator[Any]:
    """A node of one core on this machine, to which others can be added."""
    os.environ.update(PROXIES)
    nodes = Cluster(initialize_head=True, head_node_args=NODE)
    ray.init(address=nodes.address, logging_level="error", log_to_driver=False)
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def served(name: str, wrk: Wrk, replicas: int) -> None:
    """Load so many replicas, one a node, behind one proxy, and print what comes through."""
    port = free_port()
    serve.start(http_options={"host": LOOPBACK, "port": port}, logging_config={"log_level": "ERROR"})
    options = {"num_replicas": replicas, "max_replicas_per_node": 1, "ray_actor_options": {"num_cpus": 1}}
    serve.run(deployment.options(**options).bind())
    print(f"\n{name}, {replicas} replicas\n| call | requests/s | CPU µs a request, all of Ray |")
    for column in COLUMNS:
        load, cost, _ = loaded(wrk, port, column, children_seconds)
        print(f"| {column.name} | {load.per_second:.0f} | {cost * 1e6:.0f} |")
    serve.shutdown()


def children_seconds() -> float:
    """CPU time of all that came from this process and still runs."""
    total = 0.0
    for member in family(os.getpid()):
        if member != os.getpid():
            with suppress(OSError):  # it has just ended
                total += cpu_seconds(member)
    return total


def write_rows(path: Path) -> None:
    """Write the file that is scored."""
    generator = np.random.default_rng(7)
    logits = generator.standard_normal((ROWS, CLASSES), dtype=np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), CLASSES)
    table = pa.table({"logits": lists, "labels": generator.integers(0, CLASSES, ROWS)})
    pq.write_table(table, path, row_group_size=GROUP_ROWS, compression="none", use_dictionary=False)


def scored(name: str, engine: str, path: Path) -> None:
    """Score a file, and print how long that took."""
    source = source_of(path)
    question = question_of(source, "gradient", {}, {}, [])
    with tempfile.TemporaryDirectory() as folder:
        begun, before = time.monotonic(), time.process_time() + children_seconds()
        whole = score(Job(source=source, question=question, path=Path(folder)), GROUP_ROWS, engine_of(engine), silence)
        seconds, busy = time.monotonic() - begun, time.process_time() + children_seconds() - before
    found = f"{seconds:.2f} s, {busy:.2f} s of CPU, {ROWS / seconds / 1e6:.2f} million rows/s, loss {whole['loss']!r}"
    print(f"score, {name}: {found}", flush=True)


if __name__ == "__main__":
    main()
