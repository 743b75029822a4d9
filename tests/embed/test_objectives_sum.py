"""Weighted sums of objectives, and the errors of settings that cannot work."""

from __future__ import annotations

import pytest
import torch

from tests.embed.test_objectives import EVENTS, build, draw, value
from tests.embed.toy import objective_settings
from unseen.embed import TrainingConfig
from unseen.embed.objectives.sum import Sum
from unseen.errors import ConfigError, UnknownNameError
from unseen.events import Events

PARTS = [{"weight": 2.0, "objective": "supcon"}, {"weight": 0.5, "objective": {"name": "anomclr", "plus": True}}]


def test_a_sum_weighs_named_parts_and_hides_anomalies_from_those_that_do_not_ask(toy: Events) -> None:
    objective, batch = build({"name": "sum", "parts": [*PARTS, {"objective": "supcon"}]}, toy)
    assert isinstance(objective, Sum)
    embedding, usual = draw(len(batch), 4), torch.arange(2 * EVENTS)
    losses = {k: v.item() for k, v in objective.losses(embedding, batch).items()}
    assert list(losses) == ["supcon", "anomclr", "supcon-2"]
    first, second, third = objective.parts
    assert losses["supcon"] == value(first, embedding[usual], batch.rows(usual))
    assert losses["anomclr"] == value(second, embedding, batch)
    assert losses["supcon-2"] == value(third, embedding[usual], batch.rows(usual))
    expected = 2.0 * losses["supcon"] + 0.5 * losses["anomclr"] + losses["supcon-2"]
    assert value(objective, embedding, batch) == pytest.approx(expected, rel=1e-6)


def test_a_sum_needs_what_its_parts_need() -> None:
    config = objective_settings({"name": "sum", "parts": PARTS}).objective
    assert (config.needs_classes, config.least_views, config.needs_anomalies, config.needs_parameters) == (
        True,
        2,
        True,
        False,
    )
    parts = [{"objective": "vae"}, {"weight": 0.1, "objective": "equivariant"}]
    nested = {"name": "sum", "parts": [{"objective": {"name": "sum", "parts": parts}}]}
    config = objective_settings(nested).objective
    assert (config.needs_classes, config.least_views, config.needs_parameters) == (False, 1, True)
    settings = objective_settings(nested)
    assert TrainingConfig.parse(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("objective", "error", "message"),
    [
        (
            {"name": "sum", "parts": [{"weight": 0.0, "objective": "supcon"}]},
            ConfigError,
            r"parts\.0\.weight: .*than 0",
        ),
        ({"name": "sum", "parts": []}, ConfigError, "parts: .*at least one part"),
        ({"name": "sum", "parts": [{"objective": "subcon"}]}, UnknownNameError, "did you mean 'supcon'"),
        ({"name": "sum", "parts": [{"weight": 1.0}]}, ConfigError, r"parts\.0\.objective: Field required"),
        ({"name": "soft-supcon", "level_weights": [1.0, 0.5]}, ConfigError, "must not fall"),
        ({"name": "soft-supcon", "level_weights": [0.0]}, ConfigError, "end above 0"),
        ({"name": "dino", "momentum": 1.0}, ConfigError, "momentum"),
        ({"name": "ntxent", "temperature": 0.0}, ConfigError, "temperature"),
        ({"name": "classifier", "adjustment": -1.0}, ConfigError, "adjustment"),
    ],
)
def test_bad_settings_are_named(objective: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TrainingConfig.parse({"objective": objective, "views": ["rotate"]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"objective": "ntxent"}, "need transformations"),
        ({"objective": "ntxent", "views": ["rotate"], "n_views": 1}, "needs 2 views"),
        ({"objective": "anomclr", "views": ["rotate"]}, "under anomalies"),
        ({"objective": "equivariant"}, "predicts what views did"),
        ({"objective": {"name": "vicreg", "pairs": "class"}, "labels": "none"}, "needs classes"),
    ],
)
def test_what_an_objective_lacks_is_named(content: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.parse(content)
