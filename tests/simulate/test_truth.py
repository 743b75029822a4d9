"""Simulation truths, on event records made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from unseen.simulate.particles import Particles
from unseen.simulate.truth import final_state, hard_process


def events(*content: list[tuple[int, float, float]]) -> Particles:
    """(PDG code, px, py) of massless central particles, a list per event."""
    rows = [row for event in content for row in event]
    p = np.array([(x, y, 0.0, np.hypot(x, y)) for _, x, y in rows]).reshape(-1, 4)
    offsets = np.cumsum([0, *(len(event) for event in content)])
    return Particles(offsets, np.array([code for code, _, _ in rows], np.int32), p)


def test_the_hardest_lepton_and_the_neutrinos() -> None:
    found = final_state(
        events(
            [(13, 30.0, 0.0), (-11, 0.0, 40.0), (11, 5.0, 0.0), (12, 10.0, 0.0), (-14, 0.0, -10.0), (22, 90.0, 0.0)],
            [],
            [(211, 50.0, 0.0), (16, 3.0, 4.0), (1000022, 100.0, 0.0)],
            [(13, -9.0, 0.0)],
        )
    )
    assert found["true_lepton"].tolist() == [-11, 0, 0, 13]
    np.testing.assert_allclose(found["true_lepton_pt"], [40, 0, 0, 9])
    assert found["n_true_leptons"].tolist() == [2, 0, 0, 0]
    np.testing.assert_allclose(found["true_met"], [np.hypot(10, 10), 0, 5, 0], rtol=1e-6)


def test_no_events_have_no_truths() -> None:
    assert {len(values) for values in final_state(events()).values()} == {0}


def test_a_tau_counts_once_however_often_the_record_copies_it() -> None:
    """tau -> tau + photon -> decay in the first event; a tau that does not decay and none in the others."""
    codes = [90, 15, 15, 22, 16, -11, 90, -15, 90, 21]
    daughters = [0, 2, 4, 0, 0, 0, 0, 0, 0, 0]
    everything = Particles(np.array([0, 6, 8, 10]), np.array(codes, np.int32), np.ones((10, 4)))
    columns = {"daughter1": np.array(daughters)}
    information = {"pT2Hat": np.array([400.0, -1e-9, 0.0]), "mHat": np.array([91.0, 80.0, 20.0])}
    batch = SimpleNamespace(all=lambda: everything, column=columns.__getitem__, info=information.__getitem__)
    truth = hard_process(batch)
    assert truth["n_taus"].tolist() == [1, 0, 0]
    np.testing.assert_allclose(truth["pt_hat"], [20, 0, 0])
    np.testing.assert_allclose(truth["m_hat"], [91, 80, 20])
