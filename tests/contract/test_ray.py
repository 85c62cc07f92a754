"""On a Ray cluster of two nodes: the bits of the plain service, from replicas that may die, and files scored alike."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradient_client import GradientClient, Retry
from gradient_service.cli import main
from gradient_service.schemas.problem import Problem

from .serving import free_port

ray: Any = import_module("ray") if find_spec("ray") else None
"""Not there where only the tests run that need no framework, of which these are none."""
pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:pydantic.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore:`use_\\w+` is deprecated:DeprecationWarning"),
]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "openapi" / "examples"
PROXIES = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "gradient_service.ray_serve:proxy_layers",
    "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",
}
"""What Ray's proxies are told: to say when a replica was lost, and to ask those of every node."""
STORE_BYTES = 100 * 1024 * 1024
ROWS, CLASSES = 200_000, 10
CALLS = 40
SECONDS = 120.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two nodes of one core each, on this machine, without a dashboard."""
    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in PROXIES.items():
            environment.setenv(name, value)
        nodes = import_module("ray.cluster_utils").Cluster(initialize_head=True, head_node_args=node)
        nodes.add_node(**node)
        ray.init(address=nodes.address, logging_level="error", log_to_driver=False)
        yield
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module")
def served(cluster: None) -> Iterator[str]:
    """The address of two replicas, one a node."""
    del cluster
    serve, port = import_module("ray.serve"), free_port()
    serve.start(
        http_options={"host": "127.0.0.1", "port": port},
        proxy_location="HeadOnly",
        logging_config={"log_level": "ERROR"},
    )
    deployment = import_module("gradient_service.ray_serve").deployment
    options = {"num_replicas": 2, "max_replicas_per_node": 1, "ray_actor_options": {"num_cpus": 0}}
    serve.run(deployment.options(**options).bind())
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()


def answer(url: str, operation: str, body: bytes, media_type: str) -> tuple[int, bytes, str]:
    """Status, body and id of an answer."""
    headers = {"Content-Type": media_type, "X-Request-ID": "same"}
    reply = httpx.post(f"{url}/{operation}", content=body, headers=headers, timeout=SECONDS)
    return reply.status_code, reply.content, reply.headers["x-request-id"]


@pytest.mark.parametrize("request_file", sorted(EXAMPLES.glob("*.request.*")), ids=lambda path: path.name)
def test_replicas_answer_safetensors_as_the_plain_service(served: str, url: str, request_file: Path) -> None:
    """Every binary example has the same answer, byte for byte."""
    question = request_file.name.partition(".")[0], request_file.read_bytes(), "application/x-safetensors"
    assert answer(served, *question) == answer(url, *question)


@pytest.mark.parametrize("operation", ["softmax", "loss", "gradient", "check"])
@pytest.mark.parametrize("label", [2, 3])
def test_replicas_answer_json_as_the_plain_service(served: str, url: str, operation: str, label: int) -> None:
    """Answers and refusals in JSON are the same, byte for byte, with the caller's id."""
    fields: dict[str, Any] = {"logits": [[1, 2, 3], [40, 0, 0.1]]}
    fields |= {} if operation == "softmax" else {"labels": [label, 0]}
    fields |= {"claimed": {"losses": [0.4, 0]}} if operation == "check" else {}
    question = operation, json.dumps(fields).encode(), "application/json"
    status, _, name = found = answer(served, *question)
    assert found == answer(url, *question)
    assert (status, name) == (422 if label == 3 and operation != "softmax" else 200, "same")


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é"])
def test_an_id_that_is_none_is_replaced(served: str, given: str) -> None:
    """The answer's header and its body have the same new id."""
    headers = {b"Content-Type": b"application/json", b"X-Request-ID": given.encode("latin-1")}
    reply = httpx.post(f"{served}/loss", content=b"{", headers=headers, timeout=SECONDS)
    assert reply.headers.get_list("x-request-id") == [reply.json()["request_id"]]
    assert reply.json()["request_id"] != given


