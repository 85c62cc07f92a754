"""Options as JSON says them: Python's values, without null and without numbers that no float64 holds."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from gradient_service.core.errors import MAX_FOUND, Fault
from gradient_service.wire.json_faults import beyond, is_beyond, is_null
from gradient_service.wire.json_grammar import Path


def present_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Return the options that have a value, and what is wrong with the others."""
    if not options:
        return {}, []
    nulls = [is_null(name) for name, value in options.items() if value is None]
    far = (beyond(name, place) for name, value in options.items() for place in _beyond(value, ()))
    faults = [*islice(far, MAX_FOUND), *nulls]
    return {name: value for name, value in options.items() if value is not None}, faults


def _beyond(value: Any, path: Path) -> Iterator[Path]:
    """Yield where in a value a number stands that no float64 holds."""
    if is_beyond(value):
        yield path
    elif isinstance(value, list | dict):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for part, inner in parts:
            yield from _beyond(inner, (*path, part))
