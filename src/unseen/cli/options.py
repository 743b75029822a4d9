"""Options that commands share, and what all of them do with them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from unseen.errors import ConfigError

__all__ = [
    "ClusterOption",
    "Command",
    "ConfigArgument",
    "ConfigOption",
    "JsonOption",
    "OutOption",
    "QuietOption",
    "SeedOption",
    "ThreadsClusterOption",
    "ThreadsOption",
    "WorkersOption",
    "chosen",
    "finish",
    "named_values",
    "use_threads",
]


class Command(NamedTuple):
    """A function whose annotated arguments are the arguments of a command, and the command's help."""

    work: Callable[..., None]
    help: str


ConfigArgument = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="The YAML configuration.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="The same, as an option.")]
OutOption = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; overrides the configuration.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Root seed; overrides the configuration.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Processes to use; default: all cores.")]
ThreadsOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads, or with --cluster workers; default: all.")
]
ON_A_CLUSTER = (
    "Work on a Dask cluster: local, slurm, htcondor, or a scheduler's address or file. "
    "E.g. --cluster tcp://host:8786, or --cluster slurm --workers 100. Default: "
)
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="WHERE", help=f"{ON_A_CLUSTER}processes of this machine.")
]
ThreadsClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="WHERE", help=f"{ON_A_CLUSTER}threads of this process.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")]
JsonOption = Annotated[bool, typer.Option("--json", help="A machine-readable summary as the last line of output.")]


def chosen(argument: Path | None, option: Path | None) -> Path:
    """The configuration that was named, as an argument or as an option. Errors: ConfigError (none, or two)."""
    path = argument if argument is not None else option
    if path is None or (argument is not None and option is not None and argument != option):
        raise ConfigError("name one configuration file, e.g. 'unseen run examples/quickstart.yaml'")
    return path


def named_values(text: str, option: str) -> dict[str, float]:
    """The numbers of ``name=value,name=value``. Errors: ConfigError.

    >>> named_values("jet-scale=0.5, lumi=-1", "--auxiliary")
    {'jet-scale': 0.5, 'lumi': -1.0}
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        number = _number(value)
        if not (name and equals) or number is None:
            raise ConfigError(f"{option} '{part.strip()}': expected NAME=VALUE with a number, e.g. jet-scale=0.5")
        if name in found:
            raise ConfigError(f"{option} names '{name}' twice")
        found[name] = number
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def use_threads(count: int | None) -> None:
    """Let torch use so many threads; None leaves it as it is."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


def finish(summary: dict[str, Any], as_json: bool) -> None:
    """Print the summary as the last line, if it was asked for."""
    if as_json:
        typer.echo(json.dumps(summary, sort_keys=True))
