from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embed.toy import toy_settings
from tests.views.build import events as collisions
from unseen.embed import LABELS, TrainingConfig, train
from unseen.embed.data import epoch_order, loss_weights
from unseen.embed.labels import Factor, Labelling, encode, population, population_table
from unseen.embed.labels.tree import classify
from unseen.errors import ConfigError, NotEnoughEventsError, SchemaError, UnknownNameError
from unseen.events import Events
from unseen.events.observables import met

COUNTS = {"w": 3000, "qcd": 1500, "z": 700, "tt": 300}
SETTINGS: dict[str, dict[str, Any]] = {
    "groups": {"groups": {"boson": ["w", "z"]}},
    "hierarchy": {"levels": [{"name": "groups", "groups": {"boson": ["w", "z"]}}, "process", "final-state"]},
    "signals": {"signals": ["tt"]},
}


@pytest.fixture(scope="module")
def sample() -> Events:
    """5,500 events of four processes in the ADC2021 layout."""
    plain = collisions(sum(COUNTS.values()), seed=4)
    label = np.repeat(np.arange(4), list(COUNTS.values()))
    record = {"pt_hat": np.random.default_rng(0).exponential(20.0, len(label)), "n_bjets": label % 3}
    return Events.create(
        plain.schema, plain.objects, plain.present, label=label, label_names=tuple(COUNTS), record=record
    )


def settings(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, **SETTINGS.get(name, {}), **changes}


def members(labelling: Labelling, name: str) -> np.ndarray:
    return np.asarray(labelling.target == labelling.names.index(name))


@pytest.mark.parametrize("name", sorted(LABELS))
@pytest.mark.parametrize("n", [0, 1, 5500])
def test_every_encoding_gives_populated_nested_classes(name: str, n: int, sample: Events) -> None:
    few = sample.of("tt" if name == "signals" else "w") if n == 1 else sample  # an encoding's own classes must occur
    part = few[np.random.default_rng(1).permutation(len(few))[:n]]
    least = {"least": 1} if n == 1 else {}
    labelling = encode(part, settings(name, **least))
    assert labelling.target.shape == (n,)
    assert labelling.target.dtype == labelling.levels.dtype == np.int64
    assert labelling.levels.shape == (n, len(labelling.level_names))
    np.testing.assert_array_equal(labelling.levels[:, -1], labelling.target)
    counts = np.bincount(labelling.target, minlength=len(labelling.names))
    assert len(set(labelling.names)) == len(labelling.names) == len(counts)
    assert (counts > 0).all()
    if n == 5500:
        assert counts.min() >= LABELS[name].model_fields["least"].default
    for coarse, fine in zip(labelling.levels.T[:-1], labelling.levels.T[1:], strict=True):
        assert len(np.unique(np.stack([coarse, fine]), axis=1).T) == len(np.unique(fine))


@pytest.mark.parametrize("name", sorted(LABELS))
def test_settings_survive_json_and_train(name: str, sample: Events, tmp_path: Path) -> None:
    if name == "none":
        with pytest.raises(ConfigError, match="needs classes"):
            toy_settings(labels="none")
        return
    config = toy_settings(labels=settings(name), epochs=1, views=["rotate", "mask-features"])
    assert TrainingConfig.parse(config.model_dump(mode="json")) == config
    said: list[str] = []
    model = train(sample, config, tmp_path, seed=1, say=said.append)
    labelling = encode(sample, config.labels)
    assert model.label_names == labelling.names
    assert said == [population_table(labelling)]
    content = json.loads((tmp_path / "classes.json").read_text())
    assert content == population(labelling, sample.weight)
    assert sum(item["events"] for item in content["classes"]) == len(sample)


def test_process_keeps_the_names_that_occur(toy: Events) -> None:
    without_a = toy[toy.label != 0]
    labelling = encode(without_a, "process")
    assert labelling.names == ("b", "c")
    np.testing.assert_array_equal(labelling.target, without_a.label - 1)
    assert labelling.target.dtype == np.int64


def test_none_is_one_class(toy: Events) -> None:
    labelling = encode(toy, "none")
    assert labelling.names == ("all",)
    assert (labelling.target == 0).all()


