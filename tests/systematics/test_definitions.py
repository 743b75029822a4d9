"""Every distortion against what it says it is, on samples with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.systematics.build import events, one
from unseen.events import ADC2021, Collection, Events, Schema
from unseen.systematics import NuisanceSet, attach_variation, interpolate
from unseen.systematics.noise import event_keys, normal, uniform
from unseen.systematics.resolution import stretch

JETS = ADC2021.slots("jets")


def test_scales_are_exact_at_one_sigma() -> None:
    sample = events(300)
    for name, collection, size in (("electron-scale", "electrons", 0.02), ("muon-scale", "muons", 0.02)):
        for nu, factor in ((1.0, 1 + size), (-1.0, 1 / (1 + size)), (2.0, (1 + size) ** 2)):
            moved = one(name).distort(sample, [nu])
            expected = sample.get(collection, "pt") * np.float32(factor)
            stays = moved.has(collection)
            np.testing.assert_allclose(moved.get(collection, "pt")[stays], expected[stays], rtol=1e-5)
    eta = sample.get("jets", "eta")
    expected = sample.get("jets", "pt") * (1.05 + 0.02 * (eta / 4) ** 2)
    moved = np.sort(one("jet-scale").distort(sample, [1.0]).get("jets", "pt"), axis=1)
    np.testing.assert_allclose(moved, np.sort(expected, axis=1), rtol=1e-5)


def _spectrum(n: int, sigma: float, seed: int) -> Events:
    """One jet per event: a true pt^-3 spectrum from 40 GeV on, measured with log-normal fluctuations of mean 1."""
    rng = np.random.default_rng(seed)
    true = 40.0 * rng.random(n) ** (-1 / 2)
    measured = true * np.exp(sigma * rng.standard_normal(n) - sigma**2 / 2)
    schema = Schema(name="jet", collections=(Collection(name="jets", slots=1, type=1),))
    objects = np.stack([measured, np.zeros(n), rng.uniform(-3.1, 3.1, n)], axis=1)[:, None]
    return Events.create(schema, objects, np.ones((n, 1), bool))


@pytest.mark.parametrize(("nu", "sigma"), [(-2.0, 0.2), (2.0, 0.1)])
def test_the_resolution_closes_on_the_spectrum_in_both_directions(nu: float, sigma: float) -> None:
    """Events measured with sigma, moved to sigma (1 + a), against events measured with that: rates in bins of pt.

    From 80 GeV on, where the edge of the true spectrum at 40 GeV, 3.4 standard deviations away, plays no part.
    A million events on each side, about 250,000 of them there: chi2 of 8 bins below 27, p = 7e-4 (the seeds are
    fixed). Unmoved, the rates are off by 3 %: about 100.
    """
    n, size = 1_000_000, 0.5
    a = float(stretch(torch.tensor(size * nu)))
    settings = {"size": size, "stochastic": 0.0, "noise": 0.0, "constant": float(np.sqrt(np.expm1(sigma**2)))}
    nuisance = NuisanceSet.parse([{"name": "jet-resolution", **settings}])
    nominal = _spectrum(n, sigma, seed=1)
    moved = nuisance.distort(nominal, [nu]).objects[:, 0, 0]
    target = _spectrum(n, sigma * (1 + a), seed=2).objects[:, 0, 0]
    edges = 80 * 1.2 ** np.arange(9)
    counts = [np.histogram(pt, edges)[0] for pt in (nominal.objects[:, 0, 0], moved, target)]
    chi2 = [float(((each - counts[2]) ** 2 / (each + counts[2])).sum()) for each in counts[:2]]
    assert chi2[1] < 27
    assert chi2[0] > 60


def test_pile_up_adds_at_its_rate_and_takes_as_much_away() -> None:
    """Jets per event, exponential above threshold as pile-up is: within 4 Poisson standard deviations."""
    n, rng = 60_000, np.random.default_rng(0)
    objects, present = np.zeros((n, 19, 3)), np.zeros((n, 19), bool)
    objects[:, JETS.start] = np.stack(
        [20.01 + rng.exponential(8.0, n), rng.uniform(-4, 4, n), rng.uniform(-3, 3, n)], 1
    )
    present[:, JETS.start] = rng.random(n) < 0.44
    objects[:, 0], present[:, 0] = (15.0, 0.0, 1.0), True
    objects[:, 0, 2] = rng.uniform(-3, 3, n)
    sample = Events.create(ADC2021, objects, present)
    nuisance = NuisanceSet.parse([{"name": "soft-pileup", "share": 0.5}])
    more, less = (nuisance.distort(sample, [nu]).has("jets").sum() - sample.has("jets").sum() for nu in (2.0, -2.0))
    added, lost = 0.11 * np.expm1(0.2) * n, 0.44 * 0.5 * 0.5 * -np.expm1(-0.2) * n
    assert abs(more - added) < 4 * np.sqrt(added)
    assert abs(-less - lost) < 4 * np.sqrt(lost)
    extra = nuisance.distort(sample, [2.0])
    new = extra.get("jets", "pt")[(extra.has("jets").sum(1) == 1) & ~sample.has("jets")[:, 0], 0]
    assert abs(new.mean() - 28) < 4 * 8 / np.sqrt(len(new))


@pytest.mark.parametrize("nu", [-4.0, 4.0])
def test_pile_up_changes_the_noise_of_the_met(nu: float) -> None:
    """Gaussian components of total width 22 GeV, of which 5 GeV are pile-up: the variance within 4 standard errors."""
    n, rng = 200_000, np.random.default_rng(1)
    x, y = 22.0 * rng.standard_normal((2, n))
    schema = Schema(
        name="met",
        collections=(Collection(name="met", slots=1, type=1), Collection(name="jets", slots=2, type=2, pt_min=20.0)),
    )
    objects, present = np.zeros((n, 3, 3)), np.zeros((n, 3), bool)
    objects[:, 0], present[:, 0] = np.stack([np.hypot(x, y), np.zeros(n), np.arctan2(y, x)], 1), True
    sample = Events.create(schema, objects, present)
    moved = NuisanceSet.parse([{"name": "soft-pileup", "met_noise": 10.0}]).distort(sample, [nu])
    pt, phi = moved.objects[:, 0, 0].astype(float), moved.objects[:, 0, 2]
    variance = np.concatenate([pt * np.cos(phi), pt * np.sin(phi)]).var()
    expected = 22.0**2 - 10.0**2 + 10.0**2 * np.exp(0.1 * nu)
    assert abs(variance - expected) < 4 * expected * np.sqrt(2 / (2 * n))


def test_the_unclustered_energy_scales() -> None:
    sample = events(200)
    moved = one("unclustered-met").distort(sample, [1.5])
    x, y = (sample.objects[..., 0] * trig(sample.objects[..., 2]) for trig in (np.cos, np.sin))
    after = moved.objects[:, 0]
    expected = np.stack([x[:, 0] + 0.15 * x.sum(1), y[:, 0] + 0.15 * y.sum(1)], 1)
    got = np.stack([after[:, 0] * np.cos(after[:, 2]), after[:, 0] * np.sin(after[:, 2])], 1)
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert np.array_equal(moved.objects[:, 1:], sample.objects[:, 1:])


def test_efficiency_and_normalisation_are_what_they_say(two_events: Events) -> None:
    """Two barrel muons in the first event, one barrel electron in the second."""
    np.testing.assert_allclose(one("lepton-efficiency").factor(two_events, [1.0]), [1.01**2, 1.01], rtol=1e-6)
    np.testing.assert_allclose(one("normalisation").factor(two_events, [-1.0]), 1 / 1.05, rtol=1e-6)
    only_w = NuisanceSet.parse([{"name": "normalisation", "label": "xsec-w", "size": 0.1, "processes": ["w"]}])
    np.testing.assert_allclose(only_w.factor(two_events, [2.0]), [1.0, 1.21], rtol=1e-6)


def test_interpolation_passes_through_its_points_and_has_no_kink() -> None:
    down, up = torch.tensor(-0.3), torch.tensor(0.5)
    points = torch.tensor([-1.0, 0.0, 1.0])
    torch.testing.assert_close(interpolate(points, down, up), torch.tensor([-0.3, 0.0, 0.5]))
    for edge in (-1.0, 1.0):
        slopes = []
        for side in (-1e-6, 1e-6):
            nu = torch.tensor(edge + side, dtype=torch.float64, requires_grad=True)
            slopes.append(torch.autograd.grad(interpolate(nu, down, up), nu)[0])
        torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-5)
    outside = interpolate(torch.tensor([2.0, 3.0, 4.0]), down, up)
    torch.testing.assert_close(outside[2] - outside[1], outside[1] - outside[0])


def test_weights_hit_up_and_down() -> None:
    sample = events(100)
    for nu, column in ((1.0, "isr_up"), (-1.0, "isr_down")):
        np.testing.assert_allclose(one("weights").factor(sample, [nu]), sample.record[column], rtol=1e-5)
        np.testing.assert_allclose(one("initial-shower").factor(sample, [nu]), sample.record[column], rtol=1e-5)
    assert (one("weights").factor(sample, [-5.0]) > 0).all()


def test_up_and_down_samples_come_back_at_one_sigma() -> None:
    """Samples made by the jet scale itself, in other orders of events and slots; the missing momentum with them."""
    sample = events(500, seed=4)
    plain = Events.create(sample.schema, sample.objects, sample.present, record={"source": sample.record["source"]})
    scale = one("jet-scale")
    up, down = scale.distort(plain, [1.0]), scale.distort(plain, [-1.0])
    ready = attach_variation(plain, "jes", up=up[::-1], down=down[np.random.default_rng(0).permutation(500)])
    varied = NuisanceSet.parse([{"name": "variation", "label": "jes", "up": "jes_up", "down": "jes_down"}])
    for nu in (-1.0, 1.0, 2.0):
        expected, got = scale.distort(plain, [nu]), varied.distort(ready, [nu])
        assert np.array_equal(got.present, expected.present)
        # Beyond one sigma the vector of the MET goes on linearly, the scale exponentially.
        compared = slice(0 if abs(nu) <= 1 else 1, None)
        np.testing.assert_allclose(got.objects[:, compared], expected.objects[:, compared], rtol=2e-3, atol=0.05)
    mirrored = attach_variation(plain, "jes", up=up, symmetric=True)
    one_sided = NuisanceSet.parse([{"name": "variation", "up": "jes_up", "symmetric": True}])
    np.testing.assert_allclose(
        one_sided.distort(mirrored, [-1.0]).get("jets", "pt").sum(), down.get("jets", "pt").sum(), rtol=1e-2
    )


def test_random_numbers_are_uniform_normal_and_independent() -> None:
    """Means, variances and correlations within 4 standard errors; streams, slots and seeds differ."""
    sample = events(50_000, seed=8)
    pt, phi = torch.tensor(sample.objects[..., 0]), torch.tensor(sample.objects[..., 2])
    present = torch.tensor(sample.present)
    keys, other = (event_keys(pt, phi, present, seed) for seed in (0, 1))
    assert len(torch.unique(keys)) == 50_000
    u = uniform(keys, "a", 3).double()
    assert ((u > 0) & (u < 1)).all()
    assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * 150_000)
    z = torch.cat([normal(keys, "a", 2), normal(keys, "b", 1), normal(other, "a", 1)], dim=1).double().numpy()
    assert np.abs(z.mean(0)).max() < 4 / np.sqrt(50_000)
    assert np.abs(z.var(0) - 1).max() < 4 * np.sqrt(2 / 50_000)
    assert np.abs(np.corrcoef(z.T) - np.eye(4)).max() < 4.5 / np.sqrt(50_000)
    leading = np.corrcoef(z[:, 0], sample.objects[:, 0, 0])[0, 1]
    assert abs(leading) < 4 / np.sqrt(50_000)
