"""Small test problems, and the definitions of the method written out naively for comparison."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from unseen.search import KernelTest

Floats = NDArray[np.float64]


def mixture(rng: np.random.Generator, n: int, d: int = 2) -> Floats:
    """Return n events of a mixture of two Gaussians in d dimensions."""
    first = rng.random((n, 1)) < 0.6
    return np.where(first, rng.normal(0.0, 1.0, (n, d)), rng.normal(2.0, 0.5, (n, d)))


def small_test(**options: object) -> KernelTest:
    """Return a test that fits in milliseconds."""
    defaults: dict[str, object] = {"widths": (0.5, 1.5), "n_centers": 30, "penalty": 1e-5}
    return KernelTest(**(defaults | options))


def kernel(x: Floats, c: Floats, sigma: float) -> Floats:
    return np.exp(-((x[:, None, :] - c[None, :, :]) ** 2).sum(axis=2) / (2 * sigma**2))


def dense_pieces(test: KernelTest, data: Floats, width: int) -> tuple[Floats, Floats, Floats, Floats, float]:
    """Return K_RM, K_DM, K_MM, w and n lambda of a fitted test, straight from the definitions."""
    fitted = test._fitted
    assert fitted is not None
    sigma, c = fitted.settings.widths[width], fitted.settings.centers
    z = fitted.settings.scale(data)
    n_lam = (len(fitted.z) + len(data)) * test.penalty
    return kernel(fitted.z, c, sigma), kernel(z, c, sigma), kernel(c, c, sigma), fitted.weights, n_lam


def t_of(f_r: Floats, f_d: Floats, w: Floats) -> float:
    return float(2 * (f_d.sum() - (w * (np.exp(f_r) - 1)).sum()))


def _loss(theta: Floats, k_r: Floats, k_d: Floats, k_mm: Floats, w: Floats, n_lam: float) -> tuple[float, Floats]:
    a, c = theta[: k_r.shape[1]], theta[k_r.shape[1] :].sum()
    f_r, f_d = k_r @ a + c, k_d @ a + c
    value = (w * np.logaddexp(0, f_r)).sum() + np.logaddexp(0, -f_d).sum() + n_lam / 2 * a @ k_mm @ a
    g_r, g_d = w * special.expit(f_r), -special.expit(-f_d)
    gradient = k_r.T @ g_r + k_d.T @ g_d + n_lam * k_mm @ a
    if len(theta) > len(a):
        gradient = np.append(gradient, g_r.sum() + g_d.sum())
    return float(value), gradient


def _hessian(theta: Floats, k_r: Floats, k_d: Floats, k_mm: Floats, w: Floats, n_lam: float) -> Floats:
    m = k_r.shape[1]
    ones = len(theta) - m
    k = np.hstack([np.vstack([k_r, k_d]), np.ones((len(k_r) + len(k_d), ones))])
    s = special.expit(k @ theta)
    h: Floats = k.T @ (k * (np.append(w, np.ones(len(k_d))) * s * (1 - s))[:, None])
    h[:m, :m] += n_lam * k_mm
    return h


def dense_converged(test: KernelTest, data: Floats, width: int) -> float:
    """Return t at the minimum of the loss over all M coefficients a, by a general-purpose minimiser."""
    k_r, k_d, k_mm, w, n_lam = dense_pieces(test, data, width)
    free = test.normalisation == "free"
    if free:
        w = w * len(data) / w.sum()
    pieces = {"k_r": k_r, "k_d": k_d, "k_mm": k_mm, "w": w, "n_lam": n_lam}
    best = optimize.minimize(
        partial(_loss, **pieces),
        np.zeros(len(k_mm) + free),
        jac=True,
        hess=partial(_hessian, **pieces),
        method="trust-exact",
        options={"gtol": 1e-10, "maxiter": 500},
    )
    a, c = best.x[: len(k_mm)], best.x[len(k_mm) :].sum()
    return t_of(k_r @ a + c, k_d @ a + c, w)


def dense_one_step(test: KernelTest, data: Floats, width: int) -> float:
    """Return t after one Newton step from a = 0 over all M coefficients (known normalisation)."""
    k_r, k_d, k_mm, w, n_lam = dense_pieces(test, data, width)
    hessian = 0.25 * (k_r.T @ (w[:, None] * k_r) + k_d.T @ k_d) + n_lam * k_mm
    a = np.linalg.solve(hessian, 0.5 * (k_d.sum(0) - k_r.T @ w))
    return t_of(k_r @ a, k_d @ a, w)
