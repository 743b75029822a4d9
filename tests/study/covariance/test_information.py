from __future__ import annotations

import numpy as np
import pytest

from tests.study.covariance.gaussian import SHIFT, STRETCH, at, delta, nominal
from unseen.errors import ShapeError
from unseen.search.validate import Floats
from unseen.study.covariance import Information, information, information_kept
from unseen.study.covariance.moved import Delta

N = 40_000


def of(function: Delta, x: Floats) -> Information:
    steps = [(at(x, 1.0, 0.0), at(x, -1.0, 0.0)), (at(x, 0.0, 1.0), at(x, 0.0, -1.0))]
    return information(function, at(x, 0.0, 0.0), steps)


def test_the_information_of_the_gaussian_is_in_closed_form() -> None:
    found = of(delta, nominal(N, 1))
    assert np.diagonal(found.fisher) == pytest.approx([SHIFT**2, STRETCH**2], rel=0.03)  # 1 / sqrt(N / 2) = 0.7 %
    assert found.realised == pytest.approx([SHIFT**2, STRETCH**2], rel=0.03)


def test_a_delta_that_follows_noise_claims_information_that_it_does_not_realise() -> None:
    rng = np.random.default_rng(2)

    def noisy(z: Floats) -> tuple[Floats, None]:
        linear = delta(z).linear
        return linear + np.column_stack([rng.normal(0.0, SHIFT, len(z)), np.zeros(len(z))]), None

    found = of(noisy, nominal(N, 3))
    assert found.fisher[0, 0] == pytest.approx(2 * SHIFT**2, rel=0.05)
    assert found.realised is not None
    assert found.realised[0] == pytest.approx(SHIFT**2 / 2, rel=0.1)


def test_what_an_embedding_forgets_is_missing() -> None:
    """z = x + noise of equal width knows half of what x knows of the mean."""
    x, noise = nominal(N, 4), nominal(N, 5)

    def blurred(z: Floats) -> tuple[Floats, None]:
        return np.column_stack([SHIFT * z[:, 0] / 2, np.full(len(z), STRETCH)]), None

    steps = [(at(x + noise, *nu), at(x + noise, *(-v for v in nu))) for nu in ((1.0, 0.0), (0.0, 1.0))]
    embedded = information(blurred, at(x + noise, 0.0, 0.0), steps)
    renamed = of(lambda z: (delta(z).linear, None), x)
    kept = information_kept(embedded, renamed)
    assert kept.fisher == pytest.approx((0.5, 1.0), rel=0.05)
    assert kept.realised == pytest.approx((0.5, 1.0), rel=0.05)
    with pytest.raises(ShapeError):
        information_kept(embedded, of(delta, x))