def test_groups_merge_processes(sample: Events) -> None:
    labelling = encode(sample, settings("groups"))
    assert labelling.names == ("boson", "qcd", "tt")
    np.testing.assert_array_equal(members(labelling, "boson"), np.isin(sample.label, [0, 2]))


def test_final_state_counts_what_is_there(sample: Events) -> None:
    labelling = encode(sample, settings("final-state", least=1, jets=[0, 1, 3], bjets=[0, 1]))
    assert labelling.level_names == ("process", "leptons", "jets", "bjets")
    electrons, muons, jets = (sample.has(name).sum(axis=1) for name in ("electrons", "muons", "jets"))
    chosen = (sample.label == 1) & (electrons == 2) & (muons == 1) & np.isin(jets, [1, 2])
    np.testing.assert_array_equal(members(labelling, "qcd/2e1mu/1-2j/1+b"), chosen)
    chosen = (sample.label == 0) & (electrons == 0) & (muons == 0) & (jets >= 3)
    np.testing.assert_array_equal(members(labelling, "w/0l/3+j/0b"), chosen)
    level = labelling.levels[:, 1]
    for rows in (
        (sample.label == 3) & (electrons == 1) & (muons == 0),
        (sample.label == 3) & (electrons == 2) & (muons == 0),
    ):
        assert len(np.unique(level[rows])) == 1
        assert not np.isin(level[~rows], level[rows]).any()


def test_b_jets_come_from_the_schema_or_the_record(sample: Events) -> None:
    bare = Events.create(sample.schema, sample.objects, sample.present, label=sample.label, label_names=tuple(COUNTS))
    with pytest.raises(SchemaError, match="set bjets: null"):
        encode(bare, settings("final-state", bjets=[0, 1]))
    schema = sample.schema.model_copy(update={"features": (*sample.schema.features, "btag"), "units": ("",) * 4})
    tagged = np.zeros((*sample.objects.shape[:2], 1))
    tagged[:1000, 9] = 1.0
    events = Events.create(schema, np.concatenate([sample.objects, tagged], axis=2), sample.present)
    labelling = encode(events, settings("final-state", of="none", leptons=False, jets=None, bjets=[0, 1], least=1))
    np.testing.assert_array_equal(members(labelling, "1+b"), (np.arange(5500) < 1000) & sample.present[:, 9])


def test_bins_with_few_events_join_their_smaller_neighbour(sample: Events) -> None:
    jets = sample.has("jets").sum(axis=1)
    plain = settings("kinematic", of="none", observable="jet_multiplicity", edges=[1, 2, 3, 4])
    counts = np.bincount(jets.clip(max=4))
    labelling = encode(sample, {**plain, "least": 1})
    np.testing.assert_array_equal(np.bincount(labelling.target), counts)
    # The smallest bin joins the smaller one beside it.
    smallest = int(counts.argmin())
    beside = min((i for i in (smallest - 1, smallest + 1) if 0 <= i < 5), key=lambda i: counts[i])
    merged = encode(sample, {**plain, "least": int(counts.min()) + 1})
    assert len(merged.names) == 4
    first, second = merged.target[jets.clip(max=4) == smallest][0], merged.target[jets.clip(max=4) == beside][0]
    assert first == second
    assert encode(sample, {**plain, "least": 5499}).names == ("all",)


def test_rare_lepton_flavours_become_other(sample: Events) -> None:
    labelling = encode(sample, settings("final-state", jets=None, least=60))
    counts = np.bincount(labelling.target)
    assert counts.min() >= 60
    everything = encode(sample, settings("final-state", jets=None, least=1))
    for process in ("w", "qcd"):
        mine = [name for name in labelling.names if name.startswith(f"{process}/")]
        other = members(labelling, f"{process}/other")
        kept = {name for name in mine if not name.endswith("/other")}
        rest = [name for name in everything.names if name.startswith(f"{process}/") and name not in kept]
        assert len(rest) > 1
        np.testing.assert_array_equal(other, np.any([members(everything, name) for name in rest], axis=0))


def test_few_rare_flavours_join_the_most_frequent_one() -> None:
    code = np.repeat([0, 1, 2, 3], [10, 300, 200, 20])
    factor = Factor.named("leptons", code, ("2e1mu", "1e", "1mu", "3e"))
    levels, names, _ = classify([factor], len(code), least=50)
    assert names == ("1mu", "1e or other")
    np.testing.assert_array_equal(levels[:, 0], np.where(code == 2, 0, 1))
    assert classify([factor], len(code), least=25)[1] == ("1e", "1mu", "other")
    assert classify([factor], len(code), least=225)[1] == ("1e", "other")
    assert classify([factor], len(code), least=500)[1] == ("all",)


