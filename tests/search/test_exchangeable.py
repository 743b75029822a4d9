"""Data and toys are treated alike: a toy has the t that its events would have as data, and ranks are symmetric."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.search.problems import Floats, mixture, small_test
from unseen.search import KernelTest, Null, precondition
from unseen.search.calibration import gamma_log_p
from unseen.search.features import Features, make_map
from unseen.search.loss import Batch
from unseen.search.newton import damped_newton
from unseen.search.precondition import DataWhitener, Preconditioner, Shared, WithData, WithInverse
from unseen.search.solver import minimise
from unseen.search.statistic import chord_factor
from unseen.search.toys import plan_toys


def toys_as_data(
    test: KernelTest, reference: Floats, pool: Floats, settings: Floats, weights: Floats, plan_of: Null
) -> Floats:
    """Return t of every toy, from a test fitted to the toy's reference and asked for the toy's data."""
    fitted = test._need_fit()
    plan = plan_toys(
        plan_of.n_toys, fitted.expected, len(reference), len(pool), plan_of.reference, seed=1, n_data=plan_of.n_data
    )
    union = np.vstack([reference, pool])
    t = []
    for toy in range(plan.n_toys):
        rows, data = plan.draw(toy)
        own = KernelTest(**test.options)
        own.fit(union[rows], weights, expected=fitted.expected, settings=settings)
        t.append(own.statistic(union[data]).t)
    return np.array(t)


@pytest.mark.parametrize(
    ("statistic", "normalisation", "reference_option", "n_data"),
    [
        ("converged", "known", "redrawn", None),
        ("converged", "known", "fixed", None),
        ("converged", "free", "redrawn", 50),
        ("converged", "free", "fixed", None),
        ("one_step", "known", "redrawn", 50),
        ("one_step", "free", "fixed", None),
    ],
)
def test_a_toy_has_the_statistic_of_its_events_as_data(
    statistic: str, normalisation: str, reference_option: str, n_data: int | None
) -> None:
    rng = np.random.default_rng(1)
    reference, pool, settings = mixture(rng, 300), mixture(rng, 400), mixture(rng, 60)
    weights = rng.uniform(0.0, 1.0, 300) * (rng.random(300) > 0.1) if reference_option == "fixed" else np.ones(300)
    test = small_test(statistic=statistic, normalisation=normalisation, widths=(0.3, 1.5), n_centers=15)
    test.fit(reference, weights, expected=60, settings=settings)
    null = test.calibrate(pool, n_toys=10, reference=reference_option, n_data=n_data)
    expected = toys_as_data(test, reference, pool, settings, weights, null)
    np.testing.assert_allclose(null.t, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_centers", [20, 90])  # fewer and more directions than data events
def test_toys_started_from_their_own_data_are_converged(monkeypatch: pytest.MonkeyPatch, n_centers: int) -> None:
    rng = np.random.default_rng(2)
    reference, pool, settings = mixture(rng, 300), mixture(rng, 400), mixture(rng, n_centers)
    test = small_test(widths=0.2, n_centers=n_centers, penalty=1e-6)
    test.fit(reference, expected=60, settings=settings)
    monkeypatch.setattr(precondition, "SMALLEST_RANK", 1)
    null = test.calibrate(pool, n_toys=10)
    expected = toys_as_data(test, reference, pool, settings, np.ones(300), null)
    np.testing.assert_allclose(null.t, expected, rtol=1e-4, atol=1e-5)


def whitened_problem() -> tuple[Features, torch.Tensor, Batch, list[torch.Tensor]]:
    """Return features, H0's factor, a batch of two fits, and the rows that are their data."""
    rng = np.random.default_rng(3)
    phi = Features(make_map(mixture(rng, 30), 0.3, 1e-6, 1e-4), mixture(rng, 400), intercept=False, budget=2.0**30)
    factor = chord_factor(phi, torch.full((400,), 0.1, dtype=torch.float64), 460, 1e-5, share=0.25)
    draws = [torch.from_numpy(rng.choice(400, n, replace=False)) for n in (25, 60)]
    data = torch.zeros(400, 2, dtype=torch.float64)
    for toy, rows in enumerate(draws):
        data[rows, toy] = 1.0
    return phi, factor, Batch(phi, (1.0 - data) * 0.1, data, torch.full((phi.rank, 2), 5e-3).double()), draws


