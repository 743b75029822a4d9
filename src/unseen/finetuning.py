"""What `unseen finetune` does, without the command line: from a model and files of events to a fine-tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from unseen.config import read_yaml
from unseen.embed import FineTuneConfig, FineTuned, Model, fine_tune
from unseen.embed.probes.mixture import shares_of
from unseen.errors import ConfigError, NotEnoughEventsError, NuisanceError, UnknownNameError
from unseen.events import Events, read
from unseen.events.atomic import write_whole
from unseen.events.selection import passes, remove_objects
from unseen.mistakes import mistakes
from unseen.report.figures.fine_tuning import fine_tuning_figure
from unseen.report.style import hep_style
from unseen.systematics import NuisanceSet, SystematicsConfig

__all__ = ["FIGURE", "finetune_files", "in_shares", "read_systematics"]

FIGURE = "fine_tuning.svg"
KEYS = ("nuisances", "fine_tune")


@dataclass(frozen=True)
class _Settings:
    """The two parts of the YAML file."""

    nuisances: NuisanceSet
    config: FineTuneConfig


def finetune_files(
    model: Path,
    files: list[str],
    systematics: Path,
    out: Path,
    mixture: Mapping[str, float] | None,
    seed: int,
    progress: bool,
) -> tuple[FineTuned, dict[str, Any]]:
    """Fine-tune the model in a folder and draw its history; returns it, and a summary.

    `files`: FILE, or NAME=FILE for another name of its process; stored, not selected. Errors: those of `fine_tune`,
    ConfigError (the YAML file).
    """
    chosen = read_systematics(systematics)
    trained = Model.load(model)
    events = Events.concatenate([_named(text, trained) for text in files])
    if mixture is not None:
        events = in_shares(events, mixture)
    tuned = fine_tune(trained, events, chosen.nuisances, chosen.config, out, seed, progress)
    with write_whole(out / FIGURE) as temporary, hep_style("fine-tuning"):
        figure = fine_tuning_figure(tuned.history).figure
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    report = tuned.ratio.report
    return tuned, {
        "out": str(out),
        "events": len(events),
        "nuisances": list(chosen.nuisances.names),
        "epochs": len(tuned.history),
        **{name: report[name] for name in ("gain", "closure", "shift")},
    }


def read_systematics(path: Path) -> _Settings:
    """`nuisances`, a table, and `fine_tune`, settings, of a YAML file; nu in widths of the priors, as a search has it.

    Errors: MissingFileError, ConfigError.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not content.get("nuisances") or not set(content) <= set(KEYS):
        raise ConfigError(
            f"{path}: expected a mapping with 'nuisances', a list such as [jet-scale, normalisation], and, if wanted, "
            "'fine_tune' with settings"
        )
    try:
        table = SystematicsConfig.model_validate({"nuisances": content["nuisances"]})
        nuisances = NuisanceSet.parse(table).in_widths()
    except ValidationError as error:
        raise ConfigError(f"{path}: {mistakes(error, SystematicsConfig)}") from error
    except (NuisanceError, UnknownNameError) as error:
        raise ConfigError(f"{path}: nuisances: {error}") from error
    config = FineTuneConfig.parse(content.get("fine_tune") or {}, origin=f"{path}: fine_tune")
    return _Settings(nuisances, config)


def in_shares(events: Events, mixture: Mapping[str, float]) -> Events:
    """Stored events with weights that give their processes these shares after the selection; others are left out.

    Errors: ConfigError, UnknownProcessError (shares), NotEnoughEventsError (a process of which nothing passes).
    """
    events = events.of(*(name for name, share in mixture.items() if share > 0))
    shares = shares_of(mixture, events.label_names)
    selection = events.schema.selection
    kept = passes(remove_objects(events, selection.objects), selection)
    total = np.bincount(events.label[kept], events.weight[kept], minlength=len(shares))
    for name, share, weight in zip(events.label_names, shares, total, strict=True):
        if share > 0 and weight <= 0:
            raise NotEnoughEventsError(f"no event of process '{name}' passes the selection: it cannot have a share")
    factor = np.divide(shares, total, out=np.zeros(len(shares)), where=total > 0)[events.label]
    return Events.create(
        events.schema,
        events.objects,
        events.present,
        label=events.label,
        label_names=events.label_names,
        weight=events.weight * factor * kept.sum(),
        nu=events.nu,
        record=events.record,
    )


def _named(text: str, model: Model) -> Events:
    name, _, path = text.rpartition("=")
    events = read(path, schema=model.schema, select=False)
    if not name:
        return events
    if len(events.label_names) != 1:
        raise ConfigError(f"{text}: {path} has several processes ({', '.join(events.label_names)}): give no name")
    return replace(events, label_names=(name,))
