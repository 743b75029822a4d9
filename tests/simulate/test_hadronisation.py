"""The same partons hadronised several times: what copies share, what they do not, and that each is a fresh event."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from unseen.simulate.hadronisation import Rehadronising
from unseen.simulate.hooks import lepton_hook
from unseen.simulate.pythia import FIDELITY, Generator, RawBatch
from unseen.simulate.truth import hard_process

W = ("WeakSingleBoson:ffbar2W=on", "24:onMode=off", "24:onIfAny=13")
TAUS = ("WeakSingleBoson:ffbar2gmZ=on", "23:onMode=off", "23:onIfAny=15", "PhaseSpace:mHatMin=60")
TOP = ("Top:gg2ttbar=on",)
TIMES = 3
PROTON, NEUTRON = 2212, 2112


def rehadronising(settings: tuple[str, ...] = W, seed: int = 1, fidelity: str = "fast", hook: Any = None) -> Any:
    return Rehadronising("test", (*settings, *FIDELITY[fidelity]), seed, hook, TIMES, seed + 100)


def total(batch: RawBatch, weights: Any) -> np.ndarray:
    final = batch.final()
    return np.bincount(final.event, weights=weights(final), minlength=len(final))


def net_baryons(particles: Any) -> np.ndarray:
    return np.where(np.isin(np.abs(particles.id), (PROTON, NEUTRON)), np.sign(particles.id), 0)


@pytest.mark.parametrize("fidelity", ["fast", "full"])
def test_copies_share_the_partons_and_nothing_is_lost(fidelity: str) -> None:
    """In full fidelity beam remnants have junctions; when searched for anew, one event in eight was not hadronised."""
    batch = rehadronising(fidelity=fidelity).batch(20)
    assert batch.generated == 20
    np.testing.assert_array_equal(batch.parent, np.repeat(np.arange(20), TIMES))
    hard = batch.p[batch.offsets[:-1][:, None] + np.arange(3, 8)].reshape(20, TIMES, -1)
    np.testing.assert_array_equal(hard, np.broadcast_to(hard[:, :1], hard.shape))
    truth = hard_process(batch)
    assert np.median(truth["m_hat"]) == pytest.approx(80, abs=3)
    assert all(len(np.unique(truth["m_hat"][batch.parent == one])) == 1 for one in range(20))
    energies = total(batch, lambda final: final.p[:, 3])
    np.testing.assert_allclose(energies, 13_000.0, atol=0.5)
    np.testing.assert_array_equal(total(batch, net_baryons), 2)
    hadrons = total(batch, lambda final: np.hypot(final.p[:, 0], final.p[:, 1])).reshape(20, TIMES)
    assert all(len(np.unique(one)) == TIMES for one in hadrons)


def test_each_copy_looks_like_an_event_made_in_one_go() -> None:
    """ttbar: decays of tops, jets, heavy hadrons and taus."""
    n = 150
    copies = rehadronising(TOP).batch(n)
    whole = Generator("test", (*TOP, *FIDELITY["fast"]), 5).batch(2 * n)
    for weights in (
        lambda final: np.ones(len(final.id)),
        lambda final: np.hypot(final.p[:, 0], final.p[:, 1]),
        lambda final: np.isin(np.abs(final.id), (321, 310, 130)).astype(float),
        lambda final: np.isin(np.abs(final.id), (11, 13)).astype(float),
    ):
        a, b = total(copies, weights).reshape(n, TIMES).mean(axis=1), total(whole, weights)
        assert a.mean() == pytest.approx(b.mean(), abs=4 * np.hypot(a.std() / n**0.5, b.std() / (2 * n) ** 0.5))


def test_taus_decay_anew_and_are_counted_in_each_copy() -> None:
    batch = rehadronising(TAUS).batch(30)
    assert (hard_process(batch)["n_taus"] == 2).all()
    leptons = total(batch, lambda final: np.isin(np.abs(final.id), (11, 13)).astype(float)).reshape(30, TIMES)
    assert np.mean(leptons.std(axis=1) > 0) > 0.3  # two of three decays are hadronic: most events show both kinds


def test_hooks_veto_partons_and_outlive_the_collector() -> None:
    nothing = rehadronising((*W, "Check:abortIfVeto=on"), hook=lepton_hook(6000.0))
    gc.collect()
    for _ in range(2):
        empty = nothing.batch(20)
        assert (empty.generated, len(empty.offsets), len(empty.parent)) == (0, 1, 0)
        assert {len(values) for values in hard_process(empty).values()} == {0}
    some = rehadronising((*W, "Check:abortIfVeto=on"), hook=lepton_hook(25.0)).batch(60)
    assert 10 < some.generated < 60
    final = some.final()
    hardest = np.zeros(len(final))
    np.maximum.at(hardest, final.event, np.where(np.abs(final.id) == 13, np.hypot(final.p[:, 0], final.p[:, 1]), 0.0))
    assert (hardest > 25.0).all()


def test_equal_seeds_give_equal_events_and_batches_go_on() -> None:
    one, two = rehadronising(), rehadronising()
    for _ in range(2):
        a, b = one.batch(10), two.batch(10)
        np.testing.assert_array_equal(a.p, b.p)
    assert not np.array_equal(a.p, one.batch(10).p)
    whole = Generator("test", (*W, *FIDELITY["fast"]), 5)
    whole.batch(30)
    assert one.cross_section()[0] == pytest.approx(whole.cross_section()[0], rel=0.3)


class Failing:
    """A Pythia that cannot hadronise every fourth event."""

    def __init__(self, pythia: Any):
        self._pythia, self._calls = pythia, 0

    @property
    def event(self) -> Any:
        return self._pythia.event

    @event.setter
    def event(self, event: Any) -> None:
        self._pythia.event = event

    def forceHadronLevel(self, find_junctions: bool) -> bool:  # noqa: N802
        self._calls += 1
        return bool(self._pythia.forceHadronLevel(find_junctions)) and self._calls % 4 != 0


def test_a_copy_that_cannot_be_hadronised_is_left_out() -> None:
    healthy, sick = rehadronising(), rehadronising()
    sick._copies.pythia = Failing(sick._copies.pythia)
    complete, rest = healthy.batch(8), sick.batch(8)
    kept = np.flatnonzero(np.arange(24) % 4 != 3)
    assert (rest.generated, len(rest.offsets)) == (8, 19)
    np.testing.assert_array_equal(rest.parent, complete.parent[kept])
    np.testing.assert_array_equal(rest.final().p, complete.final().take(kept).p)
    for name, values in hard_process(rest).items():
        np.testing.assert_array_equal(values, hard_process(complete)[name][kept])
