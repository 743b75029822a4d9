"""The three statistics of a fitted loss, and the matrix H0 that they share.

t = 2 [ sum_D f - sum_R w (exp f - 1) ] at the minimum of the loss (`converged`), or at the minimum of its quadratic
expansion (`one_step`, what the published code computes: arXiv:2204.02317). `linear` is the quadratic form in
s = sum_D phi - sum_R w phi that t becomes to second order with one fixed Hessian (spec section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.errors import ConvergenceError
from unseen.search.definite import cholesky
from unseen.search.loss import Batch, gradient, log_likelihood_ratio
from unseen.search.newton import damped_newton
from unseen.search.normalisation import Normalisation
from unseen.search.precondition import Preconditioner
from unseen.search.solver import minimise

__all__ = ["STATISTICS", "Fit", "LinearForm", "fit_batch", "require_convergence", "shared_factor"]

STATISTICS = ("converged", "one_step", "linear")


@dataclass(frozen=True)
class Fit:
    """t (T,), coefficients b (T, r), the linear statistic of the same events (T,), and convergence (T,)."""

    t: Tensor
    b: Tensor
    linear: Tensor
    converged: Tensor


def shared_factor(moment: Tensor, n: float, penalty: float, normalisation: Normalisation, share: float = 0.5) -> Tensor:
    """Return the Cholesky factor of H0 = share N C + n lambda I, with `moment` N C = sum_R w phi phi' (r, r).

    Share 1/2 stands for reference and data (spec section 2), 1/4 for the reference alone. The intercept, if there is
    one, has the ridge of its constraint. Raises IndefiniteError if negative weights make it indefinite.
    """
    h0 = moment * share
    ridge = torch.full((len(h0),), n * penalty, dtype=h0.dtype, device=h0.device)
    if normalisation.intercept:
        ridge[-1] = normalisation.ridge
    h0.diagonal().add_(ridge)
    return cholesky(h0)


@dataclass(frozen=True)
class LinearForm:
    """t_lin = s' A s with A = H0^-1 - H0^-1 (N C + constraint) H0^-1 / 4 (spec section 2).

    As N C + constraint = 2 H0 - 2 n lambda, that is A = (H0^-1 + n lambda H0^-1 P H0^-1) / 2 with P all directions but
    the intercept. `factor` is H0's Cholesky factor, `ridge` n lambda.
    """

    factor: Tensor
    ridge: float
    intercept: bool

    def coefficients(self, g: Tensor) -> Tensor:
        """Return b = H0^-1 s / 2 (T, r) from the gradient of the loss at zero, g = -s/2 (T, r)."""
        b: Tensor = torch.cholesky_solve(g.T, self.factor).T
        return -b

    def statistic(self, g: Tensor) -> Tensor:
        """Return t_lin (T,)."""
        b = self.coefficients(g)
        penalised = b[:, :-1] if self.intercept else b
        return -2.0 * (g * b).sum(1) + 2.0 * self.ridge * penalised.square().sum(1)

    def matrix(self) -> Tensor:
        """Return A (r, r); with an intercept its rows and columns for the features alone, where s is not zero."""
        r = len(self.factor)
        inverse: Tensor = torch.cholesky_inverse(self.factor)
        kept = r - int(self.intercept)
        part = inverse[:, :kept]
        return (0.5 * inverse + 0.5 * self.ridge * part @ part.T)[:kept, :kept]


def fit_batch(batch: Batch, start: Preconditioner, form: LinearForm, mode: str, *, polish: bool = False) -> Fit:
    """Fit all of `batch` and return its statistics; `polish` adds Newton steps with each fit's own Hessian.

    `batch.quadratic` must be true for mode "one_step" alone.
    """
    g = gradient(batch, None)
    linear = form.statistic(g)
    done = torch.ones(batch.size, dtype=torch.bool, device=g.device)
    if mode == "linear":
        return Fit(linear, form.coefficients(g), linear, done)
    tolerance = batch.phi.compute.tolerance
    solution = minimise(batch, start, tolerance, first=g)
    b, converged = solution.b, solution.converged
    if polish:
        for i in range(batch.size):
            one = torch.tensor([i], device=b.device)
            b[one], converged[i] = damped_newton(batch.pick(one), b[one], tolerance)
    return Fit(log_likelihood_ratio(batch, b), b, linear, converged)


def require_convergence(fit: Fit, what: str) -> None:
    """Raise ConvergenceError when a fit is not at its minimum or its t is not finite."""
    bad = ~fit.converged | ~torch.isfinite(fit.t)
    if bool(bad.any()):
        raise ConvergenceError(
            f"{int(bad.sum())} of {len(bad)} fits of {what} did not reach their minimum; use precision='float64', "
            "raise the penalty, or drop the width that fails"
        )