async def silent(_: object, __: object, ___: object) -> None:
    """A proxy that has no answer, as Ray's where the replica was lost."""


def test_a_lost_call_is_a_problem() -> None:
    """As every refusal, under the caller's id."""
    answering = httpx.ASGITransport(import_module("gradient_service.ray_serve").Gateway(silent))

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=answering, base_url="http://ray") as client:
            return await client.post("/loss", headers={"X-Request-ID": "mine"})

    reply = asyncio.run(call())
    problem = reply.json()
    assert problem.keys() == Problem.model_fields.keys()
    assert (reply.status_code, problem["status"], problem["instance"], problem["errors"]) == (502, 502, "/loss", [])
    assert (reply.headers["x-request-id"], problem["request_id"]) == ("mine", "mine")


async def taken_twice(scope: Any, receive: Any, send: Any) -> None:
    """A proxy whose first replica is lost with what it took of the body, as the second is then given the call."""
    del receive
    read: list[bytes] = []

    async def nothing_left() -> Any:
        await asyncio.Event().wait()

    async def replica(_: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        read.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def lost(_: Any) -> None:
        pass

    carried = import_module("gradient_service.ray_serve").Carried(replica)
    await carried({**scope}, nothing_left, lost)
    await carried({**scope}, nothing_left, send)
    assert read[0] == read[1]


def test_a_body_is_whole_in_the_next_replica() -> None:
    """Ray gives a call to another replica when the first is lost early; no byte of the body may be lost with it."""
    gateway = import_module("gradient_service.ray_serve").Gateway(taken_twice)
    body = np.random.default_rng(3).bytes(300_000)

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://ray") as client:
            return await client.post("/loss", content=parts())

    assert asyncio.run(asyncio.wait_for(call(), SECONDS)).content == body


def replicas() -> list[Any]:
    """The replicas that there are."""
    names = ray.util.list_named_actors(all_namespaces=True)
    found = [each for each in names if each["name"].startswith("SERVE_REPLICA")]
    return [ray.get_actor(each["name"], namespace=each["namespace"]) for each in found]


def running_replicas() -> int:
    """How many replicas take calls: one that has its name may still be starting."""
    (application,) = import_module("ray.serve").status().applications.values()
    return sum(deployment.replica_states.get("RUNNING", 0) for deployment in application.deployments.values())


def test_a_lost_replica_loses_no_call(served: str) -> None:
    """Calls that were under way in a replica that is killed are told so, and repeated by the client.

    Whether the replica that is killed has a call just then is a matter of chance, so replicas are killed until one had;
    one that is still starting has none.
    """
    generator = np.random.default_rng(2)
    logits, labels = generator.normal(size=(10_000, 100)), generator.integers(0, 100, 10_000)
    results: list[Any] = []

    def call(number: int) -> Any:
        if number == CALLS // 3:
            ray.kill(replicas()[0], no_restart=True)
        return client.gradient(logits, labels)

    with GradientClient(served, timeout=SECONDS, retry=Retry(max_retries=5)) as client:
        whole = client.gradient(logits, labels)
        deadline = time.monotonic() + SECONDS
        while not any(len(result.meta.attempts) > 1 for result in results):
            assert time.monotonic() < deadline, "no call was under way in any replica that was killed"
            if running_replicas() < 2:
                time.sleep(0.1)
                continue
            with ThreadPoolExecutor(6) as callers:
                results += callers.map(call, range(CALLS))
    assert {result.gradient.tobytes() for result in results} == {whole.gradient.tobytes()}
    assert {result.loss for result in results} == {whole.loss}


def test_the_command_of_the_readme_serves(served: str, url: str) -> None:
    """`serve run` with the name that the README gives puts the application in place of the one that is there."""
    command = re.findall(r"^serve run .*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    program, *words = shlex.split(command[0])
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    question = "loss", b'{"logits": [[40, 0]], "labels": [0]}', "application/json"
    before = {replica._actor_id for replica in replicas()}
    with subprocess.Popen([Path(sys.executable).with_name(program), *words], env=environment) as run:
        try:
            deadline = time.monotonic() + SECONDS
            while len(new := {replica._actor_id for replica in replicas()} - before) != 1 or len(replicas()) != 1:
                assert time.monotonic() < deadline, new
                time.sleep(0.1)
            assert answer(served, *question) == answer(url, *question)
        finally:
            run.terminate()


def test_the_configuration_of_the_page_is_one() -> None:
    """Ray Serve reads the configuration that `docs/scaling.md` gives."""
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    yaml, schema = import_module("yaml"), import_module("ray.serve.schema").ServeDeploySchema
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (application,) = schema.model_validate(yaml.safe_load(block)).applications
    module, _, name = application.import_path.partition(":")
    assert [each.name for each in application.deployments] == [
        getattr(import_module(module), name)._bound_deployment.name
    ]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file of 200 000 rows."""
    generator = np.random.default_rng(1)
    logits = generator.normal(scale=4, size=(ROWS, CLASSES)).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), CLASSES)
    weights = generator.lognormal(0, 5, ROWS)
    columns = {"logits": lists, "labels": generator.integers(0, CLASSES, ROWS), "sample_weights": weights}
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=ROWS // 20)
    return path


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("operation", ["softmax", "loss", "gradient"])
def test_files_are_scored_alike(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], operation: str) -> None:
    """On Ray and in this process the files of all blocks have the same digests, and what they make is the same."""
    blocks: list[Any] = []
    for engine in ("in-process", "ray"):
        out = tmp_path / engine
        main(["score", str(rows), "--out", str(out), "--operation", operation, "--engine", engine, "--block-rows", "1"])
        blocks.append(json.loads((out / "manifest.json").read_bytes())["blocks"])
    in_process, on_ray = capsys.readouterr().out.splitlines()
    assert in_process == on_ray
    assert blocks[0] == blocks[1]
    assert len(blocks[0]) == 20


@pytest.mark.usefixtures("cluster")
def test_a_bad_row_is_refused_alike(rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line of a block that another machine refused is that of this one."""
    table = pq.read_table(rows)
    labels = np.array(table["labels"])
    labels[-1] = CLASSES
    pq.write_table(table.set_column(1, "labels", pa.array(labels)), tmp_path / "bad.parquet", row_group_size=50_000)
    lines = []
    for engine in ("in-process", "ray"):
        with pytest.raises(SystemExit) as end:
            main(["score", str(tmp_path / "bad.parquet"), "--out", str(tmp_path / engine), "--engine", engine])
        lines.append((end.value.code, capsys.readouterr().err))
    assert lines[0] == lines[1]
    assert f"labels, row {ROWS - 1}: " in lines[0][1]


@pytest.mark.usefixtures("cluster")
def test_relative_paths_are_those_of_the_caller(rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machines of a cluster were started in another folder than the one a run is started in."""
    monkeypatch.chdir(rows.parent)
    main(["score", rows.name, "--out", "relative", "--engine", "ray"])
    assert (rows.parent / "relative" / "manifest.json").exists()


def dying_once(mark: Path, rows: slice) -> int:
    """End the process the first time, as a machine that is lost."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return len(range(rows.start, rows.stop))


@pytest.mark.usefixtures("cluster")
def test_a_lost_worker_loses_no_block(tmp_path: Path) -> None:
    """The block that a worker had when it was killed is given to another one."""
    on_ray: Callable[..., Iterator[int]] = import_module("gradient_service.scoring.ray_engine").on_ray
    blocks = [slice(start, start + 10) for start in range(0, 60, 10)]
    assert list(on_ray(partial(dying_once, tmp_path / "mark"), blocks)) == [10] * 6
