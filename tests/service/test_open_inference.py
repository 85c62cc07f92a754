"""`/v2` over the application: paths, examples, options, limits, codings, and what the protocol adds to HTTP."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import httpx
import numpy as np
import pytest

from gradient_service.app import create_app
from gradient_service.http.admission import Admission
from gradient_service.http.health import Lifecycle, Readiness
from gradient_service.http.metrics import Metrics
from gradient_service.http.open_inference.routes import paths
from gradient_service.settings import Settings

from .conftest import check_problem, client_of
from .stored_answers import has_widest_kernels, without_fractions
from .wire.open_inference_bodies import JSON_BYTES, binary_request, in_json, json_request, reply_of

pytestmark = pytest.mark.anyio

EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    (files("gradient_service.http") / "examples" / "infer.json").read_bytes()
)
LOGITS = np.array([[40, 0], [1, 2]], np.float32)
ARRAYS = {"logits": LOGITS, "labels": np.array([0, 1])}
SETTINGS = Settings.model_construct()
ADMISSION = Admission(SETTINGS)
READINESS = Readiness(Lifecycle(), ADMISSION)
PATHS = {(path.method, path.path): path for path in paths(SETTINGS, READINESS, Metrics(ADMISSION))}
NOT_OFFERED = [key for key, path in PATHS.items() if path.document is None]
TOLD = [path for (method, path), row in PATHS.items() if method == "GET" and row.document is not None]
INFER = "/v2/models/gradient/infer"


def filled(path: str) -> str:
    """A path with names in place of its braces."""
    return path.format(model="loss", version="1", region="r")


@pytest.fixture
async def started() -> Any:
    """A client of an application that has started."""
    app = create_app(Settings.model_construct())
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


@pytest.mark.parametrize("path", TOLD)
async def test_what_is_told_is_uncompressed_json(started: httpx.AsyncClient, path: str) -> None:
    """Each path that tells something answers exactly 200 with plain JSON, and HEAD too."""
    reply = await started.get(filled(path), headers={"Accept-Encoding": "gzip"})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert "content-encoding" not in reply.headers
    assert reply.json()
    assert (await started.head(filled(path))).status_code == 200


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/models/loss/ready", "/v2/models/loss/versions/1/ready"])
async def test_nothing_is_ready_before_the_start(http: httpx.AsyncClient, path: str) -> None:
    """While starting or draining neither the server nor a model is ready."""
    check_problem(await http.get(path), 503, "shutting-down")


@pytest.mark.parametrize(("method", "path"), NOT_OFFERED)
async def test_what_is_not_offered_is_501(http: httpx.AsyncClient, method: str, path: str) -> None:
    """Models to load, shared memory, traces and logs are refused by a problem."""
    check_problem(await http.request(method, filled(path), content=b"{}"), 501, "not-implemented")


@pytest.mark.parametrize("path", ["/v2/models", "/v2/models/loss/", "/v2/health", "/v2/nope", "/v2/models/loss/infer/"])
async def test_other_paths_are_not_there(http: httpx.AsyncClient, path: str) -> None:
    """An unknown path, or one with another slash, is not found and leads nowhere."""
    check_problem(await http.get(path), 404, "not-found")


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("GET", INFER, "POST"), ("GET", "/v2/repository/index", "POST"), ("POST", "/v2/health/live", "GET, HEAD"),
    ("DELETE", "/v2", "GET, HEAD"), ("PUT", "/v2/logging", "GET, HEAD, POST"),
])  # fmt: skip
async def test_other_methods_are_not_allowed(http: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
    """Another method is refused with the full list of those that are answered."""
    reply = await http.request(method, path)
    check_problem(reply, 405, "method-not-allowed")
    assert reply.headers["allow"] == allowed


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
async def test_the_examples_answer_as_stored(http: httpx.AsyncClient, example: dict[str, Any]) -> None:
    """An example answers with its stored document, to the last bit where the kernels are the same."""
    path, content = f"/v2/models/{example['model']}/infer", json.dumps(example["request"])
    reply = await http.post(path, content=content, headers={"X-Request-ID": "example"})
    assert reply.status_code == example["status"]
    answers = [parsed(answer) for answer in (reply.json(), example["answer"])]
    assert without_fractions(answers[0]) == without_fractions(answers[1])
    if has_widest_kernels():
        assert answers[0] == answers[1]


def parsed(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer with the JSON texts among its parameters read."""
    told = {name: json.loads(text) for name, text in answer.get("parameters", {}).items()}
    return answer | {"parameters": told}


