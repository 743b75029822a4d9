from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.study.problems import MIXTURE, settings, write_files
from unseen.errors import NotEnoughEventsError, OverlapError, UnknownProcessError, UnseenError
from unseen.events import Events, Sample, read
from unseen.study import StudyPools, draw_study_pools, parse_study
from unseen.study.pools import without_process

NAMES = ("train", "settings", "reference", "toys")


def sources(pools: StudyPools) -> dict[str, np.ndarray]:
    found = {name: getattr(pools, name).record["source"] for name in NAMES}
    return found | {f"signal {name}": events.record["source"] for name, events in pools.signals.items()}


def test_no_event_is_in_two_pools_and_no_signal_in_any(pools: StudyPools) -> None:
    every = np.concatenate(list(sources(pools).values()))
    assert len(np.unique(every)) == len(every)
    for name in NAMES:
        events = getattr(pools, name)
        assert {events.label_names[i] for i in events.label} == set(MIXTURE)
    assert [len(getattr(pools, name)) for name in NAMES] == [600, 125, 600, 300]


def test_pools_are_those_of_the_seed(pools: StudyPools, study_folder: Path) -> None:
    again = draw_study_pools(parse_study(settings(study_folder)))
    assert all(getattr(again, name) == getattr(pools, name) for name in NAMES)
    other = draw_study_pools(parse_study(settings(study_folder, seed=4)))
    assert other.reference != pools.reference


def test_files_for_training_are_in_training_only(study_folder: Path, tmp_path: Path) -> None:
    write_files(tmp_path, {"qcd": 500}, seed=9)
    own = {"files": {"train": {"qcd": [str(tmp_path / "qcd.h5")]}}}
    mixed = draw_study_pools(parse_study(settings(study_folder, **own)))
    plain = draw_study_pools(parse_study(settings(study_folder)))
    qcd = mixed.train.of("qcd").record["source"]
    assert len(qcd) == 180  # its share of 600
    assert not np.isin(qcd, np.concatenate([plain.train.of("qcd").record["source"], *sources(plain).values()])).any()
    assert not np.isin(qcd, np.concatenate([sources(mixed)[name] for name in NAMES[1:]])).any()
    assert len(mixed.train) == 600


def test_training_at_other_shares_still_gives_the_ceiling_the_mixture(study_folder: Path) -> None:
    shares = {"train_mixture": {"w": 0.4, "qcd": 0.2, "z": 0.4}}
    pools = draw_study_pools(parse_study(settings(study_folder, pools=shares, power={"ceiling": True})))
    assert [len(pools.train.of(name)) for name in MIXTURE] == [240, 120, 240]
    assert [len(pools.natural.of(name)) for name in MIXTURE] == [200, 120, 80]
    both = np.concatenate([pools.signals["soft"].record["source"], pools.signals_apart["soft"].record["source"]])
    assert len(np.unique(both)) == len(both)


def test_a_process_left_out_is_nowhere_but_among_the_signals(study_folder: Path) -> None:
    pools = draw_study_pools(parse_study(settings(study_folder, leave_out=["z"])))
    rest = without_process(pools, "z")
    for name in NAMES:
        events = getattr(rest, name)
        assert {events.label_names[i] for i in events.label} == {"w", "qcd"}
        assert not np.isin(events.record["source"], rest.signals["z"].record["source"]).any()
    assert list(rest.signals) == ["z"]
    assert {rest.signals["z"].label_names[i] for i in rest.signals["z"].label} == {"z"}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"pools": {"train": 5000}}, NotEnoughEventsError, "make the pools smaller"),
        ({"pools": {"toys": 100}}, NotEnoughEventsError, "pools.toys is 100 but toys of 100 expected events need 160"),
        ({"power": {"n_reference": 700}}, NotEnoughEventsError, "power.n_reference is 700"),
        ({"power": {"ceiling": True, "ceiling_share": 0.1}}, NotEnoughEventsError, "to train the ceiling"),
        ({"signals": ["hevy"]}, UnknownProcessError, "did you mean 'heavy'?"),
        ({"pools": {"mixture": {"w": 0.5, "qdc": 0.5}}}, UnknownProcessError, "did you mean 'qcd'?"),
    ],
)
def test_events_that_do_not_suffice_are_named(
    study_folder: Path, changes: dict[str, Any], error: type[UnseenError], said: str
) -> None:
    with pytest.raises(error) as found:
        draw_study_pools(parse_study(settings(study_folder, **changes)))
    assert said in str(found.value)


def test_a_signal_that_is_also_background_is_refused(study_folder: Path) -> None:
    files = settings(study_folder)["files"]["test"] | {"soft": [str(study_folder / "w.h5")]}
    with pytest.raises(OverlapError, match="signal 'soft' and the background share"):
        draw_study_pools(parse_study(settings(study_folder, files={"test": files})))


def test_simulated_samples_serve_as_files_do(study_folder: Path, pools: StudyPools, tmp_path: Path) -> None:
    content = settings(study_folder)
    events = Events.concatenate([read(path[0]) for path in content.pop("files")["test"].values()])
    order = np.random.default_rng(1).permutation(len(events))
    held = order[: len(order) // 4]
    Sample.write(tmp_path / "test", events[order[len(held) :]])
    Sample.write(tmp_path / "train", events[held])
    content["sample"] = {"test": str(tmp_path / "test"), "train": str(tmp_path / "train")}
    found = draw_study_pools(parse_study(content))
    assert [len(getattr(found, name)) for name in NAMES] == [600, 125, 600, 300]
    assert np.isin(found.train.record["source"], events[held].record["source"]).all()
    assert not np.isin(found.reference.record["source"], events[held].record["source"]).any()
