"""The layer table: who may import whom, read from the sources and enforced."""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service" / "gradient_service"
CLIENT = ROOT / "client" / "gradient_client"
CHECKING = "gradient_service.core.checking"


@dataclass(frozen=True)
class Layer:
    """What a layer may import, besides itself and the standard library."""

    above: frozenset[str]
    packages: frozenset[str]


def layer(above: str = "", packages: str = "") -> Layer:
    """Write one row of the table: two lists of names, separated by spaces."""
    return Layer(frozenset(above.split()), frozenset(packages.split()))


# A module belongs to the layer that its first name after `gradient_service` says.
# Absent on purpose: `wire` above `operations`, which know no bytes, and `settings` above both, which are told
# what they need.
LAYERS = {
    "__init__": layer(),
    "core": layer(packages="numpy"),
    "machine": layer(),
    "settings": layer("machine", "pydantic pydantic_settings"),
    "schemas": layer("core", "numpy pydantic pydantic_core"),
    "wire": layer("core schemas", "numpy orjson simdjson"),
    "operations": layer("core schemas", "numpy"),
    "http": layer(
        "core settings schemas wire operations",
        "numpy orjson pydantic pydantic_core anyio fastapi starlette prometheus_client opentelemetry",
    ),
    "scoring": layer("core machine schemas wire operations", "numpy orjson pydantic pyarrow ray tqdm"),
    "app": layer("core settings schemas wire operations http", "fastapi starlette pydantic"),
    "server": layer(
        "core settings schemas wire operations http app",
        "fastapi starlette uvicorn httptools prometheus_client opentelemetry",
    ),
    "ray_serve": layer("app http schemas settings", "fastapi ray starlette"),
    "cli": layer(
        "core settings schemas wire operations http scoring app server", "orjson pydantic fastapi starlette uvicorn"
    ),
    "__main__": layer("cli"),
}


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    path: Path
    line: int
    module: str
    is_lazy: bool
    is_for_types: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def module_name(path: Path, package: Path) -> str:
    """Dotted name of a source file, as it is imported."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_named(node: ast.AST, path: Path, package: Path) -> list[str]:
    """List the modules that an import statement names, relative ones made absolute."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    origin = node.module or ""
    if node.level:
        here = path.relative_to(package.parent).parts[: -node.level]
        origin = ".".join([*here, origin]).rstrip(".")
    # `from package import module` names a module too; a name that is no file is part of `origin`.
    inside = [f"{origin}.{alias.name}" for alias in node.names]
    files = [name for name in inside if is_module(name, package)]
    return files or [origin]


def is_module(name: str, package: Path) -> bool:
    """Whether a dotted name is a source file or folder of the package."""
    place = package.parent.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def is_function(node: ast.AST) -> bool:
    """Whether what stands inside runs later, when it is called."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def is_type_checking(node: ast.AST) -> bool:
    """Whether what stands inside is read by type checkers and never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def nodes_inside(tree: ast.AST, is_wanted: Callable[[ast.AST], bool]) -> set[ast.AST]:
    """Collect everything below the wanted nodes of a tree."""
    return {inner for outer in ast.walk(tree) if is_wanted(outer) for inner in ast.walk(outer)}


@cache
def imports_of(package: Path) -> tuple[Import, ...]:
    """Every import in the sources of a package."""
    return tuple(found_imports(package))


def found_imports(package: Path) -> Iterator[Import]:
    """The same, one after the other."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lazy = nodes_inside(tree, is_function)
        for_types = nodes_inside(tree, is_type_checking)
        for node in ast.walk(tree):
            for module in modules_named(node, path, package):
                line = getattr(node, "lineno", 0)
                yield Import(path, line, module, is_lazy=node in lazy, is_for_types=node in for_types)


def layer_of(path: Path) -> str:
    """Name of the layer that a file of the service belongs to."""
    return path.relative_to(SERVICE).with_suffix("").parts[0]


def is_allowed(found: Import) -> bool:
    """Whether the table allows an import."""
    own = layer_of(found.path)
    top, _, rest = found.module.partition(".")
    if top == SERVICE.name:
        target = rest.partition(".")[0] or "__init__"
        return target in {own, "__init__"} or target in LAYERS[own].above
    return top in sys.stdlib_module_names or top in LAYERS[own].packages


def test_every_module_has_a_layer() -> None:
    """Each file of the service belongs to a row of the table."""
    unknown = {str(path.relative_to(ROOT)) for path in SERVICE.rglob("*.py") if layer_of(path) not in LAYERS}
    assert not unknown


@pytest.mark.parametrize("name", LAYERS)
def test_layer_imports_only_what_stands_above(name: str) -> None:
    """A layer imports itself, the rows above it, its own third parties, and nothing else."""
    found = [item for item in imports_of(SERVICE) if layer_of(item.path) == name]
    assert [str(item) for item in found if not is_allowed(item)] == []


@pytest.mark.parametrize("package", [SERVICE, CLIENT], ids=["service", "client"])
def test_modules_import_one_way(package: Path) -> None:
    """Importing a module never comes back to it in a circle."""
    graph: dict[str, set[str]] = {}
    for item in imports_of(package):
        runs_at_import = not (item.is_lazy or item.is_for_types)
        if item.module.startswith(f"{package.name}.") and runs_at_import:
            graph.setdefault(module_name(item.path, package), set()).add(item.module)
    list(TopologicalSorter(graph).static_order())


def test_numbers_do_not_know_the_check() -> None:
    """Within `core/`, only the check's own modules import it: the reference never depends on what it judges."""
    core, inside = SERVICE / "core", SERVICE / "core" / "checking"
    named = [item for item in imports_of(SERVICE) if item.module.startswith(CHECKING)]
    assert [str(item) for item in named if core in item.path.parents and inside not in item.path.parents] == []


def test_service_never_imports_client() -> None:
    """The service does not know its client."""
    assert [str(item) for item in imports_of(SERVICE) if item.module.startswith(CLIENT.name)] == []


def test_client_imports_service_only_when_asked() -> None:
    """The client names the service inside functions only, for calls without a network."""
    named = [item for item in imports_of(CLIENT) if item.module.startswith(SERVICE.name)]
    assert [str(item) for item in named if not item.is_lazy] == []


def test_http_library_stays_in_two_client_files() -> None:
    """At most two files of the client import httpx, so that its successor is a small change."""
    files = {item.path.name for item in imports_of(CLIENT) if item.module.partition(".")[0] == "httpx"}
    assert len(files) <= 2, sorted(files)
