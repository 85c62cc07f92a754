"""What Prometheus reads: each request counted once, under labels that callers cannot make up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from gradient_service.app import create_app
from gradient_service.http.admission import Admission
from gradient_service.http.metrics import SECONDS, BatchHistogram, Metrics
from gradient_service.http.request_log import Told
from gradient_service.http.timing import StageTiming
from gradient_service.settings import Settings
from gradient_service.wire.safetensors_body import MEDIA_TYPE

from .conftest import client_of, post
from .wire.safetensors_files import file_of, stored

pytestmark = pytest.mark.anyio
BODY = b'{"logits": [[1, 2]], "labels": [0]}'
PREFIX = "gradient_service_"
STAGES = {"read", "parse", "compute", "encode"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that nobody has asked anything yet."""
    async with client_of(create_app(Settings.model_construct())) as client:
        yield client


async def families(client: httpx.AsyncClient) -> dict[str, Metric]:
    """What is told, by name."""
    reply = await client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name.removeprefix(PREFIX): family for family in text_string_to_metric_families(reply.text)}


def samples(family: Metric, suffix: str, *labels: str) -> Iterator[tuple[tuple[str, ...], float]]:
    """The values of some labels."""
    for sample in family.samples:
        if sample.name.endswith(suffix):
            yield tuple(sample.labels[label] for label in labels), sample.value


async def test_requests_are_counted_by_route_and_status(client: httpx.AsyncClient) -> None:
    """Answers and refusals are counted apart, refusals by their slug, too."""
    for body in (BODY, BODY, b"{"):
        await post(client, "/gradient", body)
    found = await families(client)
    assert dict(samples(found["requests"], "_total", "route", "status")) == {
        ("/gradient", "200"): 2,
        ("/gradient", "400"): 1,
    }
    assert dict(samples(found["refusals"], "_total", "route", "slug")) == {("/gradient", "malformed-json"): 1}
    assert dict(samples(found["request_duration_seconds"], "_count", "route")) == {("/gradient",): 3}


async def test_bytes_are_added_up(client: httpx.AsyncClient) -> None:
    """What was received and sent is added up by route."""
    reply = await post(client, "/gradient", BODY)
    found = await families(client)
    assert dict(samples(found["request_bytes"], "_total", "route")) == {("/gradient",): len(BODY)}
    assert dict(samples(found["reply_bytes"], "_total", "route")) == {("/gradient",): len(reply.content)}


