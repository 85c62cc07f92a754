"""The command line: `gradient-service serve`, `score`, `openapi`, `limits`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from gradient_service import __version__
from gradient_service.app import create_app
from gradient_service.http.example_files import binary_files
from gradient_service.http.limits import limits_of
from gradient_service.scoring.command import add_score, count, score_files
from gradient_service.server.serving import listen, serve
from gradient_service.settings import Settings, usual_workers

LOOPBACK = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name."""
    options = _parser().parse_args(arguments)
    if options.command == "serve":
        _serve(options)
    elif options.command == "score":
        score_files(options)
    elif options.command == "openapi":
        _print_json(create_app(Settings.model_construct()).openapi())
        if options.examples is not None:
            _write_files(options.examples, binary_files())
    else:
        _print_json(limits_of(_settings()))


def _serve(options: argparse.Namespace) -> None:
    given = {"host": options.host, "workers": options.workers}
    settings = _settings(**{name: value for name, value in given.items() if value is not None})
    settings = settings.model_copy(update={"host": settings.host or LOOPBACK})
    try:
        listener = listen(settings.host, options.port)
    except (OSError, UnicodeError) as error:
        # Behind the bracket the address is told once more.
        reason = str(error.strerror).partition(" (")[0] if isinstance(error, OSError) else "there is no such name"
        sys.exit(f"{settings.host}:{options.port} cannot be listened on: {reason}.")
    serve(settings, listener)


def _settings(**given: Any) -> Settings:
    """Return the settings of the environment, of as many workers as usual; end with a line for each that is wrong."""
    try:
        settings = Settings(**given)
        return settings if "workers" in settings.model_fields_set else Settings(**given, workers=usual_workers())
    except ValidationError as error:
        lines = [
            f"GRADIENT_{str(fault['loc'][0]).upper()}: {fault['msg']}."
            for fault in error.errors()
            if fault["type"] != "default_factory_not_called"  # which follows from another one
        ]
        sys.exit("\n".join(lines))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradient-service", description="Softmax, cross-entropy and gradients over HTTP."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve until told to stop; settings are GRADIENT_… variables")
    serving.add_argument("--host", help=f"by default {LOOPBACK}, or GRADIENT_HOST")
    serving.add_argument("--port", type=port, default=8000)
    serving.add_argument(
        "--workers", type=count, help="by default one a core with 1 GiB for its calls, or GRADIENT_WORKERS"
    )
    add_score(commands)
    describing = commands.add_parser("openapi", help="print the OpenAPI document")
    describing.add_argument("--examples", type=Path, metavar="FOLDER", help="write its binary examples there")
    commands.add_parser("limits", help="print the limits in force")
    return parser


def port(text: str) -> int:
    """Return the number of a TCP port."""
    number = int(text)
    if not 0 <= number < 2**16:
        raise ValueError
    return number


def _write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _print_json(content: object) -> None:
    sys.stdout.write(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
