"""An unmodified `tritonclient.http`, sync and asyncio, against the service: every row of what must pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from gradient_service.settings import Settings
from tests.contract.conftest import serving

LOGITS = np.array([[40, 0], [1, 2]], np.float32)
LABELS = np.array([0, 1])
MODELS = ["softmax", "loss", "gradient"]
CODINGS = [None, "gzip", "deflate"]
ROW_LOSS = 4.248354255291589e-18

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """The host and port of a service of this module's own, so that its counters start at 0."""
    with serving(Settings.model_construct()) as address:
        yield address.removeprefix("http://")


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, host: str) -> Run:
    """Call one method of a client of each kind."""

    def run_sync(method: str, *args: object, **options: object) -> Any:
        with triton.InferenceServerClient(host) as client:
            return getattr(client, method)(*args, **options)

    def run_async(method: str, *args: object, **options: object) -> Any:
        async def call() -> Any:
            async with triton_aio.InferenceServerClient(host) as client:
                return await getattr(client, method)(*args, **options)

        return anyio.run(call)

    return run_sync if request.param == "sync" else run_async


def tensor(name: str, array: NDArray[Any], *, binary: bool = True) -> Any:
    """An input as the client makes it."""
    given = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return given.set_data_from_numpy(array, binary_data=binary)


def tensors(*, binary: bool = True, **arrays: NDArray[Any]) -> list[Any]:
    """Inputs as the client makes them."""
    return [tensor(name, array, binary=binary) for name, array in arrays.items()]


def wanted(*names: str, binary: bool = True) -> list[Any]:
    """Outputs as the client names them."""
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


@pytest.mark.parametrize("method", ["is_server_live", "is_server_ready"])
def test_the_server_lives_and_is_ready(run: Run, method: str) -> None:
    """The client finds the server well."""
    assert run(method) is True


@pytest.mark.parametrize(("model", "version", "is_ready"), [
    *((model, version, True) for model in MODELS for version in ("", "1")),
    ("softmax", "2", False), ("softmax", "01", False), ("no such", "", False),
])  # fmt: skip
def test_a_model_is_ready_if_it_is_there(run: Run, model: str, version: str, is_ready: bool) -> None:
    """Every model is ready in version 1, and none else."""
    assert run("is_model_ready", model, version) is is_ready


def test_the_server_tells_what_it_is(run: Run) -> None:
    """The server has a name, a version and the extension for binary tensors."""
    metadata = run("get_server_metadata")
    assert metadata["name"] == "gradient-service"
    assert metadata["version"]
    assert "binary_tensor_data" in metadata["extensions"]


@pytest.mark.parametrize("version", ["", "1"])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_tells_its_tensors(run: Run, model: str, version: str) -> None:
    """Metadata and configuration name the same tensors, logits first."""
    metadata, config = run("get_model_metadata", model, version), run("get_model_config", model, version)
    assert metadata["name"] == config["name"] == model
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"][0] == {"name": "logits", "datatype": "FP32", "shape": [-1, -1]}
    for told, configured in ((metadata["inputs"], config["input"]), (metadata["outputs"], config["output"])):
        assert [(each["name"], f"TYPE_{each['datatype']}", each["shape"]) for each in told] == [
            (each["name"], each["data_type"], each["dims"]) for each in configured
        ]


def test_the_repository_lists_the_models(run: Run) -> None:
    """Every model is in the index, ready."""
    index = run("get_model_repository_index")
    assert [(each["name"], each["version"], each["state"]) for each in index] == [(m, "1", "READY") for m in MODELS]


def test_calls_are_counted(run: Run) -> None:
    """Each answered and each refused call counts once, with its time, in the statistics of its model."""

    def counted(*of: str) -> dict[str, Any]:
        stats: dict[str, Any] = run("get_inference_statistics", *of)["model_stats"][-1]
        return stats

    before = counted("gradient")
    run("infer", "gradient", tensors(logits=LOGITS, labels=LABELS))
    with pytest.raises(InferenceServerException):
        run("infer", "gradient", tensors(logits=LOGITS))
    after = counted("gradient", "1")
    assert counted()["name"] == "gradient"
    assert after["inference_count"] == after["execution_count"] == before["inference_count"] + 1
    assert after["last_inference"] > 1e12
    for name in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
        assert after["inference_stats"][name]["count"] == before["inference_stats"][name]["count"] + 1
    for name in ("success", "fail", "compute_input", "compute_infer", "compute_output"):
        assert after["inference_stats"][name]["ns"] > before["inference_stats"][name]["ns"]


