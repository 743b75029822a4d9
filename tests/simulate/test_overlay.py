"""The overlaid underlying event: added to every event, turned and reflected, otherwise untouched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.simulate.overlay import UnderlyingEvents
from unseen.simulate.particles import Particles


def particles(counts: list[int], seed: int, first_id: int) -> Particles:
    rng = np.random.default_rng(seed)
    n = sum(counts)
    p = rng.normal(size=(n, 4))
    p[:, 3] = np.linalg.norm(p[:, :3], axis=1)
    return Particles(np.concatenate([[0], np.cumsum(counts)]), np.arange(first_id, first_id + n, dtype=np.int32), p)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 2**32),
)
def test_events_keep_their_particles_and_get_one_library_event(hard: list[int], soft: list[int], seed: int) -> None:
    events, library = particles(hard, seed, 1000), particles(soft, seed + 1, 0)
    full = UnderlyingEvents(library).overlay(events, np.random.default_rng(seed))
    assert len(full) == len(events)
    for i in range(len(events)):
        mine, all_of_it = events.take(np.array([i])), full.take(np.array([i]))
        own = all_of_it.id >= 1000
        np.testing.assert_array_equal(all_of_it.id[own], mine.id)
        np.testing.assert_array_equal(all_of_it.p[own], mine.p)
        added = all_of_it.p[~own]
        source = library.take(library.event[all_of_it.id[~own][:1]])
        np.testing.assert_array_equal(all_of_it.id[~own], source.id)
        np.testing.assert_array_equal(added[:, 3], source.p[:, 3])
        # A rotation about the beam keeps all products of transverse momenta and the sense of rotation.
        x, y = added[:, :2], source.p[:, :2]
        np.testing.assert_allclose(x @ x.T, y @ y.T, atol=1e-12)
        np.testing.assert_allclose(x @ [-x[0, 1], x[0, 0]], y @ [-y[0, 1], y[0, 0]], atol=1e-12)
        side = np.sign(added[0, 2] * source.p[0, 2])
        np.testing.assert_array_equal(added[:, 2], side * source.p[:, 2])


def test_orientations_and_choices_are_uniform() -> None:
    library = Particles(np.array([0, 1, 2]), np.array([1, 2], np.int32), np.array([[3.0, 0, 4, 5], [0, 2, 1, 3]]))
    n = 4000
    empty = Particles(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros((0, 4)))
    full = UnderlyingEvents(library).overlay(empty, np.random.default_rng(0))
    angle = np.arctan2(full.p[:, 1], full.p[:, 0])
    error = 1 / np.sqrt(2 * n)
    for harmonic in (1, 2, 3):
        assert abs(np.mean(np.exp(1j * harmonic * angle))) < 5 * error
    assert np.mean(full.id == 1) == pytest.approx(0.5, abs=5 * error)
    assert np.mean(full.p[:, 2] > 0) == pytest.approx(0.5, abs=5 * error)
    forward = full.p[:, 2] > 0
    assert abs(np.corrcoef(forward, full.id == 1)[0, 1]) < 5 / np.sqrt(n)


def test_a_library_survives_the_disk_in_single_precision(tmp_path: Path) -> None:
    library = UnderlyingEvents(particles([2, 0, 3], 1, 0))
    library.save(tmp_path / "u.npz")
    again = UnderlyingEvents.load(tmp_path / "u.npz")
    np.testing.assert_array_equal(again.events.offsets, library.events.offsets)
    np.testing.assert_array_equal(again.events.id, library.events.id)
    np.testing.assert_allclose(again.events.p, library.events.p, rtol=1e-6)
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "u.npz").read_bytes()