def test_each_model_has_an_example() -> None:
    """The document shows each model at least once."""
    assert {example["model"] for example in EXAMPLES.values()} == {"softmax", "loss", "gradient"}


@pytest.mark.parametrize("media_type", ["", "application/json", "application/octet-stream", "text/plain", "nonsense"])
async def test_the_content_type_says_nothing(http: httpx.AsyncClient, media_type: str) -> None:
    """A body is read whatever its type, also without one, as the sync client sends it."""
    body, headers = binary_request(ARRAYS)
    request = http.build_request("POST", INFER, content=body, headers=headers)
    assert "content-type" not in request.headers
    if media_type:
        request.headers["Content-Type"] = media_type
    assert (await http.send(request)).status_code == 200


@pytest.mark.parametrize(("parameters", "outputs", "binary"), [
    ({}, {"loss": None, "gradient": None}, set()),
    ({"binary_data_output": True}, {"loss": None, "gradient": None}, {"loss", "gradient"}),
    ({"binary_data_output": True}, {"loss": False, "gradient": None}, {"gradient"}),
    ({"binary_data_output": False}, {"loss": True, "gradient": None}, {"loss"}),
    ({}, {"loss": True, "gradient": False}, {"loss"}),
    ({}, {"loss": False, "gradient": False}, set()),
])  # fmt: skip
async def test_an_output_says_how_it_is_wanted(
    http: httpx.AsyncClient, parameters: dict[str, bool], outputs: dict[str, bool | None], binary: set[str]
) -> None:
    """What an output says of binary data comes before what the request says."""
    named = [{"name": n} | ({} if b is None else {"parameters": {"binary_data": b}}) for n, b in outputs.items()]
    body, headers = json_request(ARRAYS, outputs=named, parameters=parameters)
    reply = await http.post(INFER, content=body, headers=headers)
    _, document = reply_of(reply)
    assert {output["name"] for output in document["outputs"] if "data" not in output} == binary
    assert reply.headers["content-type"] == ("application/octet-stream" if binary else "application/json")
    assert (JSON_BYTES in reply.headers) is bool(binary)


async def test_no_outputs_are_the_default(http: httpx.AsyncClient) -> None:
    """An empty list of outputs is none; the default is answered, the summary among the parameters."""
    body, headers = json_request(ARRAYS, outputs=[])
    arrays, document = reply_of(await http.post(INFER, content=body, headers=headers))
    assert (list(arrays), list(document["parameters"])) == (["loss", "gradient"], ["summary", "applied"])
    assert arrays["loss"].shape == (1,)


@pytest.mark.parametrize("said", [{"model_name": "gradient"}, {"model_name": "gradient", "model_version": "1"}])
async def test_a_body_may_say_the_model_again(http: httpx.AsyncClient, said: dict[str, str]) -> None:
    """KServe's own client names the model in each body, which was an unknown field."""
    for body, headers in (json_request(ARRAYS, **said), binary_request(ARRAYS, **said)):
        assert (await http.post(INFER, content=body, headers=headers)).status_code == 200


@pytest.mark.parametrize("request_of", [json_request, binary_request])
async def test_content_types_are_passed_over(http: httpx.AsyncClient, request_of: Callable[..., Any]) -> None:
    """MLServer's client says of request, inputs and outputs what they were made of, which was an unknown field."""
    replies = []
    for said in ({}, {"content_type": "np"}):
        outputs = [{"name": "gradient", "parameters": said}]
        body, headers = request_of(ARRAYS, outputs=outputs, parameters=said)
        end = int(headers.get(JSON_BYTES, len(body)))
        document = json.loads(body[:end])
        for entry in document["inputs"]:
            entry["parameters"] = entry.get("parameters", {}) | said
        text = json.dumps(document).encode()
        length = {name: str(len(text)) for name in headers}
        replies.append(await http.post(INFER, content=text + body[end:], headers=length))
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].content == replies[1].content


