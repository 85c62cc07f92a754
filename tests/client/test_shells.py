"""The package as a whole: twin shells, one-way imports, exports, import cost, types."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import assert_type

import numpy as np
import pytest
from numpy.typing import NDArray

import gradient_client
from gradient_client import (
    AsyncGradientClient,
    GradientClient,
    GradientResult,
    Limits,
    LossResult,
    SoftmaxResult,
)

from .conftest import Script, gradient_reply

PACKAGE = Path(gradient_client.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
ADAPTORS = {"boosting", "jax", "sklearn", "torch"}


class WithoutAsync(ast.NodeTransformer):
    """Turns asynchronous code into the synchronous code it would be."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """A function is a function."""
        self.generic_visit(node)
        return ast.copy_location(ast.FunctionDef(**dict(ast.iter_fields(node))), node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        """What is awaited is what is called."""
        self.generic_visit(node)
        return node.value


# Names and words that say which of the two a shell is, and nothing else.
TWIN_NAMES = {
    "asynchronous shell": "synchronous shell",
    "an async function": "a function",
    "_async_httpx": "_httpx",
    "async_pause": "pause",
    "async_run_together": "run_together",
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "Async": "",
}


def normalised(name: str) -> str:
    """A shell's code without async, await and comments, its names those of the synchronous one."""
    source = (PACKAGE / name).read_text()
    for asynchronous, synchronous in TWIN_NAMES.items():
        source = source.replace(asynchronous, synchronous)
    tree = WithoutAsync().visit(ast.parse(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            node.names.sort(key=lambda alias: alias.name)
    # Each class introduces itself in one sentence of its own.
    return re.sub(r"A client of the gradient service[^\n]*", "", ast.unparse(tree))


def test_shells_differ_only_by_async() -> None:
    """Apart from async, await and the names that say so, both shells are the same code."""
    assert normalised("_client.py") == normalised("_async_client.py")


def test_shells_have_the_same_methods() -> None:
    """Every public method of one client is one of the other."""
    sync = {name for name in dir(GradientClient) if not name.startswith("_")}
    asynchronous = {name for name in dir(AsyncGradientClient) if not name.startswith("_")}
    assert sync - {"close"} == asynchronous - {"aclose"}


def imports(path: Path) -> set[str]:
    """The top-level packages a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_httpx_stays_in_two_files() -> None:
    """The HTTP library is imported in two files, so that its successor is a small change."""
    libraries = {"httpx", "httpcore"}
    assert [path.name for path in MODULES if libraries & imports(path)] == ["_async_httpx.py", "_httpx.py"]


def test_frameworks_stay_in_their_adaptors() -> None:
    """Nothing but httpx, its httpcore, and NumPy is needed; a framework is imported by its adaptor, that by nothing.

    OpenTelemetry is the caller's, where there is one (`_spans.py`).
    """
    others = {name for path in MODULES if path.stem not in ADAPTORS for name in imports(path)}
    allowed = {"anyio", "gradient_client", "gradient_service", "httpcore", "httpx", "numpy", "opentelemetry", "tqdm"}
    assert others - set(sys.stdlib_module_names) - {""} <= allowed
    sources = "".join(path.read_text() for path in MODULES)
    assert not re.search(rf"from \.({'|'.join(ADAPTORS)}) import|from \. import", sources)


def test_core_knows_no_event_loop() -> None:
    """Only the files that wait import an event loop, and one of them the service, when it is asked for."""
    waiting = {path.name for path in MODULES if imports(path) & {"anyio", "asyncio", "trio"}}
    assert waiting == {"_async_httpx.py", "_in_process.py", "_pause.py", "_together.py"}
    assert [path.name for path in MODULES if "gradient_service" in imports(path)] == ["_in_process.py"]


def test_modules_stay_small() -> None:
    """No file grows past 250 lines."""
    assert all(len(path.read_text().splitlines()) <= 250 for path in MODULES)


def test_exports() -> None:
    """Everything public is listed, in order, and says what it is."""
    assert gradient_client.__all__ == sorted(gradient_client.__all__, key=lambda name: name.strip("_"))
    public = {name for name in vars(gradient_client) if not name.startswith("_")}
    modules = {path.stem for path in MODULES}
    assert public - modules == set(gradient_client.__all__) - {"__version__"}


def test_import_cost() -> None:
    """Importing costs few modules beyond NumPy's, and not the HTTP library."""
    code = (
        "import json, sys, numpy, gradient_client;"
        "print(json.dumps([len(sys.modules), 'httpx' in sys.modules, 'asyncio' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    modules, httpx, asyncio = json.loads(done.stdout)
    assert modules <= 250
    assert not httpx
    assert not asyncio


def test_types() -> None:
    """A type checker sees what each method returns; at run time the calls below happen."""
    with GradientClient("http://service.test", transport=Script([gradient_reply()])) as client:
        result = client.gradient([[1.0, 2.0], [3.0, 0.5]], [0, 1], reduction="mean", include=None)
        assert_type(result, GradientResult)
        assert_type(result.loss, float)
        assert_type(result.gradient, NDArray[np.floating])
        assert_type(result.summary.loss_tail, tuple[float, ...])


async def typed_sample(client: AsyncGradientClient) -> None:
    """Never run: only for the type checker, which must see through the awaited twins."""
    assert_type(await client.softmax([[1.0]]), SoftmaxResult)
    assert_type(await client.loss([[1.0]], targets=[[1.0]], denominator="batch"), LossResult)
    assert_type(await client.limits(), Limits)
    assert_type((await client.limits()).max_elements, int)
    await client.softmax([[1.0]], include=["probs"])  # type: ignore[list-item] # a word that does not exist


@pytest.mark.parametrize("path", [PACKAGE / "py.typed"])
def test_marker(path: Path) -> None:
    """The package tells type checkers that it is typed."""
    assert path.exists()
