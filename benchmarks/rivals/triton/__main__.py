"""Starts Triton with the model, once for each dtype: `python -m benchmarks.rivals.triton PORT`, in its environment.

The package brings the server's binary, its Python backend and, for each version of Python, the program that runs a
model; the server wants the last two in one folder. That program finds its environment by the first `python3` on the
path, and reads no other variable of Python's, so that the maths are copied beside the model.
"""

import os
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

from benchmarks.rivals import maths

CONFIG = """
backend: "python"
max_batch_size: 0
input [
  {{ name: "logits", data_type: TYPE_{dtype}, dims: [-1, -1] }},
  {{ name: "labels", data_type: TYPE_INT64, dims: [-1] }}
]
output [
  {{ name: "loss", data_type: TYPE_{dtype}, dims: [1] }},
  {{ name: "gradient", data_type: TYPE_{dtype}, dims: [-1, -1] }}
]
instance_group [{{ kind: KIND_CPU, count: 1 }}]
"""
SITE = Path(str(distribution("nvidia-pytriton").locate_file("")))
SERVER = SITE / "pytriton" / "tritonserver"


def fill(folder: Path) -> None:
    """Write the repository of models and the folder of backends."""
    for dtype in ("FP32", "FP64"):
        model = folder / "models" / f"gradient_{dtype.lower()}"
        package = model / "1" / "benchmarks" / "rivals"
        package.mkdir(parents=True)
        (model / "config.pbtxt").write_text(CONFIG.format(dtype=dtype))
        shutil.copy(Path(__file__).with_name("model.py"), model / "1")
        shutil.copy(maths.__file__, package)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(SERVER / "backends", folder / "backends")
    shutil.copy(
        SERVER / "python_backend_stubs" / version / "triton_python_backend_stub", folder / "backends" / "python"
    )


def serve(folder: Path, port: int) -> None:
    """Become the server."""
    program = str(SERVER / "bin" / "tritonserver")
    options = [f"--model-repository={folder / 'models'}", f"--backend-directory={folder / 'backends'}"]
    options += ["--http-address=127.0.0.1", f"--http-port={port}", "--allow-grpc=false", "--allow-metrics=false"]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"LD_LIBRARY_PATH": str(SITE / "nvidia_pytriton.libs"), "PATH": path}
    os.execve(program, [program, *options], environment)  # noqa: S606 - the binary that its package brings


if __name__ == "__main__":
    place = Path(sys.prefix) / "served"
    shutil.rmtree(place, ignore_errors=True)
    fill(place)
    serve(place, int(sys.argv[1]))
