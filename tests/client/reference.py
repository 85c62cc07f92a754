"""Write the reference of the client, `client/REFERENCE.md`, from its sources: `make reference` puts it in place.

The sources are read, not imported, because adaptors import their frameworks.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "client" / "gradient_client"
PREFACE = """# Reference of gradient-client

Made from the docstrings by `make reference`. The [README](README.md) shows how things are used.

`AsyncGradientClient` has the methods of `GradientClient`, awaited; its `close` is called `aclose`, and its transport is
an async function.
"""
# Which classes and functions are shown, by the modules in which they stand; None is all that are public.
SECTIONS: dict[str, list[tuple[str, list[str] | None]]] = {
    "The client": [("_client", ["GradientClient"]), ("_retry", ["Retry"])],
    "Options": [
        (
            "_options",
            [
                "SharedOptions", "RowOptions", "SoftmaxOptions", "ObjectiveOptions", "LossOptions", "DerivativeOptions",
                "GradientOptions", "CheckOptions",
            ],
        )
    ],
    "Results": [("results", None), ("_records", ["Result", "Meta", "Attempt", "Fault"]), ("reports", None)],
    "Errors": [("errors", None)],
    "Events and transports": [("_events", ["Event"]), ("_transport", ["HttpRequest", "HttpReply"])],
    "gradient_client.testing": [("testing", None), ("_fake_service", ["FakeService", "FakeRequest"])],
    "gradient_client.torch": [("torch", None)],
    "gradient_client.jax": [("jax", None)],
    "gradient_client.boosting": [("boosting", None)],
    "gradient_client.sklearn": [("sklearn", None)],
}  # fmt: skip

Documented = ast.ClassDef | ast.FunctionDef


def reference() -> str:
    """The whole document."""
    parts = [PREFACE]
    for title, modules in SECTIONS.items():
        parts.append(f"## {title}\n")
        for module, names in modules:
            tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
            if names is None:
                parts.append(block(ast.get_docstring(tree) or ""))
            parts += [entry(node) for node in chosen(tree, names)]
    return "\n".join(parts)


def chosen(tree: ast.Module, names: list[str] | None) -> Iterator[Documented]:
    """The definitions to be shown, in the order of their names or else of the source."""
    found = {node.name: node for node in tree.body if isinstance(node, Documented)}
    for name in names or found:
        if not name.startswith("_"):
            yield found[name]


def entry(node: Documented) -> str:
    """A class with its attributes and methods, or a function."""
    text = f"### {node.name}\n\n"
    if isinstance(node, ast.FunctionDef):
        return text + block(f"{signature(node)}\n\n{ast.get_docstring(node)}")
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    text += block(f"class {node.name}({bases})\n\n{ast.get_docstring(node)}".replace("()", ""))
    text += "".join(f"- `{name}: {kind}`: {said}\n" for name, kind, said in attributes(node))
    for method in methods(node):
        text += f"\n#### {node.name}.{method.name}\n\n"
        text += block(f"{signature(method)}\n\n{ast.get_docstring(method)}")
    return text


def attributes(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Name, type and text of each attribute that has a text below it."""
    for attribute, text in pairwise(node.body):
        if isinstance(attribute, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield (
                ast.unparse(attribute.target),
                ast.unparse(attribute.annotation),
                " ".join(str(text.value.value).split()),
            )


def methods(node: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """Public methods and properties."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
            yield item


def signature(function: ast.FunctionDef) -> str:
    """Name, arguments without the first of a method, and what is returned."""
    arguments = ast.unparse(function.args).removeprefix("self").removeprefix("cls").removeprefix(", ")
    answer = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"{function.name}({arguments}){answer}"


def block(text: str) -> str:
    """Text as it stands."""
    return f"```text\n{inspect.cleandoc(text)}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
