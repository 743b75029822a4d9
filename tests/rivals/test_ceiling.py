"""The test that knows the signal: its exact power, and how close a learned likelihood ratio comes to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.rivals.problems import Floats, draw_codes
from unseen.errors import ConfigError, NonFiniteError, NotEnoughEventsError, OverlapError, ShapeError
from unseen.rivals import Ceiling, Points, exact_power, signal_needed
from unseen.rivals.ceiling import LogRatio
from unseen.rivals.supervised import learn_log_ratio

EXPECTED = 2000.0
AGREEMENT = 0.03  # of a learned N_2 or N_3 with the closed form's
BACKGROUND, SIGNAL = stats.norm(0.0, 1.0), stats.norm(2.0, 0.3)
CENTRE, WIDTH = 1.0, 0.4  # the signal in four dimensions


def log_ratio_1d(x: Floats) -> Floats:
    return SIGNAL.logpdf(x[:, 0]) - BACKGROUND.logpdf(x[:, 0])


def log_ratio_4d(x: Floats) -> Floats:
    return (stats.norm.logpdf(x, CENTRE, WIDTH) - stats.norm.logpdf(x)).sum(axis=1)


def points_4d(x: Floats, log_ratio: LogRatio = log_ratio_4d) -> Points:
    """Return points for events `x`, half background and half signal: reweighted, they populate the tail of r well."""
    share = 1 / (1 + np.exp(-log_ratio_4d(x)))
    return Points(log_ratio(x), (1 - share) / (1 - share).sum(), share / share.sum())


def mixed_4d(rng: np.random.Generator, n: int) -> Floats:
    return np.concatenate([rng.normal(size=(n, 4)), rng.normal(CENTRE, WIDTH, size=(n, 4))])


def points_1d() -> Points:
    return Points.of_densities(BACKGROUND.pdf, SIGNAL.pdf, -8.0, 8.0)


def test_t_is_the_extended_likelihood_ratio() -> None:
    rng = np.random.default_rng(1)
    x, codes = rng.normal(size=(100, 1)), draw_codes(rng, 100, 60, 30, 3)
    rival = Ceiling((5, 12.5), log_ratio_1d).train(rng.normal(3.0, 2.0, size=(50, 1)), rng)
    rival.attach(x)
    expected = np.array([30.0, 30.0, 33.0])
    got = rival.evaluate(codes, expected, range(3))
    assert rival.columns == ("ceiling_5", "ceiling_12.5")
    for i in range(3):
        d = x[codes[i] < 0, 0]
        for k, n in enumerate((5, 12.5)):
            ratio = (expected[i] * BACKGROUND.pdf(d) + n * SIGNAL.pdf(d)) / (expected[i] * BACKGROUND.pdf(d))
            assert got[i, k] == pytest.approx(2 * (np.log(ratio).sum() - n))


def test_a_ceiling_refuses_a_broken_ratio() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 1))
    for broken in (lambda z: np.full(len(z), np.nan), lambda z: np.zeros((len(z), 1))):
        with pytest.raises(ShapeError, match="log_ratio"):
            Ceiling(5, broken).train(x, rng).attach(x)
    with pytest.raises(ConfigError):
        Ceiling((), log_ratio_1d)
    with pytest.raises(ConfigError):
        Ceiling((5, -1), log_ratio_1d)
    with pytest.raises(ConfigError, match="once"):
        Ceiling((5, 5.0), log_ratio_1d)


def test_the_power_of_a_signal_like_background_is_that_of_counting() -> None:
    """With r = 1 the test counts events: P(T >= t) is Poisson."""
    power = exact_power(Points(np.zeros(1), np.ones(1), np.ones(1)), 50.0, 20, fluctuate=True)
    step = np.log(1 + 20 / 50)
    for n in (50, 65, 80, 110):
        below = np.searchsorted(power.t, 2 * ((n - 0.5) * step - 20))
        assert power.null[below] == pytest.approx(stats.poisson.sf(n - 1, 50), rel=1e-3)
        assert power.alternative[below] == pytest.approx(stats.poisson.sf(n - 1, 70), rel=1e-3)


@pytest.mark.parametrize("fluctuate", [False, True])
def test_exact_power_agrees_with_toys(fluctuate: bool) -> None:
    rng = np.random.default_rng(2)
    n, n_s, n_toys = 200.0, 15, 5000

    def toys(signal: bool) -> Floats:
        counts = rng.poisson(n, n_toys)
        added = rng.poisson(n_s, n_toys) if fluctuate else np.full(n_toys, n_s)
        t = []
        for b, s in zip(counts, added if signal else np.zeros(n_toys, int), strict=True):
            x = np.concatenate([rng.normal(size=b), rng.normal(2.0, 0.3, size=s)])
            t.append(2 * (np.logaddexp(0, np.log(n_s / n) + log_ratio_1d(x[:, None])).sum() - n_s))
        return np.array(t)

    power = exact_power(points_1d(), n, n_s, fluctuate=fluctuate)
    for survival, sample in ((power.null, toys(False)), (power.alternative, toys(True))):
        assert stats.kstest(sample, lambda t, sf=survival: 1 - np.interp(t, power.t, sf)).pvalue > 1e-3
    assert power.median_t == pytest.approx(np.interp(-0.5, -power.alternative, power.t), abs=1e-3)
    assert power.z == pytest.approx(stats.norm.isf(np.interp(power.median_t, power.t, power.null)), abs=1e-3)


def test_exact_power_of_shape_alone_agrees_with_toys() -> None:
    rng = np.random.default_rng(5)
    n, n_s, n_toys = 200, 15, 5000

    def toys(n_signal: int) -> Floats:
        x = rng.normal(size=(n_toys, n + n_s))
        x[:, :n_signal] = rng.normal(2.0, 0.3, size=(n_toys, n_signal))
        log_r = log_ratio_1d(x.reshape(-1, 1)).reshape(x.shape)
        return np.asarray(2 * (np.logaddexp(0, np.log(n_s / n) + log_r).sum(axis=1) - n_s))

    power = exact_power(points_1d(), n, n_s, shape=True)
    for survival, sample in ((power.null, toys(0)), (power.alternative, toys(n_s))):
        assert stats.kstest(sample, lambda t, sf=survival: 1 - np.interp(t, power.t, sf)).pvalue > 1e-3
    blind = exact_power(Points(np.zeros(1), np.ones(1), np.ones(1)), 50.0, 20, shape=True)
    assert abs(blind.z) < 0.1  # counting says nothing here
    with pytest.raises(ConfigError, match="shape or fluctuate"):
        exact_power(points_1d(), n, n_s, shape=True, fluctuate=True)


def test_needed_signal_is_where_the_median_crosses() -> None:
    points = points_1d()
    n_3 = signal_needed(points, EXPECTED, 3.0)
    low, high = int(np.floor(n_3)), int(np.ceil(n_3))
    assert exact_power(points, EXPECTED, low).z < 3.0 < exact_power(points, EXPECTED, high).z
    assert n_3 < signal_needed(points, EXPECTED, 5.0)
    # A poor man's check: events in a window of three signal widths, S / sqrt(B) = 3
    window = EXPECTED * (BACKGROUND.cdf(2.45) - BACKGROUND.cdf(1.55))
    assert 0.7 < n_3 / (3 * np.sqrt(window)) < 1.1


def test_needed_signal_has_named_errors() -> None:
    with pytest.raises(ConfigError, match="ends at"):
        signal_needed(points_1d(), EXPECTED, 9.0)
    blind = Points(np.array([-np.inf, -np.inf]), np.full(2, 0.5), np.full(2, 0.5))
    with pytest.raises(NotEnoughEventsError, match="does not see"):
        signal_needed(blind, EXPECTED, 3.0)
    with pytest.raises(NonFiniteError):
        exact_power(Points(np.array([np.nan]), np.ones(1), np.ones(1)), EXPECTED, 3)


def needed(points: Points) -> Floats:
    return np.array([signal_needed(points, EXPECTED, z) for z in (2.0, 3.0)])


def test_the_learned_ceiling_reaches_the_closed_form_in_one_dimension() -> None:
    rng = np.random.default_rng(3)
    learned = learn_log_ratio(rng.normal(size=(20_000, 1)), rng.normal(2.0, 0.3, size=(10_000, 1)), rng, steps=1000)
    exact = needed(points_1d())
    got = needed(Points.of_densities(BACKGROUND.pdf, SIGNAL.pdf, -8.0, 8.0, learned))
    assert (np.abs(got / exact - 1) < AGREEMENT).all()
    assert (got > exact * (1 - 1e-6)).all()  # Neyman and Pearson: nothing is better


def test_the_learned_ceiling_reaches_the_closed_form_in_four_dimensions() -> None:
    """Both powers from the same events; the exact one is checked with toys."""
    rng = np.random.default_rng(4)
    background, signal = (rng.normal(m, s, size=(n, 4)) for m, s, n in ((0, 1, 20_000), (CENTRE, WIDTH, 10_000)))
    learned = learn_log_ratio(background, signal, rng, steps=1000)
    x = mixed_4d(rng, 200_000)
    exact, got = needed(points_4d(x)), needed(points_4d(x, learned))
    assert (np.abs(got / exact - 1) < AGREEMENT).all()
    data = (rng.normal(size=(n, 4)) for n in rng.poisson(500, 2000))
    toys = [np.logaddexp(0, np.log(15 / 500) + log_ratio_4d(z)).sum() for z in data]
    power = exact_power(points_4d(x), 500.0, 15)
    sums = 0.5 * power.t + 15
    assert stats.kstest(toys, lambda t: 1 - np.interp(t, sums, power.null)).pvalue > 1e-3


def test_simulated_events_give_the_power_of_their_densities() -> None:
    rng = np.random.default_rng(5)
    points = Points.of_events(log_ratio_1d, rng.normal(size=(200_000, 1)), rng.normal(2.0, 0.3, size=(50_000, 1)))
    assert signal_needed(points, EXPECTED, 3.0) == pytest.approx(signal_needed(points_1d(), EXPECTED, 3.0), rel=0.02)


@pytest.mark.slow
def test_the_learned_ceiling_with_default_settings_and_toys() -> None:
    """Median Z of injections from the ceiling's own toys: at N_2, learned and exact, it is the computed one."""
    rng = np.random.default_rng(6)
    learn = rng.normal(size=(100_000, 4)), rng.normal(CENTRE, WIDTH, size=(50_000, 4))
    learned = learn_log_ratio(*learn, rng)
    x = mixed_4d(rng, 400_000)
    for ratio in (log_ratio_4d, learned):
        n = round(signal_needed(points_4d(x, ratio), EXPECTED, 2.0))
        z = exact_power(points_4d(x, ratio), EXPECTED, n).z

        def t(added: int, ratio=ratio, n: int = n) -> float:
            data = np.concatenate([rng.normal(size=(rng.poisson(EXPECTED), 4)), rng.normal(CENTRE, WIDTH, (added, 4))])
            return float(np.logaddexp(0, np.log(n / EXPECTED) + ratio(data)).sum())

        null = np.array([t(0) for _ in range(5000)])
        median = np.median([t(n) for _ in range(2000)])
        assert stats.norm.isf(np.mean(null >= median)) == pytest.approx(z, abs=0.1)


@pytest.mark.parametrize(
    ("background", "signal", "error"),
    [
        (np.ones((50, 2)), np.zeros((200, 2)), NotEnoughEventsError),
        (np.random.default_rng(1).normal(size=(200, 2)), np.zeros((200, 3)), ShapeError),
        (np.random.default_rng(1).normal(size=(200, 2)), np.random.default_rng(1).normal(size=(200, 2)), OverlapError),
        (np.random.default_rng(1).normal(size=(200, 2)), np.full((200, 2), np.nan), NonFiniteError),
    ],
)
def test_learning_has_named_errors(background: Floats, signal: Floats, error: type[Exception]) -> None:
    with pytest.raises(error):
        Ceiling.learn(background, signal, 5.0, np.random.default_rng(0))
