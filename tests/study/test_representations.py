from __future__ import annotations

import numpy as np
import pytest

from unseen.events import Events
from unseen.study import ANOMALIES, REPRESENTATIONS, StudyPools
from unseen.study.representations import everything, leading_pt


def test_leading_pt_of_events_done_by_hand(two_events: Events) -> None:
    found = np.expm1(leading_pt(two_events, two_events))
    np.testing.assert_allclose(found, [[40, 50, 45, 60, 25, 0], [10, 30, 0, 0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_an_event_is_represented_whatever_is_beside_it(name: str, pools: StudyPools) -> None:
    function = REPRESENTATIONS[name]
    x = function(pools.reference, pools.train)
    assert x.dtype == np.float64
    assert x.shape == (len(pools.reference), {"raw": 57, "leading_pt": 6}[name])
    assert np.isfinite(x).all()
    np.testing.assert_array_equal(function(pools.reference[5:9], pools.train), x[5:9])


def test_raw_is_what_an_encoder_gets(pools: StudyPools) -> None:
    x = REPRESENTATIONS["raw"](pools.train, pools.train).reshape(-1, 19, 3)
    assert (x[~pools.train.present] == 0).all()
    jets = pools.train.present[:, 9:]
    np.testing.assert_allclose(x[:, 9:][jets].mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(x[:, 9:][jets].std(axis=0), 1.0, atol=1e-4)
    assert everything(pools.train, pools.train).shape == (len(x), 76 + 66)  # slots x 4, and the features of the event


@pytest.mark.parametrize("name", ANOMALIES)
def test_an_anomaly_changes_events_and_nothing_else(name: str, pools: StudyPools) -> None:
    events = pools.toys
    changed = ANOMALIES[name](events, np.random.default_rng(1))
    again = ANOMALIES[name](events, np.random.default_rng(1))
    assert changed == again != events
    assert len(changed) == len(events)
    np.testing.assert_array_equal(changed.label, events.label)
    slots = {"hard_leptons": slice(1, 9), "shuffled_jets": slice(9, 19)}.get(name, slice(0, 1))
    kept = np.ones(19, bool)
    kept[slots] = False
    np.testing.assert_array_equal(changed.objects[:, kept], events.objects[:, kept])
    np.testing.assert_array_equal(changed.present[:, kept], events.present[:, kept])
    assert changed.present.sum() == events.present.sum()
