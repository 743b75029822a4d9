from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from unseen import sources
from unseen.config import Config, parse_config
from unseen.dealing import load_pools, take_training
from unseen.errors import ConfigError, MissingFileError, NotEnoughEventsError, OverlapError, UnknownProcessError
from unseen.events import ADC2021, Events, Sample, read, write_shard
from unseen.sources import (
    check_config,
    files_hash,
    plan,
    read_files,
    simulated,
    simulation_config,
)

POOLS = {"train": 60, "settings": 20, "reference": 80, "toys": 40, "expected": 15}


def from_files(data_folder: Path, **changes: Any) -> Config:
    content: dict[str, Any] = {
        "seed": 2,
        "files": {"test": {"w": [str(data_folder / "w_more.h5")], "qcd": [str(data_folder / "qcd_more.h5")]}},
        "pools": {"mixture": {"w": 0.7, "qcd": 0.3}, **POOLS},
    }
    return parse_config(content | changes)


def from_simulation(**changes: Any) -> Config:
    return parse_config({"simulate": {}, "pools": {"mixture": {"w": 0.5, "z": 0.5}, **POOLS}} | changes)


def labelled(label: list[int], names: tuple[str, ...]) -> Events:
    objects = np.zeros((len(label), ADC2021.n_slots, 3), np.float32)
    objects[:, 0, 0] = np.arange(len(label))
    present = np.zeros(objects.shape[:2], bool)
    present[:, 0] = True
    source = np.arange(len(label))
    return Events.create(ADC2021, objects, present, label=label, label_names=names, record={"source": source})


def counts(events: Events) -> dict[str, int]:
    return {
        name: int((events.label == i).sum()) for i, name in enumerate(events.label_names) if (events.label == i).any()
    }


def test_the_plan_follows_the_configuration(data_folder: Path) -> None:
    signal = {"data": {"signal": {"process": "ato4l", "events": 9}}}
    planned = plan(from_files(data_folder, **signal))
    assert sum(planned.train.values()) == 60
    assert {name: sum(c.values()) for name, c in planned.test.items() if name != "data"} == {
        "settings": 20,
        "reference": 80,
        "toys": 40,
    }
    assert planned.test["data"]["ato4l"] == 9
    assert planned.test_total["ato4l"] == 9
    assert "data" not in plan(from_files(data_folder, data={"file": "real.h5"})).test


def test_pools_from_files_hold_the_planned_events_of_each_process(data_folder: Path) -> None:
    config = from_files(data_folder)
    training, pools = load_pools(config, Path("unused"))
    planned = plan(config)
    assert counts(training) == planned.train
    for name in ("settings", "reference", "toys", "data"):
        assert counts(pools[name]) == {process: n for process, n in planned.test[name].items() if n}, name
    sources_ = np.concatenate([events.record["source"] for events in (training, *pools.values())])
    assert len(np.unique(sources_)) == len(sources_)
    again = load_pools(config, Path("unused"))
    assert again[0] == training
    assert all(again[1][name] == pools[name] for name in pools)


def test_training_files_of_their_own_are_used_and_may_not_overlap(data_folder: Path) -> None:
    test = {"w": [str(data_folder / "w_more.h5")], "qcd": [str(data_folder / "qcd_more.h5")]}
    apart = {"w": [str(data_folder / "w.h5")], "qcd": [str(data_folder / "qcd.h5")]}
    training, pools = load_pools(from_files(data_folder, files={"test": test, "train": apart}), Path("unused"))
    own = np.concatenate([read(data_folder / f"{name}.h5").record["source"] for name in ("w", "qcd")])
    assert np.isin(training.record["source"], own).all()
    assert set(pools) == {"settings", "reference", "toys", "data"}
    with pytest.raises(OverlapError, match="'train' and"):
        load_pools(from_files(data_folder, files={"test": test, "train": test}), Path("unused"))


def test_files_are_labelled_by_the_process_they_are_listed_under_and_selected(data_folder: Path) -> None:
    paths = {"b": (data_folder / "qcd.h5",), "a": (data_folder / "w.h5", data_folder / "w_more.h5")}
    events = read_files(from_files(data_folder), paths)
    assert events.label_names == ("a", "b")
    selected = [len(read(path, select=True)) for path in (*paths["a"], *paths["b"])]
    assert counts(events) == {"a": selected[0] + selected[1], "b": selected[2]}
    everything = read_files(from_files(data_folder, select=False), paths)
    assert len(everything) == sum(len(read(path)) for group in paths.values() for path in group) > len(events)


