"""What a rehearsal refuses is what a training would fail on, without its events."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.embed.toy import FAMILIES, SCHEMA, objective_settings
from unseen.embed import ENCODERS, LABELS, OBJECTIVES, TrainingConfig
from unseen.embed.inputs import INPUTS
from unseen.embed.rehearsal import rehearse
from unseen.errors import NotEnoughEventsError, SchemaError, UnknownNameError
from unseen.events import ADC2021
from unseen.views import VIEWS

COUNTS = {"w": 2368, "qcd": 1352, "z": 268, "tt": 12}
ASKED: dict[str, dict[str, Any]] = {
    "groups": {"groups": {"boson": ["w", "z"]}},
    "hierarchy": {"levels": [{"name": "groups", "groups": {"boson": ["w", "z"]}}, "process"], "least": 5},
    "signals": {"signals": ["tt"]},
    "final-state": {"least": 5},
    "kinematic": {"least": 5},
}
EXTRA: dict[str, dict[str, Any]] = {"resimulate": {"n_views": 2}}


def parsed(**settings: Any) -> TrainingConfig:
    return TrainingConfig.parse(settings)


@pytest.mark.parametrize("name", sorted(set(LABELS) - {"none"}))
def test_every_encoding_passes_where_it_can_work(name: str) -> None:
    rehearse(parsed(labels={"name": name, **ASKED.get(name, {})}), ADC2021, COUNTS)


@pytest.mark.parametrize("name", sorted(ENCODERS))
@pytest.mark.parametrize("inputs", sorted(INPUTS))
def test_every_encoder_passes(name: str, inputs: str) -> None:
    rehearse(parsed(encoder=name, inputs=inputs), ADC2021, COUNTS)


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_every_view_passes(name: str) -> None:
    rehearse(parsed(views=[name], **EXTRA.get(name, {})), ADC2021, COUNTS)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_objective_passes_on_the_toy_layout(name: str) -> None:
    rehearse(objective_settings(name), SCHEMA, {"a": 10, "b": 3})


def test_the_random_numbers_of_the_caller_stay() -> None:
    state = torch.get_rng_state()
    rehearse(parsed(), ADC2021, COUNTS)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"views": [{"name": "drop", "probability": {"jetz": 0.1}}]}, SchemaError, "'jetz' .* did you mean 'jets'"),
        ({"views": [{"name": "mask-features", "features": ["ptt"]}]}, SchemaError, "'ptt' .* did you mean 'pt'"),
        (
            {"objective": "exposure", "families": [[[], [{"name": "drop", "probability": {"muon": 0.5}}]], *FAMILIES]},
            SchemaError,
            "'muon' .* did you mean 'muons'",
        ),
        ({"labels": {"name": "groups", "groups": {"boson": ["w", "zz"]}}}, UnknownNameError, "'zz' .* mean 'z'"),
        ({"labels": {"name": "signals", "signals": ["ato4l"]}}, UnknownNameError, "no process 'ato4l'"),
        ({"labels": {"name": "kinematic", "observable": "record.pt_hatt"}}, SchemaError, "did you mean 'pt_hat'"),
        ({"labels": {"name": "final-state", "bjets": [0, 1]}}, SchemaError, "count b-jets.*no 'n_bjets'"),
        ({"labels": "final-state"}, NotEnoughEventsError, "'tt' has fewer than 50 events; classes: tt 12, z 268, qcd"),
        (
            {"labels": {"name": "hierarchy", "levels": [{"name": "kinematic", "of": "none"}, "process"]}},
            NotEnoughEventsError,
            "'tt' has fewer than 50 events",
        ),
        (
            {"labels": {"name": "groups", "groups": {"all": ["w", "qcd", "z", "tt"]}}},
            NotEnoughEventsError,
            "'supcon' needs two classes or more; labels 'groups' of the 4000 training events give 1: all",
        ),
    ],
)
def test_what_cannot_work_is_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rehearse(parsed(**settings), ADC2021, COUNTS, ("source", "pt_hat"))


def test_processes_without_events_and_unknown_records() -> None:
    kinematic = parsed(labels={"name": "kinematic", "observable": "record.anything", "least": 5})
    rehearse(kinematic, ADC2021, COUNTS)  # what the record holds is not known yet
    top = parsed(labels={"name": "groups", "groups": {"top": ["tt"]}})
    rehearse(top, ADC2021, COUNTS)
    with pytest.raises(NotEnoughEventsError, match="class 'top' would be empty"):
        rehearse(top, ADC2021, COUNTS | {"tt": 0})
    with pytest.raises(NotEnoughEventsError, match="give 1: w"):
        rehearse(parsed(), ADC2021, {"w": 9, "tt": 0})
    one = parsed(labels={"name": "final-state", "of": "none", "least": 5})
    rehearse(one, ADC2021, {"w": 9})  # the leptons of real events tell classes apart
    with pytest.raises(NotEnoughEventsError, match="0 training events"):
        rehearse(parsed(), ADC2021, {"w": 0})