def flat_request(arrays: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """A body whose tensors are all flat JSON data."""
    inputs = [in_json(name, array, array.dtype.name, is_flat=True) for name, array in arrays.items()]
    return json.dumps({"inputs": inputs}).encode(), {}


@pytest.mark.parametrize("request_of", [flat_request, binary_request])
async def test_a_column_is_a_vector(http: httpx.AsyncClient, request_of: Callable[..., Any]) -> None:
    """MLServer's codecs write [2] as [2, 1], which was of a wrong rank; rows of two are none of a vector."""
    weights = np.array([1.0, 3.0])
    replies = []
    for shape in ((2,), (2, 1), (1, 2)):
        labels = np.array([0, 1]).reshape(shape)
        body, headers = request_of({"logits": LOGITS, "labels": labels, "sample_weights": weights.reshape(shape)})
        replies.append(await http.post(INFER, content=body, headers=headers))
    assert [reply.status_code for reply in replies] == [200, 200, 422]
    assert replies[0].content == replies[1].content
    errors = replies[2].json()["errors"]
    assert [(error["pointer"], error["code"]) for error in errors] == [
        ("/labels", "wrong-rank"),
        ("/sample_weights", "wrong-rank"),
    ]


@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg"])
async def test_binary_outputs_begin_where_an_array_may(http: httpx.AsyncClient, name: str) -> None:
    """However long the JSON part is, its end is one of eight bytes, as JavaScript's arrays need."""
    body, headers = binary_request(ARRAYS, id=name, parameters={"binary_data_output": True})
    reply = await http.post(INFER, content=body, headers=headers)
    assert int(reply.headers[JSON_BYTES]) % 8 == 0
    assert reply_of(reply)[1]["id"] == name


async def test_json_says_null_for_minus_infinity(http: httpx.AsyncClient) -> None:
    """A masked class's log-probability is null in JSON data and −∞ in binary data."""
    given = {"logits": np.zeros((1, 2)), "class_mask": np.array([True, False])}
    body, headers = json_request(given, outputs=[{"name": "log_probabilities"}])
    reply = await http.post("/v2/models/softmax/infer", content=body, headers=headers)
    assert reply.json()["outputs"][0]["data"] == [0, None]


async def test_a_request_may_mix_json_and_binary(http: httpx.AsyncClient) -> None:
    """Binary tensors lie in the order of the inputs, whatever JSON data stand between them."""
    body, headers = binary_request({"sample_weights": np.array([2.0, 0.0]), "logits": LOGITS})
    end = int(headers[JSON_BYTES])
    document = json.loads(body[:end])
    document["inputs"].insert(1, in_json("labels", [0, 1], "int64"))
    text = json.dumps(document).encode()
    reply = await http.post(INFER, content=text + body[end:], headers={JSON_BYTES: str(len(text))})
    assert reply_of(reply)[0]["gradient"][1].tolist() == [0, 0]


CODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", CODERS)
async def test_broken_codings_are_malformed(http: httpx.AsyncClient, coding: str) -> None:
    """A body that is not coded as it says is 400, on a native route 415, and a coded problem is not answered."""
    body, _ = json_request(ARRAYS)
    headers = {"Content-Encoding": coding, "Accept-Encoding": coding}
    check_problem(await http.post(INFER, content=body, headers=headers), 400, "malformed-http")
    reply = await http.post("/gradient", content=b"{}", headers=headers | {"Content-Type": "application/json"})
    check_problem(reply, 415, "unsupported-content-encoding")
    assert reply.headers["accept-encoding"] == "identity"


async def test_other_codings_are_415(http: httpx.AsyncClient) -> None:
    """A coding that is not spoken is refused with those that are."""
    reply = await http.post(INFER, content=b"{}", headers={"Content-Encoding": "br"})
    check_problem(reply, 415, "unsupported-content-encoding")
    assert reply.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("coding", CODERS)
async def test_bombs_are_413(http: httpx.AsyncClient, coding: str) -> None:
    """A small body that would become a large one is refused."""
    body = CODERS[coding](b'{"inputs": ' + b" " * 8_000_000 + b"[]}")
    check_problem(await http.post(INFER, content=body, headers={"Content-Encoding": coding}), 413, "decoded-too-large")


@pytest.mark.parametrize(("accepted", "coding"), [
    ("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate, br", None), ("br", None), ("", None),
])  # fmt: skip
@pytest.mark.parametrize("binary", [True, False])
async def test_replies_are_coded_for_who_asks(
    http: httpx.AsyncClient, accepted: str, coding: str | None, binary: bool
) -> None:
    """A reply is coded where one coding alone is asked for, its length that of the coded bytes."""
    body, headers = json_request(ARRAYS, parameters={"binary_data_output": binary})
    reply = await http.post(INFER, content=body, headers=headers | {"Accept-Encoding": accepted})
    assert reply.headers.get("content-encoding") == coding
    assert reply.headers["vary"] == "Accept-Encoding"
    assert reply_of(reply)[0]["gradient"].shape == (2, 2)
    problem = await http.post(INFER, content=b"{}", headers={"Accept-Encoding": accepted})
    check_problem(problem, 422, "missing-field", "/logits")
    assert "content-encoding" not in problem.headers


def bodies(num_rows: int) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """A body of JSON and one with binary tensors, each with the setting that limits it."""
    arrays = {"logits": np.zeros((num_rows, 2), np.float32)}
    yield "max_json_body_bytes", *json_request(arrays)
    yield "max_binary_body_bytes", *binary_request(arrays)


@pytest.mark.parametrize("num_rows", [1, 20_000])
@pytest.mark.parametrize("kind", [0, 1], ids=["JSON", "binary"])
async def test_each_form_has_its_limit(kind: int, num_rows: int) -> None:
    """A body at the limit of its form is read, and one byte more is 413."""
    setting, body, headers = list(bodies(num_rows))[kind]
    for excess in (0, 1):
        settings = Settings.model_construct(None, **{setting: len(body) - excess})
        async with client_of(create_app(settings)) as http:
            reply = await http.post("/v2/models/softmax/infer", content=body, headers=headers)
        if excess:
            check_problem(reply, 413, "body-too-large")
        else:
            assert reply.status_code == 200


async def test_the_json_part_has_the_limit_of_json() -> None:
    """The JSON part of a body with tensors may be no longer than a JSON body."""
    body, headers = binary_request({"logits": LOGITS})
    settings = Settings.model_construct(None, max_json_body_bytes=int(headers[JSON_BYTES]) - 1)
    async with client_of(create_app(settings)) as http:
        reply = await http.post("/v2/models/softmax/infer", content=body, headers=headers)
    check_problem(reply, 413, "body-too-large")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda length: f"{length:030d}", 200),
        (lambda length: f"{length}" + "0" * 20, 400),
        (lambda length: f"{length * 10**18}", 400),
        (lambda length: f"{length + 10**6}", 400),
        (lambda length: f"+{length}", 400),
        (lambda length: f"{length}.0", 400),
        (lambda length: f"{length},{length}", 400),
        (lambda _: "", 400),
        (lambda _: "-1", 400),
    ],
)
async def test_the_length_of_the_json_part_is_one_whole_number(
    http: httpx.AsyncClient, change: Callable[[int], str], status: int
) -> None:
    """However many zeros it begins with; what is no number, or more than the body has, is 400."""
    body, headers = binary_request({"logits": LOGITS})
    length = {JSON_BYTES: change(int(headers[JSON_BYTES]))}
    reply = await http.post("/v2/models/softmax/infer", content=body, headers=length)
    assert reply.status_code == status
    if status == 400:
        check_problem(reply, 400, "malformed-http")


async def test_the_stages_are_timed(http: httpx.AsyncClient) -> None:
    """`Server-Timing` has the four stages that native replies have."""
    body, headers = binary_request({"logits": np.zeros((5000, 10), np.float32)})
    reply = await http.post("/v2/models/softmax/infer", content=body, headers=headers)
    stages = [stage.partition(";")[0] for stage in reply.headers["server-timing"].split(", ")]
    assert stages == ["read", "parse", "compute", "encode"]