@pytest.mark.parametrize("compressed_reply", CODINGS, ids=str)
@pytest.mark.parametrize("compressed_request", CODINGS, ids=str)
@pytest.mark.parametrize("binary_out", [True, False], ids=["binary out", "JSON out"])
@pytest.mark.parametrize("binary_in", [True, False], ids=["binary in", "JSON in"])
def test_inference_in_every_form(
    run: Run, binary_in: bool, binary_out: bool, compressed_request: str | None, compressed_reply: str | None
) -> None:
    """JSON and binary, coded and not, in and out, give the same bits."""
    result = run(
        "infer",
        "gradient",
        [tensor("logits", LOGITS, binary=binary_in), tensor("labels", LABELS, binary=not binary_in)],
        outputs=wanted("losses", "gradient", binary=binary_out),
        request_compression_algorithm=compressed_request,
        response_compression_algorithm=compressed_reply,
        parameters={"reduction": "none"},
    )
    assert ("data" in result.get_output("losses")) is not binary_out
    assert result.as_numpy("losses").tolist() == [np.float32(ROW_LOSS), np.float32(0.31326168)]
    assert result.as_numpy("gradient").dtype == np.float32
    assert result.as_numpy("gradient")[0].tolist() == [np.float32(-ROW_LOSS), np.float32(ROW_LOSS)]


