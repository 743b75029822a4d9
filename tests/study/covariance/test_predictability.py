from __future__ import annotations

import numpy as np
import pytest

from tests.study.covariance.gaussian import SHIFT, at, delta, nominal, wrong_delta
from unseen.errors import ShapeError
from unseen.study.covariance import nu_grid, predictability
from unseen.study.covariance.moments import latent_moments, moment_influence, moment_names


def test_moments_follow_a_right_ratio_and_not_a_wrong_one() -> None:
    x = nominal(40_000, 1, d=2)
    points = [at(x, *nu) for nu in nu_grid(2)]
    found = {fit.name: fit for fit in predictability(at(x, 0.0, 0.0), points, delta)}
    mean = found["mean z0"]
    assert mean.moves
    assert mean.r2 is not None
    assert mean.r2_polynomial is not None
    assert mean.noise is not None
    assert mean.r2 > 0.99
    assert mean.r2_polynomial > 0.9999
    assert mean.noise < 0.01
    assert mean.observed[0] == pytest.approx(-2 * SHIFT)
    assert [name for name, fit in found.items() if fit.moves] == ["mean z0"]
    wrong = {fit.name: fit for fit in predictability(at(x, 0.0, 0.0), points, wrong_delta)}["mean z0"]
    assert wrong.r2 is not None
    assert 0.6 < wrong.r2 < 0.85


def test_moments_are_numpys_and_their_errors_those_of_resampling() -> None:
    rng = np.random.default_rng(2)
    z = rng.normal(size=(2000, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]])
    ones = np.ones(len(z))
    found = latent_moments(z, ones)
    corr = np.corrcoef(z.T)[np.triu_indices(3, 1)]
    assert found == pytest.approx(np.concatenate([z.mean(0), z.std(0), corr]))
    assert len(moment_names(3)) == len(found)
    error = np.sqrt(np.square(moment_influence(z, ones)).sum(axis=0))
    drawn = [latent_moments(z, rng.poisson(1.0, len(z)).astype(float)) for _ in range(400)]
    assert error == pytest.approx(np.std(drawn, axis=0), rel=0.2)  # 400 draws: 3.5 % each


def test_other_events_are_refused() -> None:
    x = nominal(1000, 3)
    with pytest.raises(ShapeError):
        predictability(at(x, 0.0, 0.0), [at(x[:-1], 1.0, 0.0)], delta)
