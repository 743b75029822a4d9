"""The plan of a run: how events are cut into shards, what tells shards and sources apart, what makes a shard stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.events import ADC2021, Requirement, Selection
from unseen.simulate import SimulationConfig, jobs, load_processes
from unseen.simulate.jobs import ShardJob, _source_key, lepton_cut, plan_libraries, plan_shards

OUT = Path("out")
BASE: dict[str, Any] = {"train": {"w": 30, "qcd": 20}, "test": {"w": 50, "tt": 7}, "shard_size": 20}


def plan(config: SimulationConfig, seed: int = 1, out: Path = OUT) -> list[ShardJob]:
    processes = load_processes(config.processes)
    return plan_shards(config, processes, out, seed, plan_libraries(config, processes, out, seed))


def config(**changes: Any) -> SimulationConfig:
    return SimulationConfig.model_validate({**BASE, **changes})


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    counts=st.dictionaries(st.sampled_from(["w", "z", "tt", "qcd"]), st.integers(0, 900)),
    size=st.integers(1, 400),
)
def test_shards_hold_what_was_asked_for(counts: dict[str, int], size: int) -> None:
    jobs = plan(SimulationConfig(test=counts, shard_size=size))
    for name, count in counts.items():
        mine = [job for job in jobs if job.name == name]
        assert sum(job.n_events for job in mine) == count
        assert [job.index for job in mine] == list(range(len(mine)))
        own = load_processes()[name].shard_size or size
        assert all(job.n_events == min(size, own) for job in mine[:-1])
        assert all(0 < job.n_events <= min(size, own) for job in mine)
    assert len({job.path for job in jobs}) == len({job.source_key for job in jobs}) == len(jobs)


def test_no_two_shards_share_a_stream_or_the_identity_of_their_events() -> None:
    jobs = [job for seed in range(40) for job in plan(config(), seed)]
    assert len({(job.seed, job.stream) for job in jobs}) == len(jobs) == 40 * 7
    assert len({job.source_key for job in jobs}) == len(jobs)
    assert all(0 <= job.source_key < 2**31 for job in jobs)


def test_a_source_key_that_is_taken_is_not_given_again() -> None:
    first = _source_key(1, "test", "w", 0, set())
    taken = {first}
    second = _source_key(1, "test", "w", 0, taken)
    assert second != first
    assert taken == {first, second}


def test_roles_share_no_library() -> None:
    both = {"train": {"w": 1, "qcd": 1}, "test": {"w": 1, "qcd": 1}}
    jobs = plan_libraries(config(**both), load_processes(), OUT, 1)
    assert [(job.kind, job.role) for job in jobs] == [
        ("underlying", "train"),
        ("decays", "train"),
        ("underlying", "test"),
        ("decays", "test"),
    ]
    assert len({job.path for job in jobs}) == 4
    for shard in plan(config(**both)):
        assert {job.role for job in shard.libraries} == {shard.role}
        assert {job.kind for job in shard.libraries} == {"underlying", *(["decays"] if shard.name == "qcd" else [])}


def test_full_fidelity_needs_no_underlying_events() -> None:
    assert {job.kind for job in plan_libraries(config(fidelity="full"), load_processes(), OUT, 1)} == {"decays"}


@pytest.mark.parametrize(
    "change",
    [
        {"fidelity": "full"},
        {"trials": 7},
        {"underlying_events": 99},
        {"detector": {"met": {"noise": 9.0}}},
        {"detector": {"muons": {"isolation_max": 0.1}}},
        {"processes": {"w": {"settings": ["WeakSingleBoson:ffbar2W=on"]}}},
        {"processes": {"w": load_processes()["w"].model_copy(update={"label": "other"})}},
    ],
    ids=str,
)
def test_a_shard_made_with_other_settings_is_stale(change: dict[str, Any]) -> None:
    before, after = plan(config())[0], plan(config(**change))[0]
    assert before.path == after.path
    assert before.meta != after.meta


def test_a_shard_does_not_depend_on_the_rest_of_the_run(tmp_path: Path) -> None:
    mine = next(job for job in plan(config()) if (job.role, job.name) == ("test", "tt"))
    other = next(job for job in plan(config(train={"z": 5}, test={"tt": 7, "w": 9}), out=tmp_path) if job.name == "tt")
    assert other.meta == mine.meta
    assert other.stream == mine.stream


def test_only_training_holds_copies() -> None:
    assert {job.role: job.copies for job in plan(config(copies=3))} == {"train": 3, "test": 1}


def test_only_training_is_simulated_again_and_shards_of_before_stay_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    again = {"resimulations": {"hadronisation": 3, "detector": 2}}
    assert {job.role: job.resimulations.rows for job in plan(config(**again))} == {"train": 6, "test": 1}
    once, more = plan(config()), plan(config(**again))
    for before, after in zip(once, more, strict=True):
        assert (before.meta == after.meta) == (before.role == "test")
    monkeypatch.setattr(jobs, "fingerprint", sorted)
    assert {"resimulations" in job.meta["fingerprint"] for job in once} == {False}
    assert {job.role: "resimulations" in job.meta["fingerprint"] for job in more} == {"train": True, "test": False}


def with_selection(preselection: Selection, selection: Selection, tmp_path: Path) -> SimulationConfig:
    schema = ADC2021.model_copy(update={"preselection": preselection, "selection": selection})
    (tmp_path / "s.yaml").write_text(schema.model_dump_json())
    return config(schema_name=str(tmp_path / "s.yaml"))


def test_a_filter_never_cuts_what_the_schema_keeps(tmp_path: Path) -> None:
    def filtered(preselection: Selection, **changes: Any) -> Any:
        settings = with_selection(preselection, Selection(), tmp_path).model_copy(update=changes)
        return plan(settings)[0].process.filter

    soft, hard = (Requirement(collection="muons", pt_min=pt) for pt in (8.0, 40.0))
    jet = Requirement(collection="jets", pt_min=200.0)
    built_in = load_processes()["w"].filter
    assert plan(config())[0].process.filter == filtered(Selection(any_of=(hard,))) == built_in
    assert filtered(Selection(any_of=(hard, soft))).lepton_pt_min == pytest.approx(8.0, rel=0.05)
    assert filtered(Selection(all_of=(soft, jet))).lepton_pt_min == pytest.approx(8.0, rel=0.05)
    assert filtered(Selection(any_of=(hard, jet))) is None
    assert filtered(Selection()) is None
    assert filtered(Selection(), processes={"w": load_processes()["w"]}) == built_in


def test_the_true_lepton_is_looser_than_what_is_stored(tmp_path: Path) -> None:
    cut = lepton_cut(config())
    assert 17.0 < cut.pt_min < 18.0
    assert 3.0 < cut.abs_eta_max < 3.2
    assert cut.isolation > 0.45
    muon, electron = (Requirement(collection=name, pt_min=pt) for name, pt in (("muons", 8.0), ("electrons", 40.0)))
    softest = lepton_cut(with_selection(Selection(any_of=(electron, muon)), Selection(), tmp_path))
    assert softest.pt_min == pytest.approx(8.0, rel=0.05)
    assert softest.abs_eta_max > 5.0
    second = lepton_cut(with_selection(Selection(), Selection(all_of=(electron,)), tmp_path))
    assert second.pt_min == pytest.approx(40.0, rel=0.05)