def test_a_class_whose_parts_all_join_is_not_split(sample: Events) -> None:
    labelling = encode(sample, settings("final-state", least=290))
    assert "tt" in labelling.names
    assert np.bincount(labelling.target).min() >= 290
    alone = encode(sample, settings("final-state", of="none", jets=None, least=5499))
    assert alone.names == ("all",)


def test_a_process_is_never_merged_silently(sample: Events) -> None:
    with pytest.raises(NotEnoughEventsError, match=r"'tt' has fewer than 400 events.*tt 300, z 700.*groups"):
        encode(sample, settings("final-state", least=400))
    with pytest.raises(NotEnoughEventsError, match="fewer than 50 events; classes of 'w'"):
        encode(sample, settings("final-state", rare="error"))


def test_kinematic_bins(sample: Events) -> None:
    labelling = encode(sample, settings("kinematic", edges=[20, 60]))
    assert labelling.names[:3] == ("w/met <20", "w/met 20-60", "w/met 60+")
    values = met(sample)
    np.testing.assert_array_equal(
        members(labelling, "w/met 20-60"), (sample.label == 0) & (values >= 20) & (values < 60)
    )
    quarters = encode(sample, settings("kinematic", of="none", quantiles=4))
    np.testing.assert_allclose(np.bincount(quarters.target), len(sample) / 4, atol=1)
    truth = encode(sample, settings("kinematic", of="none", observable="record.pt_hat", edges=[10.0]))
    np.testing.assert_array_equal(members(truth, "pt_hat 10+"), sample.record["pt_hat"] >= 10)


def test_an_undefined_observable_is_a_bin_of_its_own(sample: Events) -> None:
    labelling = encode(sample, settings("kinematic", of="none", observable="dilepton_mass", edges=[60.0]))
    assert labelling.names == ("no dilepton_mass", "dilepton_mass <60", "dilepton_mass 60+")
    pair = (sample.has("electrons").sum(axis=1) > 1) | (sample.has("muons").sum(axis=1) > 1)
    np.testing.assert_array_equal(members(labelling, "no dilepton_mass"), ~pair)


def test_a_hierarchy_has_a_level_for_each_property_once(sample: Events) -> None:
    labelling = encode(sample, settings("hierarchy"))
    assert labelling.level_names == ("group", "process", "leptons", "jets")
    assert {name.split("/")[0] for name in labelling.names} == {"boson", "qcd", "tt"}
    assert any(name.startswith("boson/z/1e") for name in labelling.names)
    nested = settings("kinematic", of=settings("final-state"), observable="met", quantiles=2)
    assert encode(sample, nested).level_names == ("process", "leptons", "jets", "bin of met")


