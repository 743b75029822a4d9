"""The stage of a run that fine-tunes its embedding for the nuisance parameters, and the look at its events before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unseen.config import Config
from unseen.config_systematics import RunSystematics
from unseen.context import RunContext
from unseen.dealing import TUNING, training_inputs
from unseen.embed import FineTuneConfig, FineTuned, fine_tune, load_trained
from unseen.embed.fine_tuning.checks import check_partners, check_sample
from unseen.embed.training import labelling_of
from unseen.events.selection import remove_objects
from unseen.seeds import small_seed
from unseen.systematics import NuisanceSet

__all__ = ["check_tuning_events", "finetune_stage", "tuning_said"]

# The ratio is that of the fine-tuning: the search has its own (`systematics_stage`), learned on independent events.
OUTPUTS = (
    "model.safetensors",
    "model.json",
    "history.json",
    "fine_tuning.json",
    "ratio/ratio.json",
    "ratio/ratio.safetensors",
)


def finetune_stage(run: RunContext) -> None:
    """Fine-tune the trained model on stored training events, where the configuration asks for it."""
    section = run.config.systematics
    if section is None or section.fine_tune is None:
        return
    settings, nuisances = _settings(section, section.fine_tune), section.learned

    def work(folder: Path) -> None:
        model, events = load_trained(run.out / "train"), run.pools[1][TUNING]
        with run.display.bar("fine-tuning") as update:

            def show(done: int, total: int, losses: Mapping[str, float]) -> None:
                update(done, total, f"loss {losses['train_loss']:.3f}")

            fine_tune(model, events, nuisances, settings, folder, small_seed(run.config.seed, "finetune"), show)

    # What is learned and tested afterwards, and when it is trusted, are none of its business.
    inputs = training_inputs(run.config) | {
        "fine_tune": settings.model_dump(mode="json"),
        "nuisances": [row.model_dump(mode="json") for row in section.moving],
        **NuisanceSet(section.moving).unit_note,
    }
    run.stage("finetune", inputs, work, OUTPUTS)


def check_tuning_events(run: RunContext) -> None:
    """Refuse events that the stage could not use, before a model is trained for it.

    Errors: those of `fine_tune` about events, and of labels.
    """
    section = run.config.systematics
    if section is None or section.fine_tune is None:
        return
    events, settings = run.pools[1][TUNING], _settings(section, section.fine_tune)
    check_sample(events, section.learned, settings)
    training = settings.training(run.config.train)
    check_partners(events, training)
    labelling_of(remove_objects(events, events.schema.selection.objects), training)


def _settings(section: RunSystematics, config: FineTuneConfig) -> FineTuneConfig:
    """One word on whether events could come in across the selection is enough: `ratio.require_stored`."""
    required = config.require_stored and section.ratio.require_stored
    return config.model_copy(update={"require_stored": required})


def tuning_said(config: Config, tuned: FineTuned) -> dict[str, Any]:
    """What the page says of a fine-tuning: how it was made, and what its own, last fit found."""
    section = config.systematics
    assert section is not None
    assert section.fine_tune is not None
    settings, report = section.fine_tune, tuned.ratio.report
    return {
        "method": settings.method,
        "head": settings.head.name,
        "weight of the systematic term (alpha)": settings.weight,
        "nuisance parameters": ", ".join(tuned.ratio.names),
        "epochs": len(tuned.history),
        "held-out information on nu after the last fit, nats per event": report["gain"],
        "mean squared pull of held-out events, reweighted": report["closure"],
        "mean squared pull of held-out events, as they are": report["shift"],
    }
