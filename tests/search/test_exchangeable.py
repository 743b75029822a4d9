"""Data and toys are treated alike: a toy has the t that its events would have as data, and ranks are symmetric."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.search.problems import DOUBLE, Floats, kernel, linear_form, mixture, small_test, yield_shift
from unseen.search import KernelTest, Null, precondition
from unseen.search.features import Features, make_map
from unseen.search.loss import Batch, make_batch
from unseen.search.newton import damped_newton
from unseen.search.normalisation import Normalisation
from unseen.search.precondition import DataWhitener, Preconditioner, Shared, WithData, WithInverse
from unseen.search.simulation import Simulation, simulation_of
from unseen.search.solver import minimise
from unseen.search.statistic import shared_factor

KNOWN = Normalisation.parse("known")


def simulated(test: KernelTest, pool: Floats, reference: str, weights: Floats | None = None) -> Simulation:
    fitted = test._need_fit()
    return simulation_of(fitted, fitted.settings.scale(pool), weights, reference)


def toys_as_data(
    test: KernelTest, samples: tuple[Floats, Floats, Floats], simulation: Simulation, null: Null
) -> Floats:
    """Return t of every toy, from a test fitted to the toy's reference and asked for the toy's data.

    `samples` are the events of reference, pool and settings.
    """
    plan = simulation.plan(null.n_toys, 1, null.n_data)
    union = np.vstack(samples[:2])
    t = []
    for toy in range(plan.n_toys):
        rows, data = plan.rows(toy)
        own = KernelTest(**test.options)
        own.fit(union[rows], simulation.weights[rows], expected=float(plan.expected[toy]), settings=samples[2])
        t.append(own.statistic(union[data]).t)
    return np.array(t)


@pytest.mark.parametrize(
    ("statistic", "normalisation", "reference_option", "n_data"),
    [
        ("converged", "known", "redrawn", None),
        ("converged", "known", "fixed", None),
        ("converged", "free", "redrawn", 50),
        ("converged", "free", "fixed", None),
        ("converged", "constrained(0.1)", "redrawn", None),
        ("converged", "constrained(0.1)", "fixed", 50),
        ("one_step", "known", "redrawn", 50),
        ("one_step", "free", "fixed", None),
        ("one_step", "constrained(0.1)", "fixed", None),
    ],
)
def test_a_toy_has_the_statistic_of_its_events_as_data(
    statistic: str, normalisation: str, reference_option: str, n_data: int | None
) -> None:
    rng = np.random.default_rng(1)
    samples = mixture(rng, 300), mixture(rng, 400), mixture(rng, 60)
    weights = rng.uniform(0.0, 1.0, 300) * (rng.random(300) > 0.1) if reference_option == "fixed" else np.ones(300)
    test = small_test(statistic=statistic, normalisation=normalisation, widths=(0.3, 1.5), n_centers=15)
    test.fit(samples[0], weights, expected=60, settings=samples[2])
    null = test.calibrate(samples[1], n_toys=10, reference=reference_option, n_data=n_data)
    expected = toys_as_data(test, samples, simulated(test, samples[1], reference_option), null)
    np.testing.assert_allclose(null.t, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reference_option", ["redrawn", "fixed"])
def test_a_toy_of_weighted_events_has_their_statistic(reference_option: str) -> None:
    rng = np.random.default_rng(7)
    samples = mixture(rng, 300), mixture(rng, 900), mixture(rng, 60)
    of_reference, of_pool = (rng.uniform(0.2, 1.0, n) for n in (300, 900))
    test = small_test(widths=(0.3, 1.5), n_centers=15).fit(samples[0], of_reference, expected=60, settings=samples[2])
    null = test.calibrate(samples[1], n_toys=10, reference=reference_option, weights=of_pool)
    simulation = simulated(test, samples[1], reference_option, of_pool)
    np.testing.assert_allclose(null.t, toys_as_data(test, samples, simulation, null), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalisation", ["known", "constrained(0.1)", "free"])
@pytest.mark.parametrize("reference_option", ["redrawn", "fixed"])
def test_a_linear_toy_is_the_quadratic_form_of_its_own_events(normalisation: str, reference_option: str) -> None:
    """H0 is that of the reference at hand in data and toys; the rest of the toy is its own."""
    rng = np.random.default_rng(9)
    test = small_test(normalisation=normalisation, widths=(0.3, 0.6), n_centers=15, statistic="linear")
    test.fit(mixture(rng, 300), expected=60, settings=mixture(rng, 60))
    pool, fitted = mixture(rng, 400), test._need_fit()
    null = test.calibrate(pool, "linear", n_toys=10, reference=reference_option)
    simulation = simulated(test, pool, reference_option)
    plan, union = simulation.plan(10, 1, None), np.vstack([fitted.z, fitted.settings.scale(pool)])
    for k, sigma in enumerate(fitted.settings.widths):
        form = linear_form(test, k)
        for toy in range(10):
            reference, data = (kernel(union[rows], fitted.settings.centers, sigma) for rows in plan.rows(toy))
            expected = float(plan.expected[toy])
            scale = expected * np.exp(yield_shift(normalisation, len(data), expected)[0]) / len(reference)
            assert null.t[toy, k] == pytest.approx(form(data.sum(0) - scale * reference.sum(0)), rel=1e-8)


@pytest.mark.parametrize("n_centers", [20, 90])  # fewer and more directions than data events
def test_toys_started_from_their_own_data_are_converged(monkeypatch: pytest.MonkeyPatch, n_centers: int) -> None:
    rng = np.random.default_rng(2)
    samples = mixture(rng, 300), mixture(rng, 400), mixture(rng, n_centers)
    test = small_test(widths=0.2, n_centers=n_centers, penalty=1e-6)
    test.fit(samples[0], expected=60, settings=samples[2])
    monkeypatch.setattr(precondition, "SMALLEST_RANK", 1)
    null = test.calibrate(samples[1], n_toys=10)
    expected = toys_as_data(test, samples, simulated(test, samples[1], "redrawn"), null)
    np.testing.assert_allclose(null.t, expected, rtol=1e-4, atol=1e-5)


def whitened_problem() -> tuple[Features, torch.Tensor, Batch]:
    """Return features, H0's factor, and a batch of two fits."""
    rng = np.random.default_rng(3)
    phi = Features(make_map(mixture(rng, 30), 0.3), mixture(rng, 400), DOUBLE)
    w = torch.full((400,), 0.1, dtype=torch.float64)
    factor = shared_factor(phi.second_moment(w), 460, 1e-5, KNOWN, share=0.25)
    code = torch.ones(2, 400, dtype=torch.int8)
    for toy, n in enumerate((25, 60)):
        code[toy, rng.choice(400, n, replace=False)] = -1
    expected = 0.1 * (code > 0).sum(1).double()
    return phi, factor, make_batch(phi, code, w, expected, KNOWN, 5e-3 / 400)


