"""Texts to fill in: pages, and what the OpenAPI document says at length."""

from functools import cache
from importlib.resources import files
from string import Template

FOLDER = files("gradient_service.http") / "templates"


@cache
def template(name: str) -> Template:
    """Return a text with a name for each thing that it leaves open."""
    return Template((FOLDER / name).read_text(encoding="utf-8"))
