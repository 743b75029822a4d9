"""Units of the features and widths of the kernels, chosen from the settings events."""

from __future__ import annotations

import numpy as np
import pytest

from tests.search.problems import mixture
from unseen.errors import ConfigError
from unseen.search import KernelTest, scale
from unseen.search.scale import Scale, choose_widths


def test_automatic_widths_are_percentiles_of_pairwise_distances() -> None:
    z = mixture(np.random.default_rng(4), 300)
    widths = choose_widths("auto", z, np.random.default_rng(0))
    d = np.sqrt(((z[:, None] - z[None]) ** 2).sum(2))[np.triu_indices(300, 1)]
    found = np.percentile(d, scale.AUTO_PERCENTILES)
    np.testing.assert_allclose(widths, [*found, 2.0 * found[-1]], rtol=1e-8)


def test_one_percentile_is_that_of_the_automatic_widths() -> None:
    z = mixture(np.random.default_rng(4), 300)
    automatic = choose_widths("auto", z, np.random.default_rng(0))
    assert choose_widths("percentile(90)", z, np.random.default_rng(0)) == (automatic[3],)
    assert choose_widths("percentile(1, 50)", z, np.random.default_rng(0)) == (automatic[0], automatic[2])


@pytest.mark.parametrize(
    "widths",
    [(), (1.0, -1.0), "wide", "percentile()", "percentile(0)", "percentile(101)", "percentile(x)", (float("nan"),)],
)
def test_bad_widths_are_named(widths: object) -> None:
    with pytest.raises(ConfigError, match="widths"):
        choose_widths(widths, mixture(np.random.default_rng(5), 50), np.random.default_rng(0))


def test_scale_standardises_with_weights_and_survives_constants() -> None:
    rng = np.random.default_rng(6)
    x = np.column_stack([rng.normal(5, 3, 1000), np.full(1000, 0.1)])
    w = rng.uniform(0, 1, 1000)
    scale = Scale.measure(x, w)
    z = scale(x)
    assert scale.constant == 1
    assert np.average(z[:, 0], weights=w) == pytest.approx(0, abs=1e-12)
    assert np.average(z[:, 0] ** 2, weights=w) == pytest.approx(1)


def test_the_penalty_of_automatic_widths_falls_with_their_square() -> None:
    """A kernel of amplitude a with penalty lambda is the test at that width with penalty lambda / a^2."""
    rng = np.random.default_rng(6)
    reference, data, settings = mixture(rng, 3000), mixture(rng, 300), mixture(rng, 400)
    options = {"n_centers": 60, "statistic": "linear", "rank_tolerance": 0.0}
    automatic = KernelTest(penalty=1e-5, **options).fit(reference, expected=300, settings=settings)
    found = automatic.statistic(data)
    unit = found.widths[3]  # the 90th percentile
    for k in (2, 3, 5):
        one = KernelTest(widths=found.widths[k], penalty=1e-5 * (unit / found.widths[k]) ** 2, **options)
        alone = one.fit(reference, expected=300, settings=settings).statistic(data)
        np.testing.assert_allclose(found.t[k], alone.t[0], rtol=1e-4)