async def test_the_stages_of_answered_calls_are_told_by_the_kind_of_body(client: httpx.AsyncClient) -> None:
    """Each stage of each call is there once; a refused call has none."""
    tensors = file_of({"logits": stored([[1, 2]]), "labels": stored([0], "int64")})
    await post(client, "/gradient", tensors, Content_Type=MEDIA_TYPE)
    await post(client, "/gradient", BODY)
    await post(client, "/gradient", b"{}")
    infer = {"inputs": [{"name": "logits", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}
    await client.post("/v2/models/softmax/infer", json=infer)
    found = dict(samples((await families(client))["stage_duration_seconds"], "_count", "route", "dialect", "stage"))
    kinds = [("/gradient", "binary"), ("/gradient", "json"), ("/v2/models/{model}/infer", "json")]
    assert found == {(*kind, stage): 1 for kind in kinds for stage in STAGES}


async def test_odd_paths_make_no_labels(client: httpx.AsyncClient) -> None:
    """A thousand paths that there are not, and methods of all kinds, are one series."""
    for number in range(1000):
        await client.request("GET" if number % 2 else "BREW", f"/odd/{number}")
    counted = dict(samples((await families(client))["requests"], "_total", "route", "status"))
    assert counted == {("none", "404"): 1000}


async def test_in_flight_bytes_are_those_that_are_reserved() -> None:
    """The gauge tells what is reserved when it is asked."""
    app = create_app(Settings.model_construct())
    app.state.admission.reserve(12_345)
    async with client_of(app) as client:
        assert dict(samples((await families(client))["in_flight_bytes"], "bytes")) == {(): 12_345}


async def test_counts_are_not_for_everyone() -> None:
    """Where keys are asked for, the counts need one, too."""
    app = create_app(Settings.model_construct(api_keys=SecretStr("secret-key")))
    async with client_of(app) as client:
        assert (await client.get("/metrics")).status_code == 401
        headers = {"Authorization": "Bearer secret-key"}
        assert (await client.get("/metrics", headers=headers)).status_code == 200


def test_requests_that_are_told_together_are_each_counted() -> None:
    """Of several with the same labels none is lost, and those with others are counted apart."""
    metrics = Metrics(Admission(Settings.model_construct()))
    answered = {"route": "/loss", "status": 200, "duration_ms": 2.0, "bytes_in": 10, "bytes_out": 20}
    refused = {"status": 503, "problem": "overloaded", "duration_ms": 0.5}
    told = [answered, refused, answered | {"bytes_in": 5, "duration_ms": 2.5}, refused, refused]
    metrics.count([Told(fields, None) for fields in told])
    found = counts(metrics)
    assert (found["requests_total", "/loss", "200"], found["requests_total", "none", "503"]) == (2, 3)
    assert found["refusals_total", "none", "overloaded"] == 3
    assert (found["request_bytes_total", "/loss"], found["reply_bytes_total", "/loss"]) == (15, 40)
    assert found["request_duration_seconds_count", "/loss"] == 2
    assert found["request_duration_seconds_sum", "none"] == pytest.approx(0.0015)


def test_calls_without_room_are_counted_as_other_refusals() -> None:
    """Together, by how long each took."""
    metrics = Metrics(Admission(Settings.model_construct()))
    metrics.count([Told({"status": 503, "problem": "overloaded", "duration_ms": 0.5}, None)])
    metrics.count_refused([0.5, 2.0])
    found = counts(metrics)
    assert (found["requests_total", "none", "503"], found["refusals_total", "none", "overloaded"]) == (3, 3)
    assert found["request_duration_seconds_sum", "none"] == pytest.approx(0.003)


def test_the_stages_of_calls_that_are_told_together_are_each_counted() -> None:
    """Each by its kind of body; a call that failed has none, and a stage that was left out took no time."""
    metrics = Metrics(Admission(Settings.model_construct()))
    answered = {"route": "/loss", "status": 200, "duration_ms": 2.0}
    timings = [staged("json", parse=4), staged("binary", parse=1), staged("json", parse=2, compute=1)]
    failed = {"route": "/loss", "status": 422, "problem": "wrong-type", "duration_ms": 2.0}
    metrics.count([*(Told(answered, timing) for timing in timings), Told(failed, staged("json", parse=8))])
    found = counts(metrics)
    for dialect, stage, number, seconds in (
        ("json", "parse", 2, 6),
        ("json", "compute", 2, 1),
        ("binary", "parse", 1, 1),
    ):
        assert found["stage_duration_seconds_count", "/loss", dialect, stage] == number
        assert found["stage_duration_seconds_sum", "/loss", dialect, stage] == seconds


def test_many_values_are_observed_as_one_by_one() -> None:
    """On a bound, between two, below the first and above the last."""
    amounts = [0.0, 0.0005, 0.0006, 0.001, 0.5, 2.0, 2.0, 30.0, 31.0]
    one_by_one, together = (BatchHistogram("seconds", "Some.", buckets=SECONDS, registry=None) for _ in range(2))
    for amount in amounts:
        one_by_one.observe(amount)
    together.observe_all(amounts)
    assert values(together) == values(one_by_one)


def staged(dialect: str, **seconds: int) -> StageTiming:
    """The timing of a call whose stages took so long."""
    timing = StageTiming()
    timing.dialect = dialect
    timing.stages = {stage: each * 10**9 for stage, each in seconds.items()}
    return timing


def counts(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """All values by their names and labels."""
    return {
        (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def values(histogram: BatchHistogram) -> dict[tuple[str, ...], float]:
    """All values of a histogram but for when it was made."""
    (family,) = histogram.collect()
    samples = (sample for sample in family.samples if not sample.name.endswith("_created"))
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}
