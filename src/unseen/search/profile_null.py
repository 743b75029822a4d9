"""The analytic null of the profiled statistic: what t becomes when it is quadratic in b and nu (Wilks, with a penalty).

With I the information of (b, nu) on the nominal reference, P the precision of the constraints and
B = I_bn (I_nn + P)^-1, the profiled score is that of the features phi~ = phi - B psi without what nu can explain, and

    t = s' S^-1 s,    s = sum_D phi~ - sum_R w phi~ - B P (a - nu),    S = I_bb + 2 n lambda - B I_nb

To first order s has mean zero at every true nu, so that the null does not depend on it: a weighted sum of chi-squared
variables, as that of the linear statistic (`unseen.search.analytic`). Whether first order is enough depends on penalty,
widths and log r: `check_analytic` compares it with toys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unseen.search.analytic import AnalyticNull, analytic_null
from unseen.search.features import Features
from unseen.search.profile_score import score_beside
from unseen.search.simulation import Simulation
from unseen.search.validate import Floats

__all__ = ["profiled_null"]


@dataclass(frozen=True)
class InverseForm:
    """s' S^-1 s; `inverse` is S^-1 (r, r)."""

    inverse: Tensor

    def matrix(self) -> Tensor:
        """Return S^-1."""
        return self.inverse


def profiled_null(simulation: Simulation, k: int, phi: Features, n_data: int | None, weights: Floats) -> AnalyticNull:
    """Return the null of t at map k with the moments of nominal events with features `phi` and `weights` (n,)."""
    fitted, nuisances = simulation.fitted, simulation.fitted.nuisances
    assert nuisances is not None
    n, source = fitted.expected, fitted.tensor(weights)
    total = source.double().sum()
    moment, mean = phi.second_moment(source) * (n / total), phi.total(source[None])[0] / total
    nominal = torch.zeros(1, nuisances.size, dtype=moment.dtype, device=moment.device)
    precision = torch.from_numpy(nuisances.precision).to(moment)
    remove, s, constraint = score_beside(moment, nuisances.jacobian(nominal)[0], precision)
    s.diagonal().add_(2.0 * (len(fitted.z) + n) * fitted.penalty)
    form = InverseForm(torch.cholesky_inverse(torch.linalg.cholesky(s)))
    own = remove @ mean
    events = n if n_data is None else float(n_data)
    covariance = remove @ moment @ remove.T * (events / n) + constraint
    offset = (events - n) * own
    if n_data is not None:
        covariance = covariance - events * torch.outer(own, own)
    if simulation.reference == "fixed":
        reference, _ = fitted.reference_features(k)
        offset = offset + n * own - remove @ reference.total(fitted.tensor(fitted.weights)[None])[0]
    else:
        covariance = covariance + _redrawn(simulation, k, remove, moment / n, mean)
    excess = events * _fourth_moment(phi, source, remove.T @ torch.linalg.cholesky(form.inverse))
    return analytic_null(form, covariance, offset, excess)


def _redrawn(simulation: Simulation, k: int, remove: Tensor, second: Tensor, mean: Tensor) -> Tensor:
    """Return the covariance of sum_R w phi~ when the reference is drawn anew and scaled to N."""
    fitted = simulation.fitted
    squares = fitted.weights**2
    if not fitted.uniform:
        phi, _ = fitted.reference_features(k)
        w = fitted.tensor(squares)
        second, own = phi.second_moment(w) / float(squares.sum()), phi.total(w[None])[0] / float(squares.sum())
        second = second - torch.outer(own, mean) - torch.outer(mean, own) + 2.0 * torch.outer(mean, mean)
    central = second - torch.outer(mean, mean)
    return remove @ central @ remove.T * float(squares.sum())


def _fourth_moment(phi: Features, weights: Tensor, root: Tensor) -> float:
    """Return the weighted mean of |root' (phi, psi)|^4 over events."""
    small = root.to(phi.compute.dtype)

    def term(rows: slice, block: Tensor) -> Tensor:
        return torch.dot(weights[rows].double(), (block @ small).square_().sum(1).double().square())

    return float(phi.accumulate(term) / weights.double().sum())
