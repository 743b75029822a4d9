from __future__ import annotations

import numpy as np
from scipy import stats

from unseen.rivals import Points, signal_needed
from unseen.study.ceiling import CeilingEvents, ceiling_numbers, ceiling_points

N = 200.0


def test_the_learned_ceiling_is_near_the_exact_one_and_above_it() -> None:
    background, signal = stats.norm(0.0, 1.0), stats.norm(2.5, 0.3)
    rng = np.random.default_rng(1)
    b, s = (p.rvs((8000, 1), random_state=rng) for p in (background, signal))
    events = CeilingEvents(b[:4000], s[:1000], b[4000:], s[1000:3000])
    points = ceiling_points("bump", events, seed=1)
    found, notes = ceiling_numbers(points, N, np.random.default_rng(1))
    assert notes == []
    exact = signal_needed(Points.of_densities(background.pdf, signal.pdf, -6.0, 6.0), N, 3.0)
    # Learned from 1,000 events, on 4,000 of background: 15 % is more than two of the intervals it comes with.
    assert 0.9 * exact < found["n3"] < 1.25 * exact
    assert found["n2"] < found["n3"] < found["n5"]
    assert found["n3_low"] < found["n3"] < found["n3_high"] < 1.3 * found["n3"]
    # Shape alone knows less, and of a signal this narrow hardly less.
    shape, notes = ceiling_numbers(points, N, np.random.default_rng(1), shape=True)
    assert notes == []
    assert found["n3"] < shape["n3"] < 1.1 * found["n3"]
