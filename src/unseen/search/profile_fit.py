"""The profiled statistic t = tau - Delta of a batch of data sets (spec section 5, arXiv:2111.13633).

Delta's fit of nu alone starts at the auxiliary measurements, tau's fit of (b, nu) at b = 0 and Delta's nu, so tau is
never below Delta by more than rounding. Both are quasi-Newton descents from one approximate inverse Hessian, that of
the nominal reference: its factor for b, and nu's Schur complement at each fit's own nu. t is the optimum of what is
fitted, so an error in (b, nu) enters squared: toys stop at the square root of the tolerance of other fits.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unseen.errors import ConvergenceError
from unseen.search.definite import IndefiniteError, cholesky
from unseen.search.loss import Batch
from unseen.search.newton import newton_steps
from unseen.search.profile_loss import EXTENDED, ProfileBatch, hessian, value
from unseen.search.profile_nuisances import Nuisances
from unseen.search.solver import descend

__all__ = ["Bordered", "ProfileFit", "joint_factor", "profile"]

BELOW_ZERO = 1e-2  # t: rounding of float32 sums; t of anything is spread by more than its mean's root
# Ridges on psi's moments, relative, the first that does: a nuisance parameter without an effect is no error, nor is one
# that the kernels can say, whose moments may be definite up to rounding only. They guide fits and do not move optima.
FLAT = (1e-9, 1e-7, 1e-5, 1e-3)


@dataclass(frozen=True)
class ProfileFit:
    """t, tau and delta (T,), b (T, r), nu of tau's fit and of Delta's (T, K), and convergence (T,)."""

    t: Tensor
    tau: Tensor
    delta: Tensor
    b: Tensor
    nu: Tensor
    nu_null: Tensor
    converged: Tensor


def joint_factor(moment: Tensor, ridge: float, n_columns: int) -> Tensor:
    """Return the Cholesky factor of the moments of (phi, psi) (r + p, r + p) plus `ridge`, 2 n lambda, on phi.

    Its last block is the factor of psi's Schur complement.
    """
    r = len(moment) - n_columns
    joint = moment.clone()
    joint.diagonal()[:r] += ridge
    spread = joint.diagonal()[r:].clone()
    for flat in FLAT[:-1]:
        joint.diagonal()[r:] = spread + flat * (spread.mean() + 1e-12)
        with contextlib.suppress(IndefiniteError):
            return cholesky(joint)
    joint.diagonal()[r:] = spread + FLAT[-1] * (spread.mean() + 1e-12)
    return cholesky(joint)


@dataclass(frozen=True)
class Bordered:
    """The approximate inverse Hessian of (b, nu): `factor` (r, r) of b's, `across` A^-1 M (r, p), `border` (p, r) M'.

    `jacobian` (T, p, K) at each fit's nu; `schur` (T, K, K) factors of nu's Schur complements.
    """

    factor: Tensor
    across: Tensor
    border: Tensor
    jacobian: Tensor
    schur: Tensor

    @classmethod
    def build(cls, joint: Tensor, fits: ProfileBatch, nu: Tensor) -> Bordered:
        """Return that of `fits` at nu (T, K), from the factor of the joint moments of (phi, psi)."""
        r = len(joint) - fits.nuisances.n_columns
        factor, low, last = joint[:r, :r], joint[r:, :r], joint[r:, r:]
        border = low @ factor.T
        complement = last @ last.T
        if not fits.kernel:  # nu alone: its own block instead of the Schur complement
            complement = complement + low @ low.T
            factor, border = factor[:0, :0], border[:, :0]
        across: Tensor = torch.cholesky_solve(border.T, factor) if fits.kernel else border.T
        j = fits.nuisances.jacobian(nu)
        inner = torch.einsum("tpk,pq,tql->tkl", j, complement, j) + torch.diag(fits.precision)
        return cls(factor, across, border, j, cholesky(inner))

    def solve(self, g: Tensor) -> Tensor:
        """Return H^-1 g (T, r + K)."""
        r = len(self.factor)
        g_b, g_nu = g[:, :r], g[:, r:]
        y = torch.cholesky_solve(g_b.T, self.factor).T if r else g_b
        left = g_nu - torch.einsum("tp,tpk->tk", y @ self.border.T, self.jacobian)
        nu = torch.cholesky_solve(left[:, :, None], self.schur)[:, :, 0]
        b = y - torch.einsum("tpk,tk->tp", self.jacobian, nu) @ self.across.T
        return torch.cat([b, nu], dim=1)

    def keep(self, at: Tensor) -> Bordered:
        """Return that of the fits `at` alone."""
        return replace(self, jacobian=self.jacobian[at], schur=self.schur[at])


def profile(batch: Batch, nuisances: Nuisances, a: Tensor, joint: Tensor, *, polish: bool = False) -> ProfileFit:
    """Fit all of `batch` with auxiliary measurements a (T, K); `joint` is the factor of `joint_factor`.

    `polish` adds Newton steps with each fit's own Hessian and demands that it be positive: a minimum, no saddle.
    """
    null = ProfileBatch(batch, nuisances, a, kernel=False)
    nu_null, at_null, null_converged = _minimum(null, joint, _first_guess(null), polish)
    full = ProfileBatch(batch, nuisances, a)
    first = torch.cat([torch.zeros(len(a), full.rank, dtype=a.dtype, device=a.device), nu_null], dim=1)
    x, at_minimum, converged = _minimum(full, joint, first, polish)
    measured = (full.precision * a.square()).sum(1)
    t = 2.0 * (at_null - at_minimum)
    return ProfileFit(
        t=t,
        tau=measured - 2.0 * at_minimum,
        delta=measured - 2.0 * at_null,
        b=x[:, : full.rank],
        nu=x[:, full.rank :],
        nu_null=nu_null,
        converged=converged & null_converged & (t >= -BELOW_ZERO),
    )


def _first_guess(fits: ProfileBatch) -> Tensor:
    """Return the auxiliary measurements (T, K), and for a free yield log N_D / N."""
    nu = fits.a.clone()
    if fits.nuisances.normalisation.free:
        batch = fits.batch
        n_data = torch.stack([torch.count_nonzero(row < 0) for row in batch.code]).to(nu)
        weights = batch.weights.double()
        total = torch.stack([weights @ (row > 0).to(weights) for row in batch.code]) * batch.scale
        nu[:, -1] = torch.log(n_data / total)
    return nu


def _minimum(fits: ProfileBatch, joint: Tensor, first: Tensor, polish: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, F and convergence of each fit, from x `first`."""
    tolerance = fits.batch.phi.compute.tolerance
    start = Bordered.build(joint, fits, first[:, fits.rank :])
    solution = descend(fits, EXTENDED, start, first, EXTENDED.gradient(fits, first), tolerance**0.5)
    x, converged = solution.b, solution.converged
    if polish:
        for i in range(len(x)):
            one = torch.tensor([i], device=x.device)
            x[one], converged[i] = newton_steps(fits.pick(one), x[one], tolerance, EXTENDED)
            _require_minimum(fits.pick(one), x[one])
    return x, value(fits, x), converged


def _require_minimum(fits: ProfileBatch, x: Tensor) -> None:
    try:
        cholesky(hessian(fits, x))
    except IndefiniteError as error:
        raise ConvergenceError(
            "the likelihood has no minimum in the nuisance parameters where its slope vanishes: log r is too far from "
            "linear for these data; constrain the parameters more or fit the ratio in a wider range"
        ) from error
