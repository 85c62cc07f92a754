"""The servers that are compared, how each is started, and which dialects it speaks.

Each is started as its own documentation starts it, and may use every core: the service with one worker a core, the
others with one process that computes; MLServer computes in the process that serves, which needs no second one. Rivals
write no line for each request where they can be told so; the service does.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.http.dialects import (
    Dialect,
    native_json,
    nothing,
    open_inference_binary,
    open_inference_json,
    safetensors,
)
from benchmarks.rivals.environments import python_of
from tests.contract.serving import free_port

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"
OURS, PROBE, FLOOR = "this service", "probe", "floor"


@dataclass(frozen=True)
class Start:
    """A command, and the variables that it wants."""

    command: list[str]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server by name."""

    name: str
    start: Callable[[Path, int], Start]
    """From an interpreter and a port."""
    json: Dialect = field(default_factory=native_json)
    binary: Dialect | None = None
    environment: str = ""
    """The folder here that says what it needs; none where it needs what the service needs."""

    @property
    def is_rival(self) -> bool:
        """Whether it is one that a user would take instead."""
        return self.name not in {OURS, PROBE, FLOOR}

    def python(self) -> Path:
        """The interpreter of its environment."""
        if not self.environment:
            return Path(sys.executable)
        return python_of(self.environment, HERE / self.environment / "requirements.txt")


def _ours(python: Path, port: int) -> Start:
    command = [str(python), "-m", "gradient_service", "serve", "--host", LOOPBACK, "--port", str(port)]
    return Start(command, {"GRADIENT_READINESS_LEAD_SECONDS": "0"})


def _uvicorn(module: str) -> Callable[[Path, int], Start]:
    def start(python: Path, port: int) -> Start:
        options = ["--host", LOOPBACK, "--port", str(port), "--no-access-log", "--log-level", "warning"]
        return Start([str(python), "-m", "uvicorn", f"benchmarks.rivals.{module}:app", *options])

    return start


def _module(module: str) -> Callable[[Path, int], Start]:
    return lambda python, port: Start([str(python), "-m", f"benchmarks.rivals.{module}", str(port)])


def _bentoml(python: Path, port: int) -> Start:
    service = "benchmarks.rivals.bentoml.service:Gradient"
    command = [str(python), "-m", "bentoml", "serve", service, "--host", LOOPBACK, "--port", str(port), "--quiet"]
    return Start(command, {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(python.parents[1] / "home")})


def _mlserver(python: Path, port: int) -> Start:
    settings = {"HOST": LOOPBACK, "DEBUG": "false", "PARALLEL_WORKERS": "0", "HTTP_PORT": port}
    settings |= {"GRPC_PORT": free_port(), "METRICS_PORT": free_port()}
    command = [str(python.with_name("mlserver")), "start", str(HERE / "mlserver")]
    return Start(command, {f"MLSERVER_{name}": str(value) for name, value in settings.items()})


SERVERS = (
    Server(OURS, _ours, binary=safetensors()),
    Server(
        "Triton 2.51, Python model",
        _module("triton"),
        open_inference_json("gradient_fp64"),
        open_inference_binary("gradient_fp32"),
        environment="triton",
    ),
    Server("MLServer 1.7.1", _mlserver, open_inference_json("gradient"), environment="mlserver"),
    Server("LitServe 0.2.19", _module("litserve.app"), environment="litserve"),
    Server("BentoML 1.4.39", _bentoml, environment="bentoml"),
    Server("Ray Serve 2.60.0", _module("ray.app"), environment="ray"),
    Server("FastAPI, the usual way", _uvicorn("usual")),
    Server("FastAPI, async def", _uvicorn("usual"), native_json("/async/gradient")),
    Server(PROBE, _uvicorn("probe"), binary=safetensors()),
    Server(FLOOR, _uvicorn("floor"), nothing(native_json()), nothing(safetensors())),
)
