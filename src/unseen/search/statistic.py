"""The extended likelihood ratio t, and what the normalisation option does to the fit behind it.

Known:  t = 2 [ sum_D f - sum_R w (exp f - 1) ]  with sum_R w = N, the expected number of events (spec section 1).
Free:   the yield is profiled. With tau - Delta of spec section 5 and one unpenalised log-normalisation, the logarithms
        of N_D/N cancel and what is left is the same formula with the reference scaled to sum_R w = N_D and an
        unpenalised intercept in f; N drops out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.errors import ConvergenceError
from unseen.search.features import Features
from unseen.search.loss import Batch
from unseen.search.newton import damped_newton, one_step
from unseen.search.precondition import Preconditioner
from unseen.search.solver import minimise

__all__ = [
    "NORMALISATIONS",
    "STATISTICS",
    "Fit",
    "chord_factor",
    "fit_batch",
    "log_likelihood_ratio",
    "make_batch",
    "require_convergence",
]

NORMALISATIONS = ("known", "free")
STATISTICS = ("converged", "one_step")
LARGEST_F = 700.0
POLISHED = 1e-6  # Newton decrement after which one more full step squares the error


@dataclass(frozen=True)
class Fit:
    """t (T,), coefficients b (r, T), f at the batch's events (m, T) and convergence (T,)."""

    t: Tensor
    b: Tensor
    f: Tensor
    converged: Tensor


def make_batch(phi: Features, reference: Tensor, data: Tensor, normalisation: str, penalty: float) -> Batch:
    """Return the loss of T fits; `reference` (m, T) sums to N for each, `data` (m, T) counts the data events."""
    n_data = data.sum(0)
    n = (reference > 0).sum(0) + n_data
    ridge = (n * penalty).expand(phi.rank, -1).clone()
    if normalisation == "free":
        ridge[-1] = 0.0
        reference = reference * (n_data / reference.sum(0))
    return Batch(phi, reference, data, ridge)


def chord_factor(phi: Features, weights: Tensor, n: float, penalty: float, share: float = 0.5) -> Tensor:
    """Return the Cholesky factor of H0 = share N C + n lambda I with N C = sum_R w phi phi'.

    Share 1/2 stands for reference and data (spec section 2), 1/4 for the reference alone.
    """
    h0 = phi.second_moment(weights) * share
    h0.diagonal().add_(n * penalty)
    factor: Tensor = torch.linalg.cholesky(h0)
    return factor


def log_likelihood_ratio(batch: Batch, f: Tensor) -> Tensor:
    """Return t (T,) of f (m, T): 2 [ sum_D f - sum_R w (exp f - 1) ]."""
    ratio_minus_1 = torch.expm1(f.clamp(max=LARGEST_F))  # events of no weight in a fit may have any f; 0 * inf is NaN
    return 2.0 * ((batch.data * f).sum(0) - (batch.reference * ratio_minus_1).sum(0))


def fit_batch(batch: Batch, start: Preconditioner, mode: str, *, polish: bool = False) -> Fit:
    """Fit all of `batch` and return its statistics; `polish` adds Newton steps with each fit's own Hessian."""
    if mode == "one_step":
        b, f = one_step(batch)
        return Fit(log_likelihood_ratio(batch, f), b, f, torch.ones(batch.size, dtype=torch.bool))
    solution = minimise(batch, start)
    b, f, converged = solution.b, solution.f, solution.converged
    if polish:
        for i in range(batch.size):
            one = torch.tensor([i])
            b[:, one], f[:, one], converged[i] = damped_newton(batch.pick(one), b[:, one], POLISHED)
    return Fit(log_likelihood_ratio(batch, f), b, f, converged)


def require_convergence(fit: Fit, what: str) -> None:
    """Raise ConvergenceError when a fit is not at its minimum or its t is not finite."""
    bad = ~fit.converged | ~torch.isfinite(fit.t)
    if bool(bad.any()):
        raise ConvergenceError(
            f"{int(bad.sum())} of {len(bad)} fits of {what} did not reach their minimum; raise the penalty, or drop "
            "the width that fails"
        )