def test_of_a_sample_with_several_processes_each_is_read_under_its_own_name(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.h5", labelled([0, 1, 1, 0, 1], ("w", "tt")))
    config = from_files(tmp_path, select=False)
    events = read_files(config, {"w": (tmp_path / "a.h5",), "tt": (tmp_path / "a.h5",)})
    assert counts(events) == {"tt": 3, "w": 2}
    assert events.of("w").record["source"].tolist() == [0, 3]
    with pytest.raises(UnknownProcessError, match=r"a.h5 holds w, tt, but no 't'; did you mean 'tt'\?"):
        read_files(config, {"t": (tmp_path / "a.h5",)})


def test_data_from_a_file_are_taken_whole(data_folder: Path) -> None:
    path = data_folder / "ato4l.h5"
    _, pools = load_pools(from_files(data_folder, data={"file": str(path)}), Path("unused"))
    assert pools["data"] == read(path, select=True)


def test_processes_that_share_a_label_are_dealt_out_by_their_label(tmp_path: Path) -> None:
    mine = {"settings": ["WeakSingleBoson:ffbar2W=on"]}
    config = from_simulation(
        simulate={"processes": {"soft": mine | {"label": "w"}, "odd": mine}},
        pools={"mixture": {"w": 0.5, "soft": 0.3, "odd": 0.2}, **POOLS},
    )
    planned = plan(config)
    for role, wanted in (("train", planned.train), ("test", planned.test_total)):
        label = [0] * (wanted["w"] + wanted["soft"]) + [1] * wanted["odd"]
        events = labelled(label, ("w", "odd"))
        events = (
            events
            if role == "test"
            else Events.create(
                ADC2021,
                events.objects,
                events.present,
                label=label,
                label_names=("w", "odd"),
                record={"source": events.record["source"] + 10**6},
            )
        )
        Sample.write(tmp_path / role, events)
    training, pools = load_pools(config.model_copy(update={"select": False}), tmp_path)
    assert counts(training) == {"w": planned.train["w"] + planned.train["soft"], "odd": planned.train["odd"]}
    reference = planned.test["reference"]
    assert counts(pools["reference"]) == {"w": reference["w"] + reference["soft"], "odd": reference["odd"]}


def test_a_signal_with_a_background_label_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "check_simulation", lambda *_: {})
    mine = {"settings": ["WeakSingleBoson:ffbar2W=on"]}
    signal = {"data": {"signal": {"process": "mine", "events": 3}}}
    with pytest.raises(ConfigError, match="'mine' and 'w' have the same label 'w'"):
        check_config(from_simulation(simulate={"processes": {"mine": mine | {"label": "w"}}}, **signal))
    check_config(from_simulation(simulate={"processes": {"mine": mine}}, **signal))
    check_config(from_simulation(data={"signal": {"process": "w", "events": 3}}))  # an excess of a known process


def test_take_training_gives_the_planned_counts_in_an_order_fixed_by_the_seed() -> None:
    events = labelled([0] * 30 + [1] * 30, ("w", "qcd"))
    taken = take_training(events, {"qcd": 5, "w": 20}, seed=3)
    assert counts(taken) == {"w": 20, "qcd": 5}
    assert len(np.unique(taken.record["source"])) == 25
    assert (np.diff(taken.label) != 0).sum() > 1  # mixed, not one process after the other
    assert take_training(events, {"w": 20, "qcd": 5}, seed=3) == taken
    assert take_training(events, {"w": 20, "qcd": 5}, seed=4) != taken


def test_take_training_names_what_is_missing() -> None:
    events = labelled([0] * 4 + [1] * 3, ("w", "qcd"))
    with pytest.raises(NotEnoughEventsError, match="needs 5 events of 'w' but the sample has 4"):
        take_training(events, {"w": 5}, seed=1)
    with pytest.raises(UnknownProcessError, match="'qdc'; did you mean 'qcd'"):
        take_training(events, {"qdc": 1}, seed=1)


def test_the_hash_of_the_files_changes_with_any_of_them(data_folder: Path, tmp_path: Path) -> None:
    names = ("w_more.h5", "qcd_more.h5", "ato4l.h5")
    for name in names:
        (tmp_path / name).write_bytes((data_folder / name).read_bytes())
    config = from_files(tmp_path, data={"file": str(tmp_path / "ato4l.h5")})
    first = files_hash(config)
    assert set(first) == {str(tmp_path / name) for name in names} | {"schema"}
    assert files_hash(config) == first
    for name in names:
        with h5py.File(tmp_path / name, "r+") as file:
            file["Particles"][0, 0, 0] += 1
        changed = files_hash(config)
        assert {key for key in first if changed[key] != first[key]} == {str(tmp_path / name)}
        first = changed