@pytest.mark.parametrize("binary_in", [True, False], ids=["binary", "JSON"])
@pytest.mark.parametrize(("dtype", "result"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_numbers_have_their_datatype(run: Run, dtype: str, result: str, binary_in: bool) -> None:
    """Results have the datatype of the logits, half precision widened, also where these are JSON."""
    answered = run("infer", "softmax", tensors(logits=LOGITS.astype(dtype), binary=binary_in))
    assert answered.as_numpy("probabilities").dtype == result
    assert answered.as_numpy("predicted_labels").tolist() == [0, 1]


def test_bfloat16_is_read(run: Run) -> None:
    """BF16, as the client's own library has it, is read as binary data."""
    answered = run("infer", "softmax", tensors(logits=LOGITS.astype(ml_dtypes.bfloat16)))
    assert answered.as_numpy("probabilities")[1].tolist() == [np.float32(0.26894143), np.float32(0.7310586)]


@pytest.mark.parametrize("binary_in", [True, False], ids=["binary", "JSON"])
@pytest.mark.parametrize("dtype", [f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64)])
def test_labels_are_any_integers(run: Run, dtype: str, binary_in: bool) -> None:
    """Labels of every integer type are read."""
    given = tensors(logits=LOGITS, labels=LABELS.astype(dtype), binary=binary_in)
    assert run("infer", "loss", given).as_numpy("loss").tolist() == [np.float32(0.15663084)]


@pytest.mark.parametrize("binary_in", [True, False], ids=["binary", "JSON"])
def test_masks_are_booleans(run: Run, binary_in: bool) -> None:
    """Both masks are read; a masked class has log-probability −∞."""
    masks = {"class_mask": np.array([True, True, False]), "element_mask": np.array([[True, False, True]])}
    given = tensors(logits=np.zeros((1, 3)), binary=binary_in, **masks)
    answered = run("infer", "softmax", given, outputs=wanted("log_probabilities"))
    assert answered.as_numpy("log_probabilities").tolist() == [[0, -np.inf, -np.inf]]


@pytest.mark.parametrize("binary_out", [True, False], ids=["binary out", "JSON out"])
@pytest.mark.parametrize("binary_in", [True, False], ids=["binary in", "JSON in"])
def test_an_empty_batch_is_answered(run: Run, binary_in: bool, binary_out: bool) -> None:
    """No rows of three classes give loss 0 and arrays of no rows."""
    given = tensors(logits=np.zeros((0, 3)), labels=np.zeros(0, np.int64), binary=binary_in)
    answered = run("infer", "gradient", given, outputs=wanted("loss", "gradient", binary=binary_out))
    assert answered.as_numpy("loss").tolist() == [0]
    assert answered.as_numpy("gradient").shape == (0, 3)


def test_ids_versions_and_own_parameters(run: Run) -> None:
    """The id is echoed, the version can be named, and what the client sends of itself changes nothing."""
    own = {"sequence_id": 5, "sequence_start": True, "sequence_end": True, "priority": 2, "timeout": 1_000_000}
    given = tensors(logits=LOGITS, labels=LABELS)
    answered = run("infer", "loss", given, model_version="1", request_id="row 7 [é]", **own)
    response = answered.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("row 7 [é]", "loss", "1")
    assert answered.as_numpy("loss").tolist() == run("infer", "loss", given).as_numpy("loss").tolist()


def test_parameters_are_options(run: Run) -> None:
    """Options travel as parameters, and the reply's parameters tell what was applied and the summary."""
    parameters = {"temperature": 2.0, "reduction": "sum", "dtype": "float64"}
    answered = run("infer", "loss", tensors(logits=LOGITS, labels=LABELS), parameters=parameters)
    assert answered.as_numpy("loss").dtype == np.float64
    told = answered.get_response()["parameters"]
    assert json.loads(told["applied"]).items() >= parameters.items()
    assert json.loads(told["summary"])["example_count"] == 2


def test_async_infer(host: str) -> None:
    """Several requests of the sync client's asynchronous call are under way at once."""
    with triton.InferenceServerClient(host, concurrency=4) as client:
        pending = [client.async_infer("softmax", tensors(logits=LOGITS * scale)) for scale in range(8)]
        answered = [each.get_result().as_numpy("probabilities") for each in pending]
    assert [float(each[1, 0]) for each in answered[:2]] == [0.5, float(np.float32(0.26894143))]


REFUSED: list[tuple[str, str, str, dict[str, Any], str]] = [
    ("404", "no such model", "infer", {"model_name": "nope", "inputs": tensors(logits=LOGITS)}, "no such model"),
    ("404", "no such version", "infer",
     {"model_name": "loss", "model_version": "3", "inputs": tensors(logits=LOGITS)}, "no such version"),
    ("404", "metadata of no model", "get_model_metadata", {"model_name": "nope"}, "no such model"),
    ("404", "configuration of no model", "get_model_config", {"model_name": "nope"}, "no such model"),
    ("404", "statistics of no model", "get_inference_statistics", {"model_name": "nope"}, "no such model"),
    ("422", "no labels", "infer", {"model_name": "loss", "inputs": tensors(logits=LOGITS)}, "labels"),
    ("422", "a misspelt parameter", "infer",
     {"model_name": "softmax", "inputs": tensors(logits=LOGITS), "parameters": {"temprature": 2}}, "temperature"),
    ("422", "NaN", "infer", {"model_name": "softmax", "inputs": tensors(logits=LOGITS * np.nan)}, "logits"),
    ("422", "an output that there is not", "infer",
     {"model_name": "softmax", "inputs": tensors(logits=LOGITS), "outputs": wanted("loss")}, "include"),
    ("422", "strings", "infer",
     {"model_name": "softmax", "inputs": tensors(logits=np.array([["a"]], np.object_))}, "logits"),
    ("501", "classification", "infer",
     {"model_name": "softmax", "inputs": tensors(logits=LOGITS),
      "outputs": [triton.InferRequestedOutput("probabilities", class_count=1)]}, "not offered"),
    *(("501", method, method, arguments, "not offered") for method, arguments in (
        ("load_model", {"model_name": "loss"}), ("unload_model", {"model_name": "loss"}),
        ("get_system_shared_memory_status", {}), ("get_system_shared_memory_status", {"region_name": "r"}),
        ("register_system_shared_memory", {"name": "r", "key": "/r", "byte_size": 8}),
        ("unregister_system_shared_memory", {}), ("unregister_system_shared_memory", {"name": "r"}),
        ("get_cuda_shared_memory_status", {}), ("get_cuda_shared_memory_status", {"region_name": "r"}),
        ("register_cuda_shared_memory", {"name": "r", "raw_handle": b"", "device_id": 0, "byte_size": 8}),
        ("unregister_cuda_shared_memory", {}), ("unregister_cuda_shared_memory", {"name": "r"}),
        ("get_trace_settings", {}), ("get_trace_settings", {"model_name": "loss"}),
        ("update_trace_settings", {}), ("update_trace_settings", {"model_name": "loss"}),
        ("get_log_settings", {}), ("update_log_settings", {"settings": {}}))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "method", "arguments", "word"),
    [pytest.param(status, *rest, id=f"{name} {number}") for number, (status, name, *rest) in enumerate(REFUSED)],
)
def test_errors_are_readable(run: Run, status: str, method: str, arguments: dict[str, Any], word: str) -> None:
    """What is refused raises the client's own exception, with the status and a message that says why."""
    with pytest.raises(InferenceServerException) as caught:
        run(method, **arguments)
    assert caught.value.status() == status
    assert word in caught.value.message()
    assert "exception occurred in the client" not in caught.value.message()
