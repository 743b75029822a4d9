"""The profiled fit of one data set, with what it says of the nuisance parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unseen.errors import ConvergenceError
from unseen.search.fitted import Fitted
from unseen.search.profile_fit import ProfileFit, profile
from unseen.search.profile_growth import growth_factor
from unseen.search.profile_loss import ProfileBatch, hessian, redrawn
from unseen.search.profile_report import Numbers, Profile
from unseen.search.validate import Floats

__all__ = ["DataFits", "coefficient_covariance", "fit_profiled", "profiled_batch"]


@dataclass(frozen=True)
class DataFits:
    """t (n_widths,), f (n_widths, n), coefficients b of each width, and the profile."""

    t: Floats
    f: Floats
    coefficients: tuple[Floats, ...]
    profile: Profile


def profiled_batch(fitted: Fitted, k: int, z: Floats, beside: Floats, auxiliary: Floats) -> ProfileBatch:
    """Return the likelihood of standardised data z (n, d) with columns psi `beside` (n, p) at map k."""
    assert fitted.nuisances is not None
    batch = fitted.data_batch(k, z, "converged", beside)
    return ProfileBatch(batch, fitted.nuisances, torch.from_numpy(auxiliary[None]).to(batch.code.device))


def fit_profiled(fitted: Fitted, z: Floats, beside: Floats, auxiliary: Floats) -> DataFits:
    """Fit one data set at every width. Raises ConvergenceError if a fit fails."""
    fits, factors, values = [], [], []
    for k, width in enumerate(fitted.settings.widths):
        full = profiled_batch(fitted, k, z, beside, auxiliary)
        joint = fitted.reference_features(k)[1]
        fit = profile(full.batch, full.nuisances, full.a, joint, polish=True)
        if not bool(fit.converged[0]) or not bool(torch.isfinite(fit.t[0])):
            raise ConvergenceError(
                f"the profiled fit of the data at width {width:.4g} did not reach its minimum; use "
                "precision='float64', raise the penalty, or drop the width"
            )
        padded = torch.cat([fit.b, torch.zeros(1, full.nuisances.n_columns).to(fit.b)], dim=1)
        values.append(full.batch.phi.project(padded)[0, len(fitted.z) :].double().cpu().numpy())
        growth = fitted.growth(k)
        assert growth is not None
        factors.append(growth_factor(fit.nu_null, growth))
        fits.append(replace(fit, t=fit.t * factors[-1]))
    null = ProfileBatch(full.batch, full.nuisances, full.a, kernel=False)
    return DataFits(
        t=np.array([float(fit.t) for fit in fits]),
        f=np.stack(values),
        coefficients=tuple(fit.b[0].cpu().numpy() for fit in fits),
        profile=_profile(null, fits, factors),
    )


def _profile(null: ProfileBatch, fits: list[ProfileFit], factors: list[Tensor]) -> Profile:
    nu = fits[0].nu_null
    h, reference, precision = hessian(null, nu), redrawn(null, nu), null.precision
    inverse, told = torch.linalg.inv(h), h - torch.diag(precision)  # by the data alone
    variance = (inverse + inverse @ reference @ inverse).diagonal()
    prior = torch.diag((precision > 0).to(h))
    off = (inverse @ (told @ prior @ told + told + reference) @ inverse).diagonal()
    known = (precision > 0) & (off > 1e-12)
    pull = (nu - null.a)[0] / off.clamp(min=1e-300).sqrt()
    return Profile(
        names=null.nuisances.names,
        auxiliary=_plain(null.a[0]),
        nu_hat=_plain(nu[0]),
        nu_error=_plain(variance.sqrt()),
        pull=tuple(float(p) if ok else None for p, ok in zip(pull, known, strict=True)),
        tau=tuple(float(fit.tau) for fit in fits),
        delta=tuple(float(fit.delta) for fit in fits),
        nu_with_f=tuple(_plain(fit.nu[0]) for fit in fits),
        factor=tuple(float(factor) for factor in factors),
    )


def coefficient_covariance(fits: ProfileBatch, x: Tensor) -> Tensor:
    """Return the covariance of b (r, r) of one fit at its minimum x (1, r + K), the nuisance parameters' part included.

    H^-1 G H^-1 with G the covariance of the gradient: data, auxiliary measurements and the finite reference. The
    penalty is in H alone.
    """
    h = hessian(fits, x)
    spread = h + redrawn(fits, x)
    spread.diagonal()[: fits.rank] -= 2.0 * fits.batch.ridge[0, : fits.rank]
    inverse = torch.linalg.inv(h)
    covariance: Tensor = inverse @ spread @ inverse
    return covariance[: fits.rank, : fits.rank]


def _plain(values: Tensor) -> Numbers:
    return tuple(float(v) for v in values)