def test_both_forms_of_the_data_preconditioner_are_one_matrix() -> None:
    phi, factor, _, draws = whitened_problem()
    chosen = DataWhitener(phi, factor)(draws)
    assert isinstance(chosen, WithInverse)
    assert isinstance(DataWhitener(phi, factor)(draws[:1]), WithData)
    z = (
        torch.stack(
            [
                torch.linalg.solve_triangular(
                    factor, phi.take(r[:25].numpy()).project(torch.eye(phi.rank).double()).T, upper=False
                ).T
                for r in draws
            ]
        )
        / 2
    )
    g = torch.randn(phi.rank, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    forms: list[Preconditioner] = [kind.build(factor, z.float()) for kind in (WithData, WithInverse)]
    np.testing.assert_allclose(forms[0].solve(g), forms[1].solve(g), rtol=1e-3, atol=1e-4)
    last = torch.tensor([1])
    np.testing.assert_allclose(forms[1].keep(last).solve(g[:, 1:]), forms[1].solve(g)[:, 1:], rtol=1e-6)


def test_curvatures_beyond_float32_fall_back_to_the_shared_matrix() -> None:
    phi, factor, _, draws = whitened_problem()
    whitener = DataWhitener(phi, factor)
    whitener.rows *= 1e6
    assert isinstance(whitener(draws), Shared)


class Ascent:
    """A preconditioner that rounding has turned around."""

    def __init__(self, factor: torch.Tensor) -> None:
        self.factor = factor

    def solve(self, g: torch.Tensor) -> torch.Tensor:
        return -torch.cholesky_solve(g, self.factor)

    def keep(self, at: torch.Tensor) -> Ascent:
        return self


def test_a_direction_of_ascent_is_never_taken_for_the_minimum() -> None:
    phi, factor, batch, _ = whitened_problem()
    solution = minimise(batch, Ascent(factor))
    assert solution.converged.all()  # by Newton steps
    for toy in range(2):
        one = torch.tensor([toy])
        _, f, _ = damped_newton(batch.pick(one), torch.zeros(phi.rank, 1).double(), 1e-10)
        np.testing.assert_allclose(solution.f[:, toy], f[:, 0], atol=1e-4)
    assert float(solution.f.abs().max()) > 0.1


def test_swapping_the_data_with_a_toy_swaps_their_ranks() -> None:
    rng = np.random.default_rng(4)
    samples = rng.gamma(3.0, 4.0, (40, 3))
    first, rest = Null(samples[1:], "converged").combined(samples[0])
    everything = np.append(first, rest)
    for i in (1, 17, 39):
        observed, toys = Null(np.delete(samples, i, axis=0), "converged").combined(samples[i])
        assert observed == pytest.approx(everything[i], rel=1e-12)
        np.testing.assert_allclose(toys, np.delete(everything, i), rtol=1e-12)


def test_combined_judges_each_sample_by_the_moments_of_the_others() -> None:
    rng = np.random.default_rng(5)
    samples = rng.gamma(3.0, 4.0, (30, 2))
    observed, toys = Null(samples[1:], "converged").combined(samples[0])
    for i, combined in ((0, observed), (5, toys[4])):
        others = np.delete(samples, i, axis=0)
        log_p = gamma_log_p(samples[i], others.mean(axis=0), others.var(axis=0, ddof=1))
        assert combined == pytest.approx(-log_p.min(), rel=1e-9)


def test_one_width_ranks_t_itself_negative_values_included() -> None:
    t = np.linspace(-5.0, 14.0, 20)[:, None]
    observed, toys = Null(t, "converged").combined(np.array([-4.5]))
    assert observed == -4.5
    np.testing.assert_array_equal(toys, t[:, 0])
    assert Null(t, "converged").p_value(np.array([-4.5])).p == pytest.approx(20 / 21)


def test_shape_only_p_is_uniform_for_any_yield_when_toys_have_it() -> None:
    """25 null data sets of twice the expected yield, ranked among 19 toys of that N_D each."""
    rng = np.random.default_rng(6)
    p = []
    for seed in range(25):
        test = small_test(normalisation="free", n_centers=8, penalty=1e-3).fit(mixture(rng, 200), expected=25)
        test.calibrate(mixture(rng, 400), n_toys=19, seed=seed, n_data=50)
        p.append(test.search(mixture(rng, 50)).p_value)
    assert np.mean(p) == pytest.approx(0.525, abs=3.3 * np.sqrt(1 / 12 / 25))
    assert np.mean(np.array(p) <= 0.1) < 0.1 + 3.3 * np.sqrt(0.09 / 25)