def test_the_hash_of_the_files_changes_with_the_selection(data_folder: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout.yaml"
    text = ADC2021.model_dump_json()  # JSON is YAML
    layout.write_text(text)
    config = from_files(data_folder, schema=str(layout))
    first = files_hash(config)
    layout.write_text(text.replace('"pt_min":23.0', '"pt_min":24.0'))
    assert layout.read_text() != text
    assert files_hash(config)["schema"] != first["schema"]


def test_a_sample_folder_is_hashed_by_its_description_and_must_have_one(data_folder: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    Sample.write(sample, read(data_folder / "w_more.h5"))
    files = {"test": {"w": [str(sample)], "qcd": [str(data_folder / "qcd_more.h5")]}}
    config = from_files(data_folder, files=files)
    check_config(config)
    before = files_hash(config)[str(sample)]
    Sample.write(sample, read(data_folder / "w.h5"))
    assert files_hash(config)[str(sample)] != before
    (sample / "sample.json").unlink()
    with pytest.raises(MissingFileError, match=r"files\.test\.w: .* has no sample\.json"):
        check_config(config)
    with pytest.raises(MissingFileError, match=r"data\.file: .* has no sample\.json"):
        check_config(from_files(data_folder, data={"file": str(sample)}))


def test_processes_without_training_files_share_those_of_the_test(data_folder: Path) -> None:
    test = {"w": [str(data_folder / "w_more.h5")], "qcd": [str(data_folder / "qcd_more.h5")]}
    config = from_files(data_folder, files={"test": test, "train": {"w": [str(data_folder / "w.h5")]}})
    check_config(config)
    training, pools = load_pools(config, Path("unused"))
    assert counts(training) == plan(config).train
    w, qcd = (read(data_folder / f"{name}.h5").record["source"] for name in ("w", "qcd_more"))
    assert np.isin(training.of("w").record["source"], w).all()
    assert np.isin(training.of("qcd").record["source"], qcd).all()
    assert load_pools(config, Path("unused"))[0] == training
    assert set(pools) == {"settings", "reference", "toys", "data"}


def test_a_process_that_has_no_files_is_named_before_work_starts(data_folder: Path) -> None:
    test = {"w": [str(data_folder / "w_more.h5")], "qcd": [str(data_folder / "qcd_more.h5")]}
    pools = {"mixture": {"w": 0.7, "qcd": 0.3}, "train_mixture": {"w": 0.5, "qdc": 0.5}, **POOLS}
    with pytest.raises(
        UnknownProcessError, match=r"no process 'qdc' in files\.train or files\.test; did you mean 'qcd'"
    ):
        check_config(from_files(data_folder, files={"test": test}, pools=pools))


def test_a_pool_that_cannot_hold_the_largest_toy_is_refused(data_folder: Path) -> None:
    pools = {"mixture": {"w": 0.5, "qcd": 0.5}, **POOLS, "expected": 100.0}
    with pytest.raises(NotEnoughEventsError, match=r"at least 150: enlarge pools\.toys"):
        check_config(from_files(data_folder, pools=pools | {"toys": 149}))
    check_config(from_files(data_folder, pools=pools | {"toys": 150}))


def test_views_of_partners_that_nobody_simulates_are_refused_before_work_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "check_simulation", lambda *_: {})
    train = {"views": ["resimulate"], "n_views": 2}
    with pytest.raises(ConfigError, match=r"simulate.resimulations: \{detector: 2\}"):
        check_config(from_simulation(train=train))
    check_config(from_simulation(train=train, simulate={"resimulations": {"detector": 2}}))
    heavy = {"train": train, "pools": {"mixture": {"w": 0.5, "qcd": 0.5}, **POOLS}}
    check_config(from_simulation(**heavy))  # decays of one event
    with pytest.raises(ConfigError, match="one row of every training event"):
        check_config(from_simulation(**heavy, simulate={"copies": 1}))


def test_the_simulation_makes_what_the_pools_need_unless_told_otherwise(data_folder: Path) -> None:
    config = from_simulation(data={"signal": {"process": "ato4l", "events": 4}})
    made, planned = simulation_config(config), plan(config)
    assert (made.train, made.test) == (planned.train, planned.test_total)
    assert made.test["ato4l"] == 4
    named = simulation_config(from_simulation(simulate={"test": {"w": 7}, "train": {"z": 3}}))
    assert (named.test, named.train) == ({"w": 7}, {"z": 3})
    with pytest.raises(ConfigError, match="no 'simulate' section"):
        simulation_config(from_files(data_folder))


def test_the_progress_of_the_simulation_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[tuple[int, int, str]] = []

    class Recorder:
        def bar(self, title: str) -> Recorder:
            return self

        def __enter__(self) -> Any:
            return lambda *said: shown.append(said)

        def __exit__(self, *_: object) -> None: ...

    def simulate(config: Any, out: Path, seed: int, workers: int | None, progress: Any, cluster: str) -> None:
        assert (out, seed, workers, cluster) == (tmp_path, 1, 2, "local")
        progress(sources.Progress(0, 2, 0, 100, 0.0, None))
        progress(sources.Progress(1, 2, 50, 100, 412.3, 1.0))

    monkeypatch.setattr(sources, "simulate", simulate)
    simulated(from_simulation(), tmp_path, 2, Recorder(), "local")
    assert shown == [(0, 100, ""), (50, 100, "412 events/s")]
