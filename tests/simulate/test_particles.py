"""Flat particle columns and their kinematics."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from unseen.simulate.isolation import LeptonCut, cone_sum
from unseen.simulate.kinematics import boost, pseudorapidity, random_rotations, rotate
from unseen.simulate.particles import Particles, ragged_indices


def some(rng: np.random.Generator, counts: list[int]) -> Particles:
    n = sum(counts)
    p = np.concatenate([rng.normal(size=(n, 3)), rng.uniform(3, 9, (n, 1))], axis=1)
    return Particles(np.concatenate([[0], np.cumsum(counts)]), rng.integers(1, 99, n).astype(np.int32), p)


def test_ragged_indices() -> None:
    assert ragged_indices(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]


def test_take_where_merge_agree_with_awkward() -> None:
    rng = np.random.default_rng(0)
    a, b = some(rng, [3, 0, 2]), some(rng, [1, 2, 0])
    x, y = a.to_awkward(), b.to_awkward()
    assert ak.array_equal(a.take(np.array([2, 0, 0])).to_awkward(), x[[2, 0, 0]])
    assert ak.array_equal(a.where(a.id > 50).to_awkward(), x[x.id > 50])
    assert ak.array_equal(a.merge(b).to_awkward(), ak.concatenate([x, y], axis=1))
    assert ak.array_equal(Particles.concatenate([a, b]).to_awkward(), ak.concatenate([x, y]))
    order = rng.permutation(5)
    grouped = Particles.group(a.event[order], a.id[order], a.p[order], 3)
    assert grouped.counts.tolist() == [3, 0, 2]
    assert sorted(grouped.id[:3]) == sorted(a.id[:3])


def test_boost_from_rest_gives_the_frame_and_keeps_masses() -> None:
    rng = np.random.default_rng(1)
    frame = np.concatenate([rng.normal(scale=20, size=(50, 3)), np.zeros((50, 1))], axis=1)
    frame[:, 3] = np.sqrt(5.28**2 + np.sum(frame[:, :3] ** 2, axis=1))
    rest = np.zeros((50, 4))
    rest[:, 3] = 5.28
    np.testing.assert_allclose(boost(rest, frame), frame, rtol=1e-10)
    light = np.concatenate([rng.normal(size=(50, 3)), np.zeros((50, 1))], axis=1)
    light[:, 3] = np.linalg.norm(light[:, :3], axis=1)
    moved = boost(light, frame)
    np.testing.assert_allclose(moved[:, 3], np.linalg.norm(moved[:, :3], axis=1), rtol=1e-9)


def test_rotations_are_orthogonal_and_isotropic() -> None:
    rotation = random_rotations(4000, np.random.default_rng(2))
    np.testing.assert_allclose(
        rotation @ np.swapaxes(rotation, 1, 2), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-12
    )
    turned = rotate(np.tile([0.0, 0.0, 1.0, 1.0], (4000, 1)), rotation)
    assert np.abs(turned[:, :3].mean(axis=0)).max() < 5 / np.sqrt(3 * 4000)
    np.testing.assert_allclose((turned[:, :3] ** 2).mean(axis=0), 1 / 3, atol=0.03)


def test_pseudorapidity_along_the_beam_is_finite() -> None:
    assert np.isfinite(pseudorapidity(np.array([[0.0, 0.0, 100.0, 100.0]]))).all()


def test_cone_sum_takes_visible_particles_in_the_cone() -> None:
    def massless(pt: float, eta: float, phi: float) -> list[float]:
        return [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)]

    content = [
        (11, massless(30, 0, 3.1)),
        (211, massless(5, 0.1, -3.1)),  # in the cone, across the seam of phi
        (22, massless(4, 0.0, 3.05)),  # radiated: belongs to the electron
        (22, massless(3, 0.3, 3.1)),
        (211, massless(0.5, 0, 3.1)),  # too soft
        (14, massless(50, 0, 3.1)),  # invisible
        (211, massless(9, 0.5, 3.1)),  # outside
    ]
    p = np.array([momentum for _, momentum in content])
    events = Particles(np.array([0, 0, len(p)]), np.array([i for i, _ in content], np.int32), p)
    total = cone_sum(p[:1], events.id[:1], events, np.array([1]), LeptonCut(20.0))
    assert total == pytest.approx([38.0])