def test_signals_are_classes_at_every_level(sample: Events) -> None:
    config = settings("signals", signals=["tt", "z"], others=settings("final-state"), least=50)
    labelling = encode(sample, config)
    assert {"tt", "z"} < set(labelling.names)
    assert not any(name.startswith(("tt/", "z/")) for name in labelling.names)
    assert any(name.startswith("w/1e") for name in labelling.names)
    for column in labelling.levels.T:
        assert len(np.unique(column[sample.label == 3])) == 1
    np.testing.assert_array_equal(labelling.levels[:, 0], np.select([sample.label == 3, sample.label == 2], [1, 2], 0))
    merged = encode(sample, settings("signals", signals=["tt", "z"], merge=True, others="none"))
    assert merged.names == ("background", "signal")


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ("flavour", UnknownNameError, "label encoding"),
        ({"name": "final-state", "of": "proces"}, UnknownNameError, "did you mean 'process'"),
        ({"name": "kinematic", "observable": "mett"}, UnknownNameError, "did you mean 'met'"),
        ({"name": "final-state", "jet": [0, 1]}, ConfigError, "jet"),
        ({"name": "final-state", "jets": [1, 2]}, ConfigError, "rise from 0"),
        ({"name": "final-state", "of": {"name": "kinematic", "least": 7}}, ConfigError, "move it outwards"),
        ({"name": "kinematic", "edges": [2, 1]}, ConfigError, "edges must rise"),
        ({"name": "kinematic", "edges": [2], "quantiles": 3}, ConfigError, "not both"),
        ({"name": "groups", "groups": {"a": ["w"], "b": ["w"]}}, ConfigError, "two groups"),
        ({"name": "groups", "groups": {"a": []}}, ConfigError, "no process"),
        ({"name": "groups"}, ConfigError, "groups"),
        ({"name": "signals", "signals": []}, ConfigError, "signals"),
    ],
)
def test_wrong_settings_are_named(labels: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TrainingConfig.parse({"labels": labels})


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ({"name": "groups", "groups": {"a": ["w", "ttt"]}}, UnknownNameError, "no process 'ttt'.*did you mean 'tt'"),
        ({"name": "signals", "signals": ["zz"]}, UnknownNameError, "no process 'zz'"),
        ({"name": "kinematic", "observable": "record.pt_hut"}, SchemaError, "did you mean 'pt_hat'"),
    ],
)
def test_what_the_events_lack_is_named(labels: object, error: type[Exception], message: str, sample: Events) -> None:
    with pytest.raises(error, match=message):
        encode(sample, labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            {"name": "signals", "signals": ["tt"]},
            "'signals': class 'tt' would be empty: none of the 5200 training events",
        ),
        ({"name": "signals", "signals": ["z", "tt"], "merge": True}, "class 'tt' would be empty"),
        ({"name": "groups", "groups": {"top": ["tt"]}}, r"'groups': class 'top' would be empty: .* is of tt\."),
        ({"name": "final-state", "of": {"name": "groups", "groups": {"top": ["tt"]}}}, "class 'top' would be empty"),
        (
            {"name": "signals", "signals": ["z"], "others": {"name": "groups", "groups": {"a": ["z"]}}},
            "class 'a' would",
        ),
    ],
)
def test_a_class_that_is_named_must_have_events(labels: object, message: str, sample: Events) -> None:
    known = sample.of("w", "qcd", "z")  # `tt` stays among the names of the labels
    assert known.label_names == tuple(COUNTS)
    with pytest.raises(NotEnoughEventsError, match=message):
        encode(known, labels)
    assert encode(known, {"name": "groups", "groups": {"heavy": ["tt", "z"]}}).names == ("heavy", "w", "qcd")


def test_what_the_schema_lacks_is_named(toy: Events) -> None:
    with pytest.raises(SchemaError, match="leptons: false"):
        encode(toy, "final-state")
    assert len(encode(toy, {"name": "final-state", "leptons": False}).names) > 3
    with pytest.raises(SchemaError, match="'transverse_mass' needs electrons, muons"):
        encode(toy, {"name": "kinematic", "observable": "transverse_mass"})


def test_a_long_table_keeps_both_ends(sample: Events) -> None:
    labelling = encode(sample, settings("final-state", least=5))
    lines = population_table(labelling, most=10).splitlines()
    assert len(lines) == 12
    assert lines[0].startswith(f"{len(labelling.names)} classes of 5,500 training events (levels: process 4 > ")
    assert lines[6] == f"  ... {len(labelling.names) - 10} more classes"
    assert len(population_table(labelling, most=1000).splitlines()) == len(labelling.names) + 1


@pytest.mark.parametrize("n_classes", [300, 1000])
def test_balancing_works_with_hundreds_of_classes(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    share = 1.0 / np.arange(1, n_classes + 1)
    target = np.concatenate([np.arange(n_classes), rng.choice(n_classes, 50_000, p=share / share.sum())])
    order = epoch_order(target, "sampler", 0.0, np.random.default_rng(1))
    drawn = np.bincount(target[order], minlength=n_classes)
    np.testing.assert_allclose(drawn, len(target) / n_classes, atol=1)
    weight = loss_weights(np.ones(len(target)), target, "weights", 0.0)
    np.testing.assert_allclose(np.bincount(target, weight), len(target) / n_classes)
    between = np.bincount(target[epoch_order(target, "sampler", 0.5, np.random.default_rng(1))])
    expected = np.sqrt(np.bincount(target))
    np.testing.assert_allclose(between, len(target) * expected / expected.sum(), atol=1)
