from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embed.fine_tuning.build import NUISANCES, SCHEMA, events, settings
from tests.embed.toy import toy_events
from unseen.embed import Ensemble, FineTuneConfig, Model, fine_tune
from unseen.embed.ensemble import Member
from unseen.errors import (
    ConfigError,
    NegativeWeightError,
    NonFiniteError,
    NotEnoughEventsError,
    NuisanceError,
    NuisanceRangeError,
    SchemaError,
    SelectionError,
    UnknownNameError,
    UnseenError,
)
from unseen.events import Events, Selection, select
from unseen.systematics import NuisanceSet


def changed(sample: Events, **columns: Any) -> Events:
    schema = columns.pop("schema", sample.schema)
    given = {"label": sample.label, "label_names": sample.label_names, "weight": sample.weight}
    return Events.create(schema, sample.objects, sample.present, **{**given, **columns})


@pytest.mark.parametrize(
    ("sample", "nuisances", "error", "words"),
    [
        (toy_events(200, 0), NUISANCES, SchemaError, "trained on schema 'small'"),
        (
            changed(events(200, 1), schema=SCHEMA.model_copy(update={"selection": Selection()})),
            NUISANCES,
            SchemaError,
            "selection",
        ),
        (events(200, 1), NuisanceSet([]), NuisanceError, "one at least"),
        (
            events(200, 1),
            NuisanceSet.parse(["jet-scale", {"name": "normalisation", "processes": ["light"]}]),
            NuisanceError,
            "'normalisation' does nothing",
        ),
        (events(200, 1), NuisanceSet.parse(["muon-scale"]), SchemaError, "muons"),
        (
            events(200, 1),
            NuisanceSet.parse([{"name": "jet-scale", "prior": {"width": 0.5}}]),
            NuisanceError,
            r"width 0\.5: .*`nuisances\.in_widths\(\)`",
        ),
        (changed(events(200, 1), weight=np.linspace(-1, 1, 200)), NUISANCES, NegativeWeightError, "100 of 200"),
        (select(events(200, 1)), NUISANCES, SelectionError, "require_stored"),
        (changed(events(200, 1), weight=0.0), NUISANCES, NotEnoughEventsError, "pass the selection"),
        (NUISANCES.distort(events(200, 1), [1.0, 0.0]), NUISANCES, NuisanceError, "distorted before"),
    ],
)
def test_what_is_refused_before_long_work(
    sample: Events, nuisances: NuisanceSet, error: type[UnseenError], words: str, model: Model, tmp_path: Path
) -> None:
    if "normalisation" in nuisances.names:
        sample = sample.of("heavy")
    with pytest.raises(error, match=words):
        fine_tune(model, sample, nuisances, settings(), tmp_path / "out", seed=1)
    assert not (tmp_path / "out").exists()


def test_an_ensemble_is_fine_tuned_member_by_member(stored: Events, model: Model, tmp_path: Path) -> None:
    both = Ensemble(
        {"seed-0": model, "seed-1": model},
        (Member("seed-0", None, 0), Member("seed-1", None, 1)),
        None,
        0,
        stored.label,
    )
    with pytest.raises(ConfigError, match=r"model\.members\['seed-0'\]"):
        fine_tune(both, stored, NUISANCES, settings(), tmp_path, seed=1)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ({"alfa": 1.0}, ConfigError, "alpha"),
        ({"method": "covarient"}, UnknownNameError, "covariant"),
        ({"head": "polinomial"}, UnknownNameError, "polynomial"),
        ({"width": 6.0}, NuisanceRangeError, "beyond 5 prior widths"),
        ({"epochs": 1}, ConfigError, "head_epochs"),
        ({"refit": {"epochs": 0}}, ConfigError, "refit.epochs"),
        ({"alpha": float("nan")}, ConfigError, "alpha"),
    ],
)
def test_settings_that_are_refused(content: dict[str, Any], error: type[UnseenError], words: str) -> None:
    with pytest.raises(error, match=words):
        FineTuneConfig.parse(content)


def test_a_loss_that_is_not_finite_stops_with_its_batch(stored: Events, model: Model, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="training diverged"):
        fine_tune(model, stored, NUISANCES, settings(lr=1e30, gradient_clip=None), tmp_path, seed=1)
    assert (tmp_path / "diverged.npz").is_file()
