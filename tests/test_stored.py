"""Stored events in a run: what a density ratio is learned from, and pseudo-data at other nuisance parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseen.config import Config, parse_config
from unseen.dealing import RATIO, TUNING, load_pools, training_inputs
from unseen.errors import NotEnoughEventsError, NuisanceRangeError, SchemaError, SelectionError
from unseen.events import Events, Sample, read, select
from unseen.sources import check_config, plan
from unseen.stored import Stored, distorted_data, passing, weighted_to
from unseen.systematics import NuisanceSet

MIXTURE = {"w": 0.7, "qcd": 0.3}
POOLS = {"mixture": MIXTURE, "train": 100, "settings": 30, "reference": 120, "toys": 80, "expected": 20}
SECTION: dict[str, Any] = {"nuisances": ["jet-scale", "normalisation"], "ratio": {"events": 500, "held_out": 0.4}}


def configured(data_folder: Path, **changes: Any) -> Config:
    files = {"w": [str(data_folder / "w_more.h5")], "qcd": [str(data_folder / "qcd_more.h5")]}
    content: dict[str, Any] = {"seed": 2, "files": {"test": files}, "pools": POOLS, "systematics": SECTION}
    return parse_config(content | changes)


def sources(events: Events) -> set[int]:
    return set(events.record["source"].tolist())


def test_systematics_do_not_change_the_other_pools(data_folder: Path) -> None:
    training, pools = load_pools(configured(data_folder), Path("unused"))
    plain_training, plain = load_pools(configured(data_folder, systematics=None), Path("unused"))
    assert training == plain_training
    assert pools.keys() == plain.keys() | {"ratio"}
    assert all(pools[name] == plain[name] for name in plain)


def test_the_ratio_is_learned_from_stored_events_of_no_other_pool(data_folder: Path) -> None:
    """Of 1060 (504) selected and 140 (296) other events of w (qcd), the same fractions of both are dealt."""
    training, pools = load_pools(configured(data_folder), Path("unused"))
    events = pools["ratio"]
    assert passing(events).sum() == 500
    taken = np.bincount(events.label[passing(events)])
    for label, (n, others) in enumerate(((1060, 140), (504, 296))):
        expected = others * taken[events.label_names.index(("w", "qcd")[label])] / n
        found = (~passing(events) & (events.label == events.label_names.index(("w", "qcd")[label]))).sum()
        assert found == pytest.approx(expected, abs=4 * np.sqrt(expected))
    others = set().union(*(sources(pool) for name, pool in {"train": training, **pools}.items() if name != "ratio"))
    assert not sources(events) & others
    assert "row" not in events.record


def test_the_events_of_a_ratio_have_the_mixture_of_the_data(data_folder: Path) -> None:
    """Whatever the mixture of the training events: the weights of those that pass are the shares of the search."""
    ratio = {"nuisances": ["jet-scale"], "ratio": {"pool": "train"}}
    pools = {**POOLS, "train": 300, "train_mixture": {"w": 0.5, "qcd": 0.5}}
    training, dealt = load_pools(configured(data_folder, systematics=ratio, pools=pools), Path("unused"))
    events = dealt["ratio"]
    assert sources(training) <= sources(events)
    assert passing(events).sum() == 300
    kept = select(events)
    for name, share in MIXTURE.items():
        assert kept.of(name).weight.sum() / kept.weight.sum() == pytest.approx(share)
    assert kept.weight.mean() == pytest.approx(1.0)


def tuned(**ratio: Any) -> dict[str, Any]:
    return {**SECTION, "ratio": {**SECTION["ratio"], **ratio}, "fine_tune": {"epochs": 2}}


def test_fine_tuning_has_the_training_events_and_what_was_stored_beside_them(data_folder: Path) -> None:
    """Of 1060 (504) selected and 140 (296) other events of w (qcd), the same fractions of both; of no other pool."""
    sizes = {**POOLS, "train": 300, "train_mixture": {"w": 0.5, "qcd": 0.5}}
    training, pools = load_pools(configured(data_folder, systematics=tuned(), pools=sizes), Path("unused"))
    events = pools[TUNING]
    assert sources(select(events)) == sources(training)
    for name, n, others in (("w", 1060, 140), ("qcd", 504, 296)):
        part, expected = events.of(name), others * 150 / n
        assert (~passing(part)).sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))
        assert select(part).weight.sum() == pytest.approx(300 * MIXTURE[name])
    assert not sources(events) & set().union(*(sources(pool) for name, pool in pools.items() if name != TUNING))
    plain = load_pools(configured(data_folder, systematics=SECTION, pools=sizes), Path("unused"))[1]
    assert all(pools[name] == plain[name] for name in plain if name != RATIO)
    assert select(pools[RATIO]) == select(plain[RATIO])


def test_the_ratio_keeps_its_share_of_what_does_not_pass_when_some_of_it_is_taken(data_folder: Path) -> None:
    """Companions over the expected number, of 40 deals each: 1 within its error, whoever was served before."""
    stored = Stored.of(read(data_folder / "qcd_more.h5"), None)
    rows = np.flatnonzero(stored.selected)
    wanted = {"a": stored.shares(rows[:200])}
    before, n = stored.shares(rows[200:400]), (~stored.selected).sum()
    for reserved in (False, True):
        found = []
        for seed in range(40):
            rng = np.random.default_rng(seed)
            taken = stored.companions({"b": before}, rng)["b"] if reserved else None
            dealt = stored.companions(wanted, rng, taken=taken)["a"]
            assert taken is None or not set(dealt) & set(taken)
            found.append(len(dealt))
        expected = n * wanted["a"][0]
        assert np.mean(found) == pytest.approx(expected, abs=4 * np.sqrt(expected / 40))


def test_no_setting_of_what_comes_later_changes_the_events_of_a_fine_tuning(data_folder: Path) -> None:
    first = load_pools(configured(data_folder, systematics=tuned()), Path("unused"))[1][TUNING]
    for changes in ({"systematics": tuned(events=550)}, {"systematics": tuned(), "data": {"nu": {"jet-scale": 1.0}}}):
        assert load_pools(configured(data_folder, **changes), Path("unused"))[1][TUNING] == first


def test_training_events_from_shared_files_depend_on_how_many_the_others_take(data_folder: Path) -> None:
    """A signal in the data, or more data to thin, deals the shared files anew: the training has to know."""
    files = {name: [str(data_folder / f"{name}_more.h5")] for name in ("w", "qcd")}
    signal = {"signal": {"process": "ato4l", "events": 3}}
    test = {**files, "ato4l": [str(data_folder / "ato4l.h5")]}

    def inputs(**changes: Any) -> dict[str, Any]:
        return training_inputs(configured(data_folder, **changes))

    shared, own = {"test": test}, {"test": test, "train": files}
    assert inputs(files=shared) != inputs(files=shared, data=signal)
    assert inputs(files=shared) == inputs(files=shared, systematics=tuned(events=550))
    assert inputs(files=own) == inputs(files=own, data=signal)


def test_processes_that_the_data_do_not_have_teach_nothing(w_events: Events) -> None:
    with pytest.raises(NotEnoughEventsError, match="no selected events of w, tt to learn from"):
        weighted_to({"w": 0.0, "tt": 1.0}, w_events)
    assert len(weighted_to({"w": 1.0}, w_events)) == len(w_events)


def test_copies_of_one_generated_event_are_dealt_once(data_folder: Path) -> None:
    events = read(data_folder / "qcd.h5")
    twice = Events.concatenate([events, events])
    stored = Stored.of(twice, None)
    assert stored.may.sum() == len(events)
    companions = stored.companions({"a": {0: 0.5}, "b": {0: 0.5}}, np.random.default_rng(0))
    found = np.concatenate([stored.take(rows).record["source"] for rows in companions.values()])
    assert sorted(found) == sorted(events.record["source"][~passing(events)])
    assert abs(len(companions["a"]) - len(companions["b"])) < 4 * np.sqrt(len(found))


def test_data_at_nominal_values_are_the_same_data(data_folder: Path) -> None:
    nominal = load_pools(configured(data_folder), Path("unused"))[1]["data"]
    zero = configured(data_folder, data={"nu": {"jet-scale": 0.0}})
    assert load_pools(zero, Path("unused"))[1]["data"] == nominal


def test_data_at_nu_are_selected_and_of_no_other_pool(data_folder: Path) -> None:
    changes: dict[str, Any] = {"data": {"nu": {"jet-scale": 2.0}}, "pools": {**POOLS, "expected": 60}}
    training, pools = load_pools(configured(data_folder, **changes), Path("unused"))
    data = pools["data"]
    assert passing(data).all()
    assert data.nu[:, 0].tolist() == [2.0] * len(data)
    assert (data.weight == 1).all()
    others = set().union(*(sources(pool) for name, pool in {"train": training, **pools}.items() if name != "data"))
    assert not sources(data) & others
    nominal = load_pools(configured(data_folder, pools=changes["pools"]), Path("unused"))[1]["data"]
    assert len(sources(data) & sources(nominal)) > 0.9 * len(nominal)  # most stay selected
    again = load_pools(configured(data_folder, **changes), Path("unused"))[1]["data"]
    assert data == again


def test_weights_make_data_more_or_less_frequent(data_folder: Path) -> None:
    """Of n events drawn for twice the yield, n/2 (1 + size)^nu are left; the spread is binomial."""
    nuisances = NuisanceSet.parse([{"name": "normalisation", "label": "lumi", "size": 0.5}])
    events = select(read(data_folder / "w_more.h5"))
    for nu in (-1.0, 0.0, 1.0):
        p = 0.5 * 1.5**nu
        left = len(distorted_data(events, nuisances, {"lumi": nu}, 2.0, seed=3))
        assert left == pytest.approx(p * len(events), abs=4 * np.sqrt(len(events) * p * (1 - p)))
    with pytest.raises(NuisanceRangeError, match=r"2\.25 times as frequent; .* for 2 times at most"):
        distorted_data(events, nuisances, {"lumi": 2.0}, 2.0, seed=3)


def test_more_data_events_are_planned_where_weights_move(data_folder: Path) -> None:
    counts = {
        name: sum(plan(configured(data_folder, data={"nu": {name: 1.0}})).test["data"].values())
        for name in ("jet-scale", "normalisation")
    }
    plain = sum(plan(configured(data_folder)).test["data"].values())
    assert counts["jet-scale"] == plain
    assert counts["normalisation"] > 1.3 * plain  # 40 where 20 are expected


def test_a_sample_that_was_stored_after_the_selection_is_refused(data_folder: Path, tmp_path: Path) -> None:
    files = {}
    for name in ("w", "qcd"):
        Sample.write(tmp_path / name, select(read(data_folder / f"{name}_more.h5")))
        files[name] = [str(tmp_path / name)]
    changes = {"files": {"test": files}}
    with pytest.raises(SelectionError, match="stored events pass the selection of 'adc2021'"):
        load_pools(configured(data_folder, **changes), Path("unused"))
    ratio = {**SECTION, "ratio": {"events": 500, "held_out": 0.4, "require_stored": False}}
    pools = load_pools(configured(data_folder, **changes, systematics=ratio), Path("unused"))[1]
    assert len(pools["ratio"]) == 500


def test_what_cannot_be_distorted_is_named_before_the_work(data_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "muons.yaml"
    path.write_text("name: muons\ncollections:\n- {name: muons, slots: 2, type: 3}\n")
    with pytest.raises(SchemaError, match="nuisance 'jet-scale' acts on jets"):
        check_config(configured(data_folder, schema=str(path)))
    with pytest.raises(NuisanceRangeError, match="nu of 'jet-scale' is 7"):
        check_config(configured(data_folder, data={"nu": {"jet-scale": 7.0}}))
