"""Re-decay of heavy hadrons: the same events as brute force, in the right proportion."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.simulate.decays import HEAVY, DecayLibrary, make_decays
from unseen.simulate.isolation import LeptonCut, cone_sum
from unseen.simulate.kinematics import boost, random_rotations, rotate
from unseen.simulate.particles import Particles
from unseen.simulate.redecay import Candidates, complete, draw, find_candidates

CUT = LeptonCut(10.0)


@pytest.fixture(scope="module")
def library() -> DecayLibrary:
    return make_decays(seed=5, size=300)


def hadrons(n: int, per_event: int = 2) -> Particles:
    """Events with bottom and charm hadrons of a few momenta, and one pion in some of them."""
    rng = np.random.default_rng(3)
    total = n * per_event
    identity = rng.choice([521, -511, 411, -4122], total).astype(np.int32)
    pt, phi, eta = rng.choice([15.0, 25.0, 60.0], total), rng.uniform(-3, 3, total), rng.normal(size=total)
    mass = np.where(np.isin(np.abs(identity), [411, 4122]), 1.9, 5.28)
    p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), np.hypot(pt * np.cosh(eta), mass)], axis=1)
    events = Particles(per_event * np.arange(n + 1), identity, p)
    pion = p[::per_event] * 0.2
    pion[:, 3] = np.linalg.norm(pion[:, :3], axis=1)
    return events.merge(Particles(np.arange(n + 1), np.full(n, 211, np.int32), pion))


def brute_force(events: Particles, library: DecayLibrary, rng: np.random.Generator) -> np.ndarray:
    """Decay every hadron freely; pt of the hardest lepton that passes, 0 if none, per event."""
    rows = np.flatnonzero(np.isin(np.abs(events.id), HEAVY))
    kind = np.array([HEAVY.index(code) for code in np.abs(events.id[rows])])
    start = library.decay_start
    decay = start[kind] + rng.integers(0, np.diff(start)[kind])
    products = library.decays.take(decay)
    hadron = products.event
    p = boost(rotate(products.p, random_rotations(len(rows), rng)[hadron]), events.p[rows][hadron])
    owner = events.event[rows][hadron]
    fixed = events.where(~np.isin(np.abs(events.id), HEAVY))
    full = fixed.merge(Particles.group(owner, products.id, p, len(events)))
    pt = np.hypot(p[:, 0], p[:, 1])
    lepton = np.isin(np.abs(products.id), (11, 13)) & (pt > CUT.pt_min)
    lepton &= np.abs(np.arcsinh(p[:, 2] / pt)) < CUT.abs_eta_max
    chosen = np.flatnonzero(lepton)
    cone = cone_sum(p[chosen], products.id[chosen], full, owner[chosen], CUT)
    chosen = chosen[cone < (1 + CUT.isolation) * pt[chosen]]
    result = np.zeros(len(events))
    np.maximum.at(result, owner[chosen], pt[chosen])
    return result


def test_every_species_decays_and_most_make_leptons(library: DecayLibrary) -> None:
    assert len(library.decays) == 300 * len(HEAVY)
    assert (np.diff(library.decay_start) == 300).all()
    rates = dict(zip(HEAVY, library.leptons_per_decay, strict=True))
    assert 0.2 < rates[411] < 0.45  # D+: 16 % to e and to mu
    assert 0.08 < rates[421] < 0.25
    assert 0.3 < rates[521] < 0.75  # B+, with those of the charm that follows
    assert not np.isin(np.abs(library.decays.id), HEAVY).any()


def test_decays_conserve_momentum(library: DecayLibrary) -> None:
    total = np.add.reduceat(library.decays.p, library.decays.offsets[:-1])
    np.testing.assert_allclose(total[:, :3], 0.0, atol=1e-6)


def test_library_survives_the_disk(library: DecayLibrary, tmp_path) -> None:
    library.save(tmp_path / "a.npz")
    again = DecayLibrary.load(tmp_path / "a.npz")
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert np.array_equal(again.lepton_row, library.lepton_row)


def test_rate_and_spectrum_are_those_of_brute_force(library: DecayLibrary) -> None:
    n, repeat, cap = 400, 60, 0.5
    events, rng = hadrons(n), np.random.default_rng(7)
    truth = np.concatenate([brute_force(events, library, rng) for _ in range(3 * repeat)])
    truth = truth[truth > 0]
    expected, error = len(truth) / (3 * repeat), np.sqrt(len(truth)) / (3 * repeat)
    spectrum = []
    for _ in range(repeat):
        candidates = find_candidates(events, library, CUT, 50, rng)
        keep = candidates.probability(n) / cap
        assert keep.max() < 1.5
        full, _ = complete(events, library, candidates, draw(candidates, keep, 1, rng), CUT, rng)
        pt = np.hypot(full.p[:, 0], full.p[:, 1])
        lepton = np.isin(np.abs(full.id), (11, 13))
        hardest = np.zeros(len(full))
        np.maximum.at(hardest, full.event[lepton], pt[lepton])
        spectrum.append(hardest)
    found = np.concatenate(spectrum)
    rate, rate_error = cap * len(found) / repeat, cap * np.sqrt(len(found)) / repeat
    assert rate == pytest.approx(expected, abs=4 * np.hypot(error, rate_error))
    for threshold in (15.0, 25.0):
        a, b = np.mean(found > threshold), np.mean(truth > threshold)
        spread = np.sqrt(b * (1 - b) * (1 / len(found) + 1 / len(truth)))
        assert a == pytest.approx(b, abs=4 * spread + 0.01)


def test_draw_keeps_survivors_in_proportion_to_their_probability() -> None:
    weight = np.array([0.1, 0.3, 0.2])
    event = np.array([0, 0, 2])
    zero = np.zeros(3, np.int64)
    candidates = Candidates(event, zero, zero, zero, np.zeros((3, 3, 3)), weight)
    rng = np.random.default_rng(0)
    n = 4000
    rows = np.concatenate([draw(candidates, candidates.probability(3) / 0.8, 1, rng) for _ in range(n)])
    np.testing.assert_allclose(np.bincount(rows, minlength=3) / n, weight / 0.8, atol=0.03)
    assert len(draw(candidates, np.array([1.0, 0.0, 1.0]), 5, rng)) == 10


def test_antihadrons_decay_to_antiparticles(library: DecayLibrary) -> None:
    rng = np.random.default_rng(9)
    events = hadrons(300, per_event=1)
    candidates = find_candidates(events, library, CUT, 50, rng)
    rows = np.arange(len(candidates.event))
    full, kept = complete(events, library, candidates, rows, CUT, rng)
    charged = np.where(np.isin(np.abs(full.id), (11, 13)), -np.sign(full.id), 0)
    charged += np.where(np.isin(np.abs(full.id), (211, 321, 2212)), np.sign(full.id), 0)
    hadron_charge = {521: 1, 511: 0, -511: 0, 411: 1, -4122: -1}
    origin = events.id[candidates.hadron[kept]]
    expected = np.array([hadron_charge[int(code)] for code in origin]) + 1  # and the pion
    assert np.array_equal(np.bincount(full.event, weights=charged, minlength=len(full)), expected)
