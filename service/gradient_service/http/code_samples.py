"""An example as others would send it: with curl, and from Python by the client."""

import json
from typing import Any

ADDRESS = "http://127.0.0.1:8000"
"""Where `make run` serves."""


def of_call(operation: str, request: dict[str, Any]) -> str:
    """Return as Markdown how a request of a native call is sent."""
    return _blocks(sh=_curl(f"/{operation}", request), python=_python(operation, request))


def of_inference(example: dict[str, Any]) -> str:
    """Return as Markdown how an example of the Open Inference Protocol is sent; its own clients speak that best."""
    answer = example["answer"]
    path = answer.get("instance") or f"/v2/models/{answer['model_name']}/infer"
    return _blocks(sh=_curl(path, example["request"]))


def _curl(path: str, request: dict[str, Any]) -> str:
    """Return a line for a shell."""
    body = json.dumps(request).replace("'", "'\\''")
    return f"curl {ADDRESS}{path} -H 'Content-Type: application/json' -d '{body}'"


def _python(operation: str, request: dict[str, Any]) -> str:
    """Return a program that makes the same call by the client, which takes what is claimed as arguments like others.

    A claim in JSON counts as numbers of the call's dtype, an array as numbers of its own.
    """
    fields = {name: value for name, value in request.items() if name not in {"logits", "claimed"}}
    arguments = [repr(request["logits"]), *(f"{name}={value!r}" for name, value in fields.items())]
    dtype = request.get("dtype")
    for name, value in request.get("claimed", {}).items():
        arguments.append(f"{name}=np.array({value!r}, np.{dtype})" if dtype else f"{name}={value!r}")
    lines = [
        *(["import numpy as np"] if dtype and "claimed" in request else []),
        "from gradient_client import GradientClient",
        "",
        f'with GradientClient("{ADDRESS}") as client:',
        f"    result = client.{operation}({', '.join(arguments)})",
        "print(result)",
    ]
    return "\n".join(lines)


def _blocks(**samples: str) -> str:
    """Return samples by language as Markdown."""
    return "\n\n".join(f"```{language}\n{sample}\n```" for language, sample in samples.items())
