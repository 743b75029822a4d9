"""Each rival's statistic against its definition written out, or against a library's."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import mahalanobis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from tests.rivals.problems import draw_codes, naive_pairs
from unseen.errors import ConfigError, MissingExtraError, NotEnoughEventsError
from unseen.rivals import choose
from unseen.rivals.binned import Binned
from unseen.rivals.c2st import C2ST, auc
from unseen.rivals.flow import FlowCut
from unseen.rivals.knn import KNN
from unseen.rivals.mmd import MMD
from unseen.rivals.nplm_nn import NPLMNetwork, extended_loss, network
from unseen.rivals.score_cut import ScoreCut


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def attached(rival, x, rng):
    rival.train(rng.normal(size=(400, x.shape[1])), rng).attach(x)
    return rival


def test_mmd_is_the_unbiased_double_sum(rng: np.random.Generator) -> None:
    x, codes = rng.normal(size=(60, 3)), draw_codes(rng, 60, 30, 20, 2)
    rival = attached(MMD(), x, rng)
    got = rival.evaluate(codes, np.full(2, 20.0), [0, 1])
    z = rival._scale(x)
    for code, t in zip(codes, got[:, 0], strict=True):
        rr, rd, dd = naive_pairs(z, code, lambda r: float(np.exp(-0.5 * (r / rival.sigma) ** 2)))
        assert t == pytest.approx(30 * 20 / 50 * (rr + dd - 2 * rd), abs=1e-5)


def test_energy_is_the_unbiased_double_sum(rng: np.random.Generator) -> None:
    x, codes = rng.normal(size=(60, 3)), draw_codes(rng, 60, 30, 20, 2)
    rival = attached(choose("energy"), x, rng)
    got = rival.evaluate(codes, np.full(2, 20.0), [0, 1])
    for code, t in zip(codes, got[:, 0], strict=True):
        rr, rd, dd = naive_pairs(rival._scale(x), code, lambda r: r)
        assert t == pytest.approx(30 * 20 / 50 * (2 * rd - rr - dd), abs=1e-5)


@pytest.mark.parametrize("name", ["mmd", "energy"])
def test_blocks_of_single_precision_lose_nothing(rng: np.random.Generator, name: str) -> None:
    """Three blocks a side; the error is far below the null's spread."""
    m = 4500
    x, codes = rng.normal(size=(m, 4)), draw_codes(rng, m, 3000, 500, 4)
    rival = attached(choose(name), x, rng)
    got = rival.evaluate(codes, np.full(4, 500.0), range(4))[:, 0]
    z = rival._scale(x)
    for code, t in zip(codes, got, strict=True):
        r, d = z[code > 0], z[code < 0]

        def total(a: np.ndarray, b: np.ndarray) -> float:
            squares = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)
            k = -np.sqrt(squares) if name == "energy" else np.exp(-0.5 * squares / rival.sigma**2)
            if a is b:
                np.fill_diagonal(k, 0.0)
            return float(k.sum())

        exact = total(r, r) / (3000 * 2999) + total(d, d) / (500 * 499) - 2 * total(r, d) / (3000 * 500)
        assert t == pytest.approx(3000 * 500 / 3500 * exact, abs=2e-3 * got.std())


def test_energy_in_one_dimension_agrees_with_scipy(rng: np.random.Generator) -> None:
    x = rng.normal(size=(90, 1))
    x[50:] += 0.5
    rival = attached(choose("energy"), x, rng)
    codes = np.repeat(np.array([[1, -1]], dtype=np.int8), [50, 40], axis=1)
    t = rival.evaluate(codes, np.array([40.0]), [0])[0, 0]
    r, d = (rival._scale(x)[codes[0] == c, 0] for c in (1, -1))
    v_statistic = stats.energy_distance(r, d) ** 2
    # scipy pairs each event with itself too: its mean distances within a sample are (n - 1) / n of the unbiased ones
    within = [np.abs(a[:, None] - a).sum() * (1 / (len(a) * (len(a) - 1)) - 1 / len(a) ** 2) for a in (r, d)]
    assert t == pytest.approx(50 * 40 / 90 * (v_statistic - sum(within)), rel=1e-4)


def test_mahalanobis_agrees_with_scipy(rng: np.random.Generator) -> None:
    training = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)) + 4.0
    x, codes = rng.normal(size=(100, 3)) + 4.0, draw_codes(rng, 100, 50, 30, 3)
    rival = choose("mahalanobis").train(training, rng)
    rival.attach(x)
    got = rival.evaluate(codes, np.full(3, 30.0), range(3))[:, 0]
    inverse = np.linalg.inv(np.cov(training, rowvar=False))
    means = [(x[code > 0].mean(0), x[code < 0].mean(0)) for code in codes]
    for t, (r, d) in zip(got, means, strict=True):
        assert t == pytest.approx(50 * 30 / 80 * mahalanobis(r, d, inverse) ** 2, rel=1e-9)


