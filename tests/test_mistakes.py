"""What a mistake in settings says: the path of the key, and the closest key of the variant that is at that place."""

from __future__ import annotations

from typing import Any

import pytest

from unseen.embed import FineTuneConfig, TrainingConfig
from unseen.errors import ConfigError
from unseen.simulate import load_processes
from unseen.study import entries, parse_study

DROP = {"name": "drop", "met2": True}
TEMPRATURE = {"name": "sum", "parts": [{"objective": {"name": "supcon", "temprature": 1}}]}
CASES: list[tuple[dict[str, Any], str]] = [
    ({"epoch": 3}, "unknown key 'epoch'; did you mean 'epochs'?"),
    ({"encoder": {"name": "mlp", "dims": 4}}, "unknown key 'encoder.dims'; did you mean 'dim'?"),
    ({"encoder": {"name": "mlp", "heads": 4}}, "unknown key 'encoder.heads'; known: dim, hidden, mask_inputs, name"),
    ({"encoder": {"name": "transformer", "head": 4}}, "unknown key 'encoder.head'; did you mean 'heads'?"),
    ({"views": ["rotate", {"name": "drop", "probablity": 1}]}, "'views.1.probablity'; did you mean 'probability'?"),
    ({"views": [{"name": "one-of", "views": [DROP]}]}, "'views.0.views.0.met2'; did you mean 'met'?"),
    ({"families": [[[], [DROP]]]}, "unknown key 'families.0.1.0.met2'; did you mean 'met'?"),
    ({"objective": TEMPRATURE}, "'objective.parts.0.objective.temprature'; did you mean 'temperature'?"),
    ({"labels": {"name": "hierarchy", "levels": [{"name": "final-state", "jts": 1}]}}, "did you mean 'jets'?"),
    ({"lr": -1, "epoch": 3}, "lr: Input should be greater than 0; unknown key 'epoch'; did you mean 'epochs'?"),
]


@pytest.mark.parametrize(("content", "said"), CASES)
def test_the_closest_key_of_the_section_is_suggested(content: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        TrainingConfig.parse(content, "here")
    assert str(error.value).startswith("here: ")
    assert str(error.value).endswith(said)


@pytest.mark.parametrize(("content", "said"), CASES[:-1])
def test_a_study_says_the_same(content: dict[str, Any], said: str) -> None:
    study = parse_study({"files": {"test": {}}, "signals": ["x"], "models": {"one": content}})
    with pytest.raises(ConfigError, match=r"^models\.one: ") as error:
        entries(study)
    assert str(error.value).endswith(said)


def test_other_settings_say_the_same() -> None:
    with pytest.raises(ConfigError, match=r"tune: unknown key 'epoch'; did you mean 'epochs'\?"):
        FineTuneConfig.parse({"epoch": 3}, "tune")
    with pytest.raises(ConfigError, match=r"process 'my': unknown key 'setings'; did you mean 'settings'\?"):
        load_processes({"my": {"settings": ["HardQCD:all = on"], "setings": []}})
