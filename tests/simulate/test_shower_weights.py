"""Weights of shower variations: where they come from, which rows share them, that they do what another scale does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unseen.errors import PythiaSettingsError
from unseen.events import Events, select
from unseen.events.observables import ht, jet_multiplicity
from unseen.simulate import Process, SimulationConfig, check, load_processes, weight_columns
from unseen.simulate.decays import make_decays
from unseen.simulate.generate import generate
from unseen.simulate.isolation import LeptonCut
from unseen.simulate.jobs import plan_libraries, plan_shards
from unseen.simulate.libraries import make_library, valid_library
from unseen.simulate.pythia import FIDELITY, Generator, RawBatch
from unseen.simulate.recorded import recorded
from unseen.simulate.settings import Resimulations
from unseen.simulate.shower_weights import VARIATIONS, check_variations, shower_weights, varied
from unseen.simulate.source import Block, EventSource
from unseen.systematics import NuisanceSet

W = ("WeakSingleBoson:ffbar2W=on", "24:onMode=off", "24:onIfAny=13")
FILTERED = Process(settings=W, filter={"lepton_pt_min": 15})
CUT = LeptonCut(17.5)
# By default a part of the change of the coupling is taken back for soft emissions.
FULL_CHANGE = ("UncertaintyBands:muSoftCorr=off",)
# The shower multiplies the square of the scale, the variation the scale.
DIRECT = {
    "isr_up": "SpaceShower:renormMultFac=0.25",
    "isr_down": "SpaceShower:renormMultFac=4",
    "fsr_up": "TimeShower:renormMultFac=0.25",
    "fsr_down": "TimeShower:renormMultFac=4",
}


def blocks(process: Process, n: int, fidelity: str = "fast", **options: Any) -> Block:
    return EventSource("test", process, fidelity, 1, ("weights",), CUT, variations=True, **options).next(n)


def shared(block: Block) -> int:
    """The largest number of rows of one event, all of which have the same weights, unlike those of other events."""
    _, rows, counts = np.unique(block.source, return_inverse=True, return_counts=True)
    for column in VARIATIONS:
        values = block.record[column]
        assert all(len(np.unique(values[rows == i])) == 1 for i in range(len(counts))), column
        assert len(np.unique(values)) > 0.5 * len(counts)
    return int(counts.max())


@pytest.mark.parametrize("fidelity", ["fast", "full"])
def test_an_event_has_four_positive_weights(fidelity: str) -> None:
    record = blocks(FILTERED, 40, fidelity).record
    values = np.stack([record[column] for column in VARIATIONS])
    assert values.dtype == np.float32
    assert values.shape[1] > 10
    assert np.isfinite(values).all()
    assert ((values > 0.01) & (values < 100)).all()
    # More radiation at a smaller scale, less at a larger one: an event that is likelier in one is rarer in the other.
    assert np.corrcoef(np.log(record["isr_up"]), np.log(record["isr_down"]))[0, 1] < -0.7


def test_they_are_what_pythia_says_of_each_event() -> None:
    settings = (*varied((*W, "HadronLevel:all=off")), *FIDELITY["fast"])
    columns = shower_weights(Generator("w", settings, 3).batch(20), "w")
    single = Generator("w", settings, 3)
    for row in range(20):
        assert single.pythia.next()
        info = single.pythia.infoPython()
        said = dict(zip(single.weight_names(), info.weightValueVector(), strict=True))
        assert {name: columns[name][row] for name in VARIATIONS} == {
            name: np.float32(said[name]) for name in VARIATIONS
        }


def test_they_are_relative_to_the_nominal_weight() -> None:
    biased = ("HardQCD:all=on", "PhaseSpace:pTHatMin=50", "PhaseSpace:bias2Selection=on", "PartonLevel:all=off")
    process = Process(settings=biased[:1]).model_copy(update={"settings": biased})  # weighted events are refused else
    record = blocks(process, 30).record
    assert {column: set(record[column].tolist()) for column in VARIATIONS} == {name: {1.0} for name in VARIATIONS}


def test_a_block_may_be_empty() -> None:
    record = blocks(Process(settings=W, filter={"lepton_pt_min": 6000.0}), 10).record
    assert {len(record[column]) for column in VARIATIONS} == {0}


def test_rows_of_an_event_share_its_weights_and_new_hadrons_do_not_change_them() -> None:
    once = blocks(FILTERED, 60)
    again = blocks(FILTERED, 60, resimulations=Resimulations(hadronisation=2, detector=2))
    assert shared(once) == 1
    assert shared(again) == 4
    for column in VARIATIONS:  # of the first event, which has the same partons: later ones have other random numbers
        assert set(once.record[column][once.source == 0]) == set(again.record[column][again.source == 0])


def test_decays_of_heavy_hadrons_share_the_weights_of_their_event() -> None:
    bottom = Process(settings=("HardQCD:hardbbbar=on", "PhaseSpace:pTHatMin=60"), heavy_flavour=True)
    for again in (Resimulations(), Resimulations(hadronisation=2)):
        block = blocks(bottom, 60, decays=make_decays(5, 60), copies=5, trials=100, resimulations=again)
        assert len(block.source) > 5
        assert shared(block) > 1


def test_processes_choose_what_they_may_and_hear_what_they_may_not() -> None:
    off = FILTERED.model_copy(update={"settings": (*W, "UncertaintyBands:FSRpTmin2Fac=100")})
    spread = [np.log(blocks(process, 200).record["fsr_up"]).std() for process in (FILTERED, off)]
    assert spread[1] < 0.6 * spread[0]
    other = ("PartonShowers:model=2",)
    for work in (
        lambda: check_variations("mine", (*W, *other)),
        lambda: blocks(Process(settings=(*W, *other)), 5),
        lambda: check(
            SimulationConfig(test={"w": 1}, processes={"w": {"settings": [*W, *other]}}, shower_weights=True)
        ),
    ):
        with pytest.raises(PythiaSettingsError, match=r"isr_up, isr_down, .*PartonShowers:model"):
            work()


def test_only_a_simulation_that_is_asked_to_writes_them(tmp_path: Path) -> None:
    off, on = (SimulationConfig(test={"w": 3}, underlying_events=20, shower_weights=asked) for asked in (False, True))
    assert (weight_columns(off), weight_columns(on)) == ((), ("isr_up", "isr_down", "fsr_up", "fsr_down"))
    assert "shower_weights" not in off.described()
    assert on.described() == on.model_dump(mode="json")
    jobs = []
    for config in (off, on):
        libraries = plan_libraries(config, load_processes(), tmp_path, 1)
        [make_library(library) for library in libraries if not valid_library(library)]
        jobs += plan_shards(config, load_processes(), tmp_path, 1, libraries)
    assert jobs[0].meta["fingerprint"] != jobs[1].meta["fingerprint"]
    (without, _), (events, account) = (generate(job) for job in jobs)
    for config, made in ((off, without), (on, events)):
        assert set(made.record) == set(recorded(config))
    assert account["passed"] >= 3

    nuisances = NuisanceSet.parse(["initial-shower", "final-shower"])
    up = nuisances.distort(events, [1.0, 0.0])
    np.testing.assert_allclose(up.weight, events.record["isr_up"], rtol=1e-5)
    down = nuisances.distort(events, [0.0, -1.0])
    np.testing.assert_allclose(down.weight, events.record["fsr_down"], rtol=1e-5)


def partons(settings: tuple[str, ...], n: int, seed: int) -> RawBatch:
    """Events without hadrons."""
    return Generator("w", (*settings, *W, "HadronLevel:all=off", *FIDELITY["fast"]), seed).batch(n)


def recoil(batch: RawBatch) -> np.ndarray:
    """pt of the W, (n,)."""
    final = batch.final()
    lepton = np.isin(np.abs(final.id), (13, 14))
    px, py = (np.bincount(final.event[lepton], final.p[lepton, axis], len(final)) for axis in (0, 1))
    return np.hypot(px, py)


def test_their_mean_is_one_before_any_selection() -> None:
    """The shower changes no cross section. Of 1,500 events: within 4 standard errors, of 0.004 to 0.008."""
    for column, values in shower_weights(partons(varied(()), 1500, 11), "w").items():
        assert values.mean() == pytest.approx(1.0, abs=4 * values.std() / np.sqrt(len(values))), column
        assert 0.1 < values.std() < 0.5


def test_the_recoil_of_the_w_is_that_of_the_other_scale() -> None:
    """Fractions above 10, 20 and 40 GeV: against showers at that scale, and moved by up and down, 4 standard errors."""
    n = 2500
    weighted = partons(varied(FULL_CHANGE), n, 12)
    pt, weights = recoil(weighted), shower_weights(weighted, "w")
    other = recoil(partons((DIRECT["isr_up"],), n, 13))
    for threshold in (10, 20, 40):
        a, b = weights["isr_up"] * (pt > threshold), 1.0 * (other > threshold)
        assert a.mean() == pytest.approx(b.mean(), abs=4 * np.hypot(a.std(), b.std()) / np.sqrt(n))
        for name, sign in (("isr_up", 1), ("isr_down", -1)):
            moved = sign * (weights[name] - 1.0) * (pt > threshold)
            assert moved.mean() > 4 * moved.std() / np.sqrt(n)


COUNTED = {
    "w": {"all": lambda e: np.ones(len(e)), "jets": lambda e: jet_multiplicity(e) > 0, "HT": lambda e: ht(e) > 60},
    "tt": {
        "all": lambda e: np.ones(len(e)),
        "jets": lambda e: jet_multiplicity(e) > 4,
        "HT": lambda e: ht(e) > 300,
    },
}


def counted(folder: Path, name: str, n: int, extra: tuple[str, ...], weights: bool) -> tuple[Events, int]:
    """Selected events, and how many were generated."""
    process = load_processes()[name]
    process = process.model_copy(update={"settings": (*process.settings, *extra), "shard_size": n})
    config = SimulationConfig(test={name: n}, shard_size=n, underlying_events=1000, shower_weights=weights)
    libraries = plan_libraries(config, {name: process}, folder, 1)
    [make_library(library) for library in libraries if not valid_library(library)]
    [job] = plan_shards(config, {name: process}, folder, 1, libraries)
    events, account = generate(job)
    return select(events), account["generated"]


@pytest.mark.slow
@pytest.mark.parametrize(("process", "shower", "n"), [("w", "isr", 5000), ("tt", "fsr", 2000)])
def test_jets_of_selected_events_are_those_of_the_other_scale(
    process: str, shower: str, n: int, tmp_path: Path
) -> None:
    """Rates per generated event, weights against showers at that scale, within 4 standard errors.

    What the weights take back for soft emissions is less than these: docs/validation/simulation.md.
    """
    events, tries = counted(tmp_path, process, n, (), True)
    for name in (f"{shower}_up", f"{shower}_down"):
        other, others = counted(tmp_path, process, n, (DIRECT[name],), False)
        for what, passes in COUNTED[process].items():
            weight = events.record[name] * passes(events)
            rate, direct = weight.sum() / tries, passes(other).sum() / others
            error = np.sqrt(np.sum(weight**2) / tries**2 + direct / others)
            assert rate == pytest.approx(direct, abs=4 * error), (name, what)
