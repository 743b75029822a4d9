from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.embed.probes.clouds import clouds
from tests.embed.test_contract import untrained
from tests.embed.toy import SCHEMA, toy_events, toy_settings
from unseen.embed import Evaluation, Model, evaluate, train
from unseen.embed.probes import PROBES, evaluate_arrays, evaluation, probe
from unseen.errors import ConfigError, NotEnoughEventsError, SchemaError, UnknownNameError, UnknownProcessError
from unseen.events import Events

MIXTURE = {"a": 0.6, "b": 0.3, "c": 0.1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train(toy_events(600, 1), toy_settings(), tmp_path_factory.mktemp("model"), seed=1)


def test_everything_is_there_and_comes_back_from_json(model: Model) -> None:
    events = toy_events(1500, 2)
    found = evaluate(model, events, mixture=MIXTURE, seed=3)
    assert list(found.probes) == list(PROBES)
    assert list(found.raw) == ["linear", "trees"]
    assert found.mixture == pytest.approx(MIXTURE)
    assert sum(found.events.values()) == 1500
    assert found.dimensions == model.dim
    text = json.dumps(found.to_json(), allow_nan=False)
    assert Evaluation.from_json(json.loads(text)) == found
    assert evaluate(model, events, mixture=MIXTURE, seed=3) == found
    alone = probe(
        "knn", model.embed(events), events.label, "abc", seed=3, mixture=MIXTURE, groups=events.record["source"]
    )
    assert found.probes["knn"] == alone


def test_the_inputs_of_toy_events_tell_the_classes(model: Model) -> None:
    """Classes differ in pt and multiplicity; trees see both and beat chance, 1/3 with an error of 0.02."""
    found = evaluate(model, toy_events(1500, 2), probes=())
    assert found.probes == {}
    assert found.raw["trees"].balanced_accuracy > 0.5


@pytest.mark.parametrize("inputs", ["plain", "physics", {"name": "physics", "event_features": False}])
def test_the_inputs_that_are_probed_are_those_of_the_encoder(inputs: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a multilayer perceptron flattens is what its first layer is given: features, presence, event features."""
    model = untrained("mlp", inputs, toy_events(600, 1))
    events = toy_events(300, 2)
    given: list[torch.Tensor] = []
    hook = model.network.encoder.layers[0].register_forward_pre_hook(lambda _, args: given.append(args[0]))
    model.network(torch.tensor(events.objects), torch.tensor(events.present))
    hook.remove()
    asked: list[np.ndarray] = []
    monkeypatch.setattr(evaluation, "probe", lambda name, z, *args, **options: asked.append(z))
    monkeypatch.setattr(evaluation, "BLOCK", 128)  # of more than one block
    evaluate(model, events, probes=())
    assert len(asked) == 2
    for columns in asked:
        np.testing.assert_array_equal(columns, given[0].numpy())


def test_physics_inputs_tell_by_features_of_the_event_what_plain_ones_do_not() -> None:
    """Classes differ in the angle between two jets alone, 0 or pi, at any azimuth: plain inputs are linearly blind."""
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, 2000)
    objects = np.zeros((2000, 5, 3))
    objects[..., 0] = 50.0
    objects[:, 1:3, 1] = rng.normal(size=(2000, 2))
    objects[:, 1, 2] = rng.uniform(-np.pi, np.pi, 2000)
    objects[:, 2, 2] = objects[:, 1, 2] + np.pi * label
    objects[:, 2, 2] -= 2 * np.pi * (objects[:, 2, 2] > np.pi)
    present = np.broadcast_to(np.arange(5) < 3, (2000, 5))
    events = Events.create(SCHEMA, objects, present, label=label, label_names=("a", "b"))
    raw = {name: evaluate(untrained("mlp", name, events), events, probes=()).raw for name in ("plain", "physics")}
    assert raw["physics"]["linear"].accuracy > 0.95
    assert raw["plain"]["linear"].accuracy < 0.6  # a half, within four errors of 600 scored events


def test_measures_are_weighted_to_the_mixture() -> None:
    z, target = clouds(1.0, (2000, 2000, 2000))
    found = evaluate_arrays(z, target, "abc", mixture=MIXTURE, probes=())
    means = np.eye(3)
    shares = np.array(list(MIXTURE.values()))
    between = shares @ ((means - shares @ means) ** 2).sum(axis=1)
    assert found.measures["fisher_ratio"] == pytest.approx(between, rel=0.1)
    assert found.mixture == pytest.approx(MIXTURE)
    left = evaluate_arrays(z, target, "abc", mixture={"a": 0.5, "b": 0.5}, probes=())
    assert left.events == {"a": 2000, "b": 2000}


def test_an_event_at_the_origin_leaves_the_measures_on_directions_open() -> None:
    z, target = clouds(1.0)
    z[0] = 0.0
    found = evaluate_arrays(z, target, "abc", probes=("linear",))
    assert found.measures["uniformity_directions"] is found.measures["alignment_directions"] is None
    assert found.measures["uniformity"] is not None


def test_a_large_sample_is_thinned_by_whole_generated_events(model: Model) -> None:
    events = toy_events(1500, 2, copies=5)
    found = evaluate(model, events, probes=("linear",), raw=False, max_events=500)
    assert sum(found.events.values()) == 500
    assert found.raw == {}


def test_mistakes_are_named(model: Model, w_events: Events) -> None:
    events = toy_events(60, 2)
    with pytest.raises(SchemaError):
        evaluate(model, w_events)
    with pytest.raises(UnknownProcessError, match="did you mean"):
        evaluate(model, events, mixture={"a": 0.5, "bb": 0.5})
    with pytest.raises(UnknownNameError, match="linear"):
        evaluate(model, events, probes=("lineal",))
    with pytest.raises(ConfigError, match="max_events"):
        evaluate(model, events, max_events=1)
    with pytest.raises(NotEnoughEventsError, match="two classes"):
        evaluate(model, events.of("a"))
