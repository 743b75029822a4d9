"""Small test problems, and the definitions of the method written out naively for comparison."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize, special

from unseen.search import KernelTest
from unseen.search.compute import Compute

Floats = NDArray[np.float64]
Pieces = tuple[Floats, Floats, Floats, Floats, float]

DOUBLE = Compute(2.0**30, torch.float64)


def mixture(rng: np.random.Generator, n: int, d: int = 2) -> Floats:
    """Return n events of a mixture of two Gaussians in d dimensions."""
    first = rng.random((n, 1)) < 0.6
    return np.where(first, rng.normal(0.0, 1.0, (n, d)), rng.normal(2.0, 0.5, (n, d)))


def small_test(**options: object) -> KernelTest:
    """Return a test that fits in milliseconds and is as exact as it can be: float64, no direction dropped."""
    defaults: dict[str, object] = {"widths": (0.5, 1.5), "n_centers": 30, "penalty": 1e-5}
    exact: dict[str, object] = {"precision": "float64", "rank_tolerance": 0.0}
    return KernelTest(**(defaults | exact | options))


def kernel(x: Floats, c: Floats, sigma: float) -> Floats:
    return np.exp(-((x[:, None, :] - c[None, :, :]) ** 2).sum(axis=2) / (2 * sigma**2))


def dense_pieces(test: KernelTest, data: Floats, width: int) -> Pieces:
    """Return K_RM, K_DM, K_MM, w and n lambda of a fitted test, straight from the definitions."""
    fitted = test._fitted
    assert fitted is not None
    sigma, c = fitted.settings.widths[width], fitted.settings.centers
    z = fitted.settings.scale(data)
    n_lam = (len(fitted.z) + len(data)) * test.penalty
    return kernel(fitted.z, c, sigma), kernel(z, c, sigma), kernel(c, c, sigma), fitted.weights, n_lam


def yield_shift(normalisation: str, n_data: int, expected: float) -> tuple[float, float | None]:
    """Return the shift c0 of the log yield and 1 / sigma^2 of its constraint; None where f has no intercept."""
    if normalisation == "known":
        return 0.0, None
    if normalisation == "free":
        return float(np.log(n_data / expected)), 0.0
    stiffness = float(normalisation.removeprefix("constrained(").removesuffix(")")) ** -2
    far = 1.0 + abs(np.log(n_data / expected))
    return optimize.brentq(lambda c: n_data - expected * np.exp(c) - c * stiffness, -far, far, xtol=1e-15), stiffness


def t_of(f_r: Floats, f_d: Floats, w: Floats) -> float:
    return float(2 * (f_d.sum() - (w * (np.exp(f_r) - 1)).sum()))


class DenseLoss:
    """n L over all M coefficients a and, where the yield is uncertain, an intercept c': theta = (a, c').

    The reference is scaled by exp(c0), and c' is penalised by (c0 + c')^2 / (4 sigma^2).
    """

    def __init__(self, test: KernelTest, data: Floats, width: int) -> None:
        k_r, k_d, k_mm, w, n_lam = dense_pieces(test, data, width)
        self.shift, stiffness = yield_shift(test.normalisation, len(data), w.sum())
        self.stiffness = stiffness or 0.0
        self.n_reference, self.m = k_r.shape
        ones = np.ones((len(k_r) + len(k_d), int(stiffness is not None)))
        self.k = np.hstack([np.vstack([k_r, k_d]), ones])
        self.w = w * np.exp(self.shift)
        self.penalty = np.zeros((self.size, self.size))
        self.penalty[: self.m, : self.m] = n_lam * k_mm
        self.penalty[self.m :, self.m :] = self.stiffness / 2
        self.center = np.zeros(self.size)
        self.center[self.m :] = -self.shift

    @property
    def size(self) -> int:
        return self.k.shape[1]

    def value(self, theta: Floats) -> tuple[float, Floats]:
        """Return n L and its gradient."""
        f, n, off = self.k @ theta, self.n_reference, theta - self.center
        value = (self.w * np.logaddexp(0, f[:n])).sum() + np.logaddexp(0, -f[n:]).sum() + off @ self.penalty @ off / 2
        slope = np.append(self.w * special.expit(f[:n]), -special.expit(-f[n:]))
        return float(value), self.k.T @ slope + self.penalty @ off

    def hessian(self, theta: Floats) -> Floats:
        s = special.expit(self.k @ theta)
        weights = np.append(self.w, np.ones(len(self.k) - self.n_reference))
        result: Floats = self.k.T @ (self.k * (weights * s * (1 - s))[:, None]) + self.penalty
        return result

    def t(self, theta: Floats) -> float:
        """Return t minus the cost of the yield, ((c0 + c')^2 - c0^2) / sigma^2."""
        f, n = self.k @ theta, self.n_reference
        c = self.shift + theta[self.m :].sum()
        return t_of(f[:n], f[n:], self.w) - self.stiffness * (c**2 - self.shift**2)


def dense_converged(test: KernelTest, data: Floats, width: int) -> float:
    """Return t at the minimum of the loss over all M coefficients a, by a general-purpose minimiser."""
    loss = DenseLoss(test, data, width)
    best = optimize.minimize(
        loss.value,
        np.zeros(loss.size),
        jac=True,
        hess=loss.hessian,
        method="trust-exact",
        options={"gtol": 1e-10, "maxiter": 500},
    )
    return loss.t(best.x)


def dense_one_step(test: KernelTest, data: Floats, width: int) -> float:
    """Return t after one Newton step from zero over all M coefficients."""
    loss = DenseLoss(test, data, width)
    zero = np.zeros(loss.size)
    return loss.t(-np.linalg.solve(loss.hessian(zero), loss.value(zero)[1]))


def linear_form(test: KernelTest, width: int) -> Callable[[Floats], float]:
    """Return s -> s' A s, A = H0^-1 - H0^-1 (N C + constraint) H0^-1 / 4, for s (M,) of kernel values.

    H0 = (N C + constraint) / 2 + n lambda K_MM belongs to settings events, which play neither reference nor data.
    """
    fitted = test._fitted
    assert fitted is not None
    c, sigma = fitted.settings.centers, fitted.settings.widths[width]
    _, stiffness = yield_shift(test.normalisation, 1, 1.0)
    z, w = fitted.settings.curvature, fitted.settings.curvature_weights
    ones = np.ones((len(z), int(stiffness is not None)))
    k = np.hstack([kernel(z, c, sigma), ones])
    curvature = k.T @ ((w * fitted.expected / w.sum())[:, None] * k)
    curvature[len(c) :, len(c) :] += stiffness or 0.0
    h0 = curvature / 2
    h0[: len(c), : len(c)] += (len(fitted.z) + fitted.expected) * test.penalty * kernel(c, c, sigma)

    def form(s: Floats) -> float:
        s = np.append(s, np.zeros(ones.shape[1]))  # c0 is what makes it so: N_D - N e^c0 = c0 / sigma^2
        b = np.linalg.solve(h0, s)
        return float(s @ b - b @ curvature @ b / 4)

    return form


def dense_linear(test: KernelTest, data: Floats, width: int) -> float:
    """Return t_lin of data: s = sum_D k - sum_R w k, the reference scaled by exp(c0)."""
    k_r, k_d, _, w, _ = dense_pieces(test, data, width)
    shift, _ = yield_shift(test.normalisation, len(data), w.sum())
    return linear_form(test, width)(k_d.sum(0) - np.exp(shift) * w @ k_r)
