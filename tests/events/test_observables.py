from __future__ import annotations

import numpy as np
import pytest

from unseen.events import Events
from unseen.events.observables import OBSERVABLES, dilepton_mass


def test_values_of_two_known_events(two_events: Events) -> None:
    expected = {
        "leading_lepton_pt": [50, 30],
        "met": [40, 10],
        "ht": [85, 0],
        "jet_multiplicity": [2, 0],
        "lepton_multiplicity": [2, 1],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(OBSERVABLES[name].values(two_events), values)


def test_masses_against_four_vectors(two_events: Events) -> None:
    def vector(pt: float, eta: float, phi: float) -> np.ndarray:
        p = pt * np.array([np.cos(phi), np.sin(phi), np.sinh(eta)])
        return np.array([np.sqrt(p @ p + 0.10566**2), *p])

    total = vector(50, 1, 0) + vector(45, -1, 3)
    mass = np.sqrt(total[0] ** 2 - total[1:] @ total[1:])
    np.testing.assert_allclose(dilepton_mass(two_events), [mass, np.nan], rtol=1e-6)
    transverse = OBSERVABLES["transverse_mass"].values(two_events)
    np.testing.assert_allclose(transverse[0], np.sqrt(2 * 50 * 40 * (1 - np.cos(1.0))), rtol=1e-6)


@pytest.mark.parametrize("name", OBSERVABLES)
def test_every_observable_takes_any_events(name: str, w_events: Events) -> None:
    observable = OBSERVABLES[name]
    assert observable.values(w_events).shape == (150,)
    assert observable.values(w_events[:0]).shape == (0,)
    assert np.all(np.diff(observable.edges) > 0)
