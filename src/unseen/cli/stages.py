"""Commands that run the stages of a configuration: `run`, `simulate`, `train`, `report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from unseen.cli.options import (
    ClusterOption,
    Command,
    ConfigArgument,
    ConfigOption,
    JsonOption,
    OutOption,
    QuietOption,
    SeedOption,
    WorkersOption,
    chosen,
    finish,
)

__all__ = ["COMMANDS"]


def _stages(
    until: str,
    path: Path,
    out: Path | None,
    seed: int | None,
    workers: int | None,
    cluster: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    from unseen.config import load_config
    from unseen.pipeline import run
    from unseen.report import beside, ignored, nuisances, verdict

    result = run(path, out=out, seed=seed, workers=workers, cluster=cluster, quiet=quiet, until=until)
    folder = out or load_config(path).out
    summary: dict[str, Any] = {"out": str(folder)}
    if result is not None:
        content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        summary |= {name: content[name] for name in ("p_value", "z", "z_interval", "p_resolution", "converged")}
        if not quiet and not as_json:
            said = (verdict(content), beside(content), ignored(content), nuisances(content))
            typer.echo("\n".join(line for line in said if line))
    if until == "report":
        summary["report"] = str(folder / "report.html")
        if not quiet and not as_json:
            typer.echo(f"page: {folder / 'report.html'}")
    finish(summary, as_json)


def _stage(name: str, until: str, text: str) -> Command:
    def command(
        config: ConfigArgument = None,
        config_option: ConfigOption = None,
        out: OutOption = None,
        seed: SeedOption = None,
        workers: WorkersOption = None,
        cluster: ClusterOption = None,
        quiet: QuietOption = False,
        as_json: JsonOption = False,
    ) -> None:
        _stages(until, chosen(config, config_option), out, seed, workers, cluster, quiet, as_json)

    return Command(command, f"{text}\n\nExample: unseen {name} examples/quickstart.yaml --out runs/quickstart")


COMMANDS = {
    "run": _stage(
        "run", "report", "Run everything: simulate, train, embed, search, report. Unchanged stages are kept."
    ),
    "simulate": _stage(
        "simulate", "simulate", "Make the simulated events of a configuration, or finish what was started."
    ),
    "train": _stage("train", "train", "Run up to the training of the embedding."),
    "report": _stage("report", "report", "Write the page again; earlier stages are kept where nothing changed."),
}