def test_mahalanobis_leaves_out_directions_without_spread(rng: np.random.Generator) -> None:
    x, codes = rng.normal(size=(100, 2)), draw_codes(rng, 100, 50, 30, 3)
    doubled = [np.concatenate([a, a[:, :1]], axis=1) for a in (rng.normal(size=(500, 2)), x)]
    plain = choose("mahalanobis").train(doubled[0][:, :2], rng)
    copied = choose("mahalanobis").train(doubled[0], rng)
    plain.attach(x)
    copied.attach(doubled[1])
    both = [rival.evaluate(codes, np.full(3, 30.0), range(3)) for rival in (plain, copied)]
    np.testing.assert_allclose(*both, rtol=1e-9)


def test_binned_in_one_dimension_by_hand(rng: np.random.Generator) -> None:
    training = rng.normal(size=(400, 1))
    x = rng.normal(size=(300, 1))
    rival = Binned(n_cells=4).train(training, rng)
    rival.attach(x)
    code = np.repeat(np.array([[1, -1]], dtype=np.int8), [240, 60], axis=1)
    edges = np.concatenate([[-np.inf], np.quantile(training[:, 0], [0.25, 0.5, 0.75]), [np.inf]])
    mu = np.histogram(x[:240, 0], edges)[0] * 50.0 / 240
    n = np.histogram(x[240:, 0], edges)[0]
    by_hand = sum(2 * (m - k + (k * np.log(k / m) if k else 0.0)) for m, k in zip(mu, n, strict=True))
    assert rival.evaluate(code, np.array([50.0]), [0])[0, 0] == pytest.approx(by_hand, rel=1e-9)


def test_binned_is_a_chi_squared_in_large_samples(rng: np.random.Generator) -> None:
    x, codes = rng.normal(size=(20_000, 2)), draw_codes(rng, 20_000, 18_000, 500, 200)
    rival = Binned(n_cells=10).train(rng.normal(size=(1000, 2)), rng)
    rival.attach(x)
    t = rival.evaluate(codes, np.full(200, 500.0), range(200))[:, 0]
    assert t.mean() == pytest.approx(9.0, rel=0.15)  # N_D is fixed here: one constraint


@pytest.mark.parametrize(("n_data", "m"), [(40, 200), (3, 2000)])
def test_knn_agrees_with_brute_force(rng: np.random.Generator, n_data: int, m: int) -> None:
    """Toys that use a small part of the union lack neighbours among those found once: the fallback is exact."""
    x, codes = rng.normal(size=(m, 2)), draw_codes(rng, m, 60, n_data, 5)
    codes[0] = np.where(codes[0] == 0, 1, codes[0])  # a full toy, so that few neighbours are looked up at first
    rival = attached(KNN(k=5), x, rng)
    got = [rival.evaluate(codes[[i]], np.array([1.0]), [0])[0, 0] for i in range(5)]
    z = rival._scale(x)
    for t, code in zip(got, codes, strict=True):
        rows = np.flatnonzero(code)
        distance = np.sqrt(((z[rows][:, None] - z[rows]) ** 2).sum(2))
        np.fill_diagonal(distance, np.inf)
        near = np.argsort(distance, axis=1)[:, :5]
        same = (code[rows][near] < 0)[code[rows] < 0].sum()
        q = (n_data - 1) / (len(rows) - 1)
        assert t == pytest.approx((same - n_data * 5 * q) / np.sqrt(n_data * 5 * q * (1 - q)))


def test_knn_fallback_is_used_and_exact(rng: np.random.Generator) -> None:
    x, codes = rng.normal(size=(300, 2)), draw_codes(rng, 300, 150, 50, 1)
    rival = attached(KNN(k=5), x, rng)
    usual = rival.evaluate(codes, np.array([50.0]), [0])
    rival._neighbours = rival._neighbours[:, :6]  # many events have fewer than five of these in the toy
    rival._find = lambda fraction: None
    np.testing.assert_allclose(rival.evaluate(codes, np.array([50.0]), [0]), usual)


def test_knn_needs_more_events_than_neighbours(rng: np.random.Generator) -> None:
    rival = attached(KNN(k=10), rng.normal(size=(20, 2)), rng)
    with pytest.raises(NotEnoughEventsError, match="lower k"):
        rival.evaluate(draw_codes(rng, 20, 6, 3, 1), np.array([3.0]), [0])


def test_auc_agrees_with_sklearn(rng: np.random.Generator) -> None:
    r, d = np.round(rng.normal(size=200), 1), np.round(rng.normal(0.3, 1, size=70), 1)
    label = np.repeat([0, 1], [200, 70])
    assert auc(r, d) == pytest.approx(roc_auc_score(label, np.concatenate([r, d])))