def test_both_forms_of_the_data_preconditioner_are_one_matrix() -> None:
    phi, factor, batch = whitened_problem()
    chosen = DataWhitener(phi, factor)(batch.code)
    assert isinstance(chosen, WithInverse)
    assert isinstance(DataWhitener(phi, factor)(batch.code[:1]), WithData)
    events = torch.cat([block for _, block in phi])
    data = [events[(row < 0).nonzero()[:25, 0]] for row in batch.code]
    z = torch.stack([torch.linalg.solve_triangular(factor, x.T, upper=False).T for x in data]) / 2
    g = torch.randn(2, phi.rank, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    forms: list[Preconditioner] = [kind.build(factor, z.float()) for kind in (WithData, WithInverse)]
    np.testing.assert_allclose(forms[0].solve(g), forms[1].solve(g), rtol=1e-3, atol=1e-4)
    # The matrices are float32, and a product of another shape may add in another order: errors are of its precision,
    # relative to the largest element (25 events, 30 columns; 4 units allow for the sums' square root).
    for form in forms:
        every = form.solve(g)[1:]
        bound = 4.0 * float(torch.finfo(torch.float32).eps) * float(every.abs().max())
        np.testing.assert_allclose(form.keep(torch.tensor([1])).solve(g[1:]), every, rtol=0.0, atol=bound)


def test_curvatures_beyond_float32_fall_back_to_the_shared_matrix() -> None:
    phi, factor, batch = whitened_problem()
    whitener = DataWhitener(phi, factor)
    whitener.rows *= 1e6
    assert isinstance(whitener(batch.code), Shared)


class Ascent:
    """A preconditioner that rounding has turned around."""

    def __init__(self, factor: torch.Tensor) -> None:
        self.factor = factor

    def solve(self, g: torch.Tensor) -> torch.Tensor:
        return -torch.cholesky_solve(g.T, self.factor).T

    def keep(self, at: torch.Tensor) -> Ascent:
        return self


def test_a_direction_of_ascent_is_never_taken_for_the_minimum() -> None:
    phi, factor, batch = whitened_problem()
    solution = minimise(batch, Ascent(factor), 1e-6)
    assert solution.converged.all()  # by Newton steps
    f = phi.project(solution.b)
    for toy in range(2):
        b, _ = damped_newton(batch.pick(torch.tensor([toy])), torch.zeros(1, phi.rank).double(), 1e-10)
        np.testing.assert_allclose(f[toy], phi.project(b)[0], atol=1e-4)
    assert float(f.abs().max()) > 0.1


def test_swapping_the_data_with_a_toy_swaps_their_ranks() -> None:
    rng = np.random.default_rng(4)
    samples = rng.gamma(3.0, 4.0, (40, 3))
    first, rest = Null(samples[1:], "converged").combined(samples[0])
    everything = np.append(first, rest)
    for i in (1, 17, 39):
        observed, toys = Null(np.delete(samples, i, axis=0), "converged").combined(samples[i])
        assert observed == pytest.approx(everything[i], rel=1e-12)
        np.testing.assert_allclose(toys, np.delete(everything, i), rtol=1e-12)


def test_combined_judges_each_sample_by_all_others() -> None:
    rng = np.random.default_rng(5)
    samples = rng.gamma(3.0, 4.0, (30, 2))
    observed, toys = Null(samples[1:], "converged").combined(samples[0])
    for i, combined in ((0, observed), (5, toys[4])):
        log_p = Null(np.delete(samples, i, axis=0), "converged").log_p_per_width(samples[i])
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
