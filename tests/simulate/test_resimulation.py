"""Shards with several simulations of one event: what the rows share, what they do not, and that rates stay right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unseen.events import Events, select
from unseen.events.observables import leading_lepton_pt, met
from unseen.simulate import Process, SimulationConfig
from unseen.simulate.decays import make_decays
from unseen.simulate.generate import generate
from unseen.simulate.isolation import LeptonCut
from unseen.simulate.jobs import plan_libraries, plan_shards
from unseen.simulate.libraries import make_library, valid_library
from unseen.simulate.settings import Resimulations
from unseen.simulate.source import EventSource
from unseen.simulate.truth import final_state

PROCESSES = {
    "wmu": Process(
        settings=("WeakSingleBoson:ffbar2W=on", "24:onMode=off", "24:onIfAny=13"), filter={"lepton_pt_min": 15}
    )
}
SEED = 3
Made = tuple[Events, dict[str, Any]]
CUT = LeptonCut(17.5)
Maker = Callable[..., Made]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    folder = tmp_path_factory.mktemp("resimulation")

    def shard(n: int, role: str = "train", **resimulations: int) -> Made:
        config = SimulationConfig(
            **{role: {"wmu": n}},
            underlying_events=60,
            processes=PROCESSES,
            resimulations=Resimulations(**resimulations),
        )
        libraries = plan_libraries(config, PROCESSES, folder, SEED)
        [make_library(job) for job in libraries if not valid_library(job)]
        [job] = plan_shards(config, PROCESSES, folder, SEED, libraries)
        return generate(job)

    return shard


@pytest.fixture(scope="module")
def plain(make: Maker) -> Made:
    return make(240)


@pytest.fixture(scope="module")
def detected(make: Maker) -> Made:
    return make(240, detector=2)


@pytest.fixture(scope="module")
def hadronised(make: Maker) -> Made:
    return make(240, hadronisation=2)


def pairs(events: Events) -> tuple[Events, Events]:
    """Two rows of each source that has two, in the same order of sources."""
    rows = np.argsort(events.record["source"], kind="stable")
    source = events.record["source"][rows]
    first = np.flatnonzero(source[1:] == source[:-1])
    return events[rows[first]], events[rows[first + 1]]


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


@pytest.mark.parametrize("kind", ["detected", "hadronised"])
def test_rows_of_a_source_share_the_hard_process_and_little_else(kind: str, request: pytest.FixtureRequest) -> None:
    events, account = request.getfixturevalue(kind)
    assert len(select(events)) == 240
    one, other = pairs(events)
    assert 80 < len(one) == len(events) - len(np.unique(events.record["source"]))  # at most two rows
    for name in ("source", "pt_hat", "m_hat", "slice", "n_taus", "true_lepton"):
        np.testing.assert_array_equal(one.record[name], other.record[name])
    for value in (leading_lepton_pt, met):
        assert (value(one) != value(other)).all()
    assert 0.5 < account["effective"] / account["passed"] < 0.75


def test_lepton_pt_is_alike_in_rows_of_a_source_only(detected: Made, hadronised: Made) -> None:
    """Muons are measured to 1-2 %; their pt in the generated event varies by a third."""
    for events, _ in (detected, hadronised):
        one, other = (leading_lepton_pt(part) for part in pairs(events))
        assert correlation(one, other) > 0.95
        assert abs(correlation(one[:-1], other[1:])) < 4 / np.sqrt(len(one))


def test_true_values_are_those_of_the_hadrons(detected: Made, hadronised: Made) -> None:
    one, other = pairs(detected[0])
    np.testing.assert_array_equal(one.record["true_met"], other.record["true_met"])
    one, other = pairs(hadronised[0])
    assert not np.array_equal(one.record["true_met"], other.record["true_met"])  # neutrinos of charm and bottom


def test_the_cross_section_counts_an_event_once(plain: Made, detected: Made, hadronised: Made) -> None:
    value, error = (plain[1][f"cross_section{suffix}_pb"] for suffix in ("", "_error"))
    for _, account in (detected, hadronised):
        bound = 4 * np.hypot(error, account["cross_section_error_pb"])
        assert account["cross_section_pb"] == pytest.approx(value, abs=bound)
        assert 0.35 < account["generated"] / plain[1]["generated"] < 0.8


def test_both_together_give_the_product(make: Maker) -> None:
    events, _ = make(60, hadronisation=2, detector=3)
    counts = np.unique(events.record["source"], return_counts=True)[1]
    assert 3 < counts.max() <= 6
    met_truth = [events.record["true_met"][events.record["source"] == s] for s in np.unique(events.record["source"])]
    assert max(len(np.unique(values)) for values in met_truth) <= 2


def test_rows_for_anything_but_training_are_independent(make: Maker) -> None:
    events, account = make(30, role="test", hadronisation=2, detector=3)
    assert len(np.unique(events.record["source"])) == len(events)
    same, _ = make(30, role="test")
    np.testing.assert_array_equal(events.objects, same.objects)
    assert account["effective"] == account["passed"]


def test_rows_of_an_event_are_spread_over_the_block() -> None:
    """Only then is what the end of a shard cuts off a random part of the block."""
    stream = EventSource("w", PROCESSES["wmu"], "fast", SEED, ("spread",), CUT, resimulations=Resimulations(detector=4))
    source = stream.next(60).source
    n = len(np.unique(source))
    assert len(source) == 4 * n > 80
    neighbours = np.sum(source[1:] == source[:-1])
    assert neighbours < 3 + 4 * np.sqrt(3)  # expected: 3 pairs of neighbours, whatever n; in order: 3 n


BOTTOM = Process(settings=("HardQCD:hardbbbar=on", "PhaseSpace:pTHatMin=60"), heavy_flavour=True)


def test_heavy_hadrons_are_decayed_in_each_copy_by_itself() -> None:
    """Rate and lepton spectrum of bottom pairs do not depend on how often the partons are hadronised."""
    library = make_decays(seed=5, size=100)
    rates, errors, leptons = [], [], []
    for times, tries in ((1, 240), (4, 120)):
        again = Resimulations(hadronisation=times)
        stream = EventSource("b", BOTTOM, "fast", SEED, ("again", times), CUT, library, trials=200, resimulations=again)
        block = stream.next(tries)
        counts = np.unique(block.source, return_counts=True)[1]
        assert min(times, 2) <= counts.max() <= times
        rates.append(stream.cross_section() * counts.sum() / tries)
        errors.append(rates[-1] / np.sqrt(counts.sum() ** 2 / np.sum(counts**2)))
        truth = final_state(block.particles)
        assert (truth["true_lepton_pt"] > CUT.pt_min).all()
        leptons.append(truth["true_lepton_pt"])
        same = [np.unique(truth["true_lepton_pt"][block.source == s]).size for s in np.unique(block.source)]
        np.testing.assert_array_equal(same, counts)  # each row with a lepton of its own
        assert stream.lost_fraction < 0.3
    assert rates[1] == pytest.approx(rates[0], abs=4 * np.hypot(*errors))
    spread = np.hypot(*(np.std(pt) * error / rate for pt, error, rate in zip(leptons, errors, rates, strict=True)))
    assert np.mean(leptons[1]) == pytest.approx(np.mean(leptons[0]), abs=4 * spread)