def test_c2st_judges_events_that_its_trees_have_not_seen(rng: np.random.Generator) -> None:
    """One fold written out with scikit-learn's own probabilities."""
    learn, judge = ((rng.normal(size=(200, 2)), rng.normal(0.7, 1, size=(60, 2))) for _ in range(2))
    got_auc, got_lr = C2ST(n_trees=10)._fold(learn, judge)
    trees = HistGradientBoostingClassifier(
        max_iter=10, max_leaf_nodes=8, l2_regularization=1.0, max_bins=64, early_stopping=False, class_weight="balanced"
    )
    trees.fit(np.concatenate(learn), np.repeat([0, 1], [200, 60]))
    p_r, p_d = (trees.predict_proba(x)[:, 1] for x in judge)
    assert got_auc == pytest.approx(roc_auc_score(np.repeat([0, 1], [200, 60]), np.concatenate([p_r, p_d])))
    ratio_r, ratio_d = p_r / (1 - p_r), p_d / (1 - p_d)
    assert got_lr == pytest.approx(2 * (np.log(ratio_d).sum() - 60 / 200 * (ratio_r - 1).sum()), rel=1e-6)


def test_the_network_loss_has_the_gradient_of_its_definition() -> None:
    torch.manual_seed(1)
    x, reference, data = (torch.randn(s, dtype=torch.float64) for s in ((2, 3, 8), (2, 8), (2, 8)))
    sizes = ((2, 4, 3), (2, 4, 1), (2, 1, 4), (2, 1, 1))
    parameters = tuple(torch.randn(s, dtype=torch.float64, requires_grad=True) for s in sizes)
    assert torch.autograd.gradcheck(
        lambda *p: extended_loss(network(x, p), reference.abs(), data.abs()), parameters, atol=1e-6
    )


def test_the_network_of_events_without_features_counts_them(rng: np.random.Generator) -> None:
    """With one value of x, exp f = N_D / N at the minimum: t is the Poisson likelihood ratio of the yield."""
    rival = NPLMNetwork(epochs=800).train(np.ones((50, 1)), rng)
    rival.attach(np.ones((200, 1)))
    code = np.repeat(np.array([[1, -1]], dtype=np.int8), [140, 60], axis=1)
    expected = 2 * (60 * np.log(60 / 40) - 60 + 40)
    assert rival.evaluate(code, np.array([40.0]), [0])[0, 0] == pytest.approx(expected, rel=1e-3)


def test_longer_training_of_the_network_never_lowers_t(rng: np.random.Generator) -> None:
    x, codes = rng.normal(size=(200, 2)), draw_codes(rng, 200, 100, 40, 4)
    t = [
        attached(NPLMNetwork(epochs=n), x, np.random.default_rng(2)).evaluate(codes, np.full(4, 40.0), range(4))
        for n in (1, 20, 100)
    ]
    assert (t[0] >= 0).all()
    assert (np.diff(t, axis=0) >= -1e-6).all()
    assert (t[2] > t[0]).all()


def test_a_network_that_overflows_is_refused() -> None:
    with pytest.raises(ConfigError, match="overflow"):
        NPLMNetwork(clip=20.0)


class FirstFeature(ScoreCut):
    name = "first_feature"
    columns = ("first_feature",)

    def _learn(self, z: np.ndarray, rng: np.random.Generator) -> None:
        pass

    def score(self, z: np.ndarray) -> np.ndarray:
        return z[:, 0]


def test_score_cut_counts_above_a_quantile(rng: np.random.Generator) -> None:
    rival = FirstFeature(cut=0.1).train(rng.normal(size=(4000, 1)), rng)
    assert rival.threshold == pytest.approx(stats.norm.isf(0.1), abs=0.1)
    x = np.repeat([-1.0, 5.0, -1.0, 5.0], [80, 20, 30, 10])[:, None]
    rival.attach(x)
    code = np.repeat(np.array([[1, -1]], dtype=np.int8), [100, 40], axis=1)
    more, fewer = (rival.evaluate(code, np.array([n]), [0])[0, 0] for n in (20.0, 80.0))  # mu = 4 and 16, n = 10
    assert more == pytest.approx(np.sqrt(2 * (4 - 10 + 10 * np.log(10 / 4))))
    assert fewer == pytest.approx(-np.sqrt(2 * (16 - 10 + 10 * np.log(10 / 16))))


def test_a_cut_needs_events_above_it(rng: np.random.Generator) -> None:
    with pytest.raises(NotEnoughEventsError, match="at least 200"):
        choose("isolation_forest").train(rng.normal(size=(199, 2)), rng)


def test_flow_without_zuko_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(MissingExtraError, match=r"unseen\[rivals\]"):
        choose("flow")


def test_flow_learns_a_density(rng: np.random.Generator) -> None:
    """-log p of a unit Gaussian, learned from a thousand events."""
    rival = FlowCut(epochs=25)
    rival._learn(rng.normal(size=(1500, 2)), rng)
    z = rng.normal(size=(500, 2))
    exact = -stats.norm.logpdf(z).sum(axis=1)
    assert np.corrcoef(rival.score(z), exact)[0, 1] > 0.9
