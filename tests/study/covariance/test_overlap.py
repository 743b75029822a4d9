from __future__ import annotations

import numpy as np
import pytest

from tests.study.covariance.gaussian import delta, nominal
from unseen.errors import NonFiniteError
from unseen.search.validate import Floats
from unseen.study.covariance import overlap

AWAY = np.array([0.4, 0.3])


def log_ratio(z: Floats) -> Floats:
    found: Floats = z @ AWAY - AWAY @ AWAY / 2
    return found


def test_angles_of_gaussians_are_in_closed_form() -> None:
    """The signal is N(AWAY, 1): <z_1, s> = AWAY_1 and |s|^2 = exp |AWAY|^2 - 1."""
    signal = nominal(20_000, 2, d=2) + AWAY
    found = overlap(nominal(40_000, 1, d=2), signal, delta, log_ratio, 100_000.0)
    expected = AWAY[0] / np.sqrt(np.expm1(AWAY @ AWAY))
    assert found.closest == "shift"
    assert found.cosine[0] == pytest.approx(expected, abs=4 * (found.high[0] - found.low[0]) / 2)
    assert found.high[0] - found.low[0] < 0.05
    assert found.cosine[1] == pytest.approx(0.0, abs=1e-6)  # a yield has no shape
    assert found.looks_like == pytest.approx(expected, abs=0.03)  # 100,000 events constrain nu well beyond its prior


def test_a_known_yield_counts() -> None:
    signal = nominal(5000, 3, d=2) + AWAY
    found = overlap(nominal(10_000, 4, d=2), signal, delta, log_ratio, 2000.0, yield_known=True)
    # Of a weak signal the yield is the largest part: <1, r> = 1 and |r| = exp(|AWAY|^2 / 2).
    assert found.cosine[1] == pytest.approx(np.exp(-AWAY @ AWAY / 2), abs=0.03)
    assert found.looks_like > max(found.cosine) - 0.1


def test_ratios_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NonFiniteError):
        overlap(nominal(100, 1), nominal(100, 2), delta, lambda z: np.full(len(z), np.nan), 100.0)
