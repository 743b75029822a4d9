"""The statistic of one data set at every width."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from unseen.errors import ConfigError, NegativeWeightError
from unseen.search.fitted import Fitted
from unseen.search.profile_data import fit_profiled
from unseen.search.profile_nuisances import columns_for
from unseen.search.profile_ratio import RatioSource
from unseen.search.result import Statistic
from unseen.search.validate import Floats

__all__ = ["observe"]


def observe(fitted: Fitted, x: Floats, mode: str, ratio: RatioSource | None, auxiliary: ArrayLike | None) -> Statistic:
    """Return statistic `mode` of data x (n, d), or the profiled one with the data's `ratio` and auxiliary measurements.

    Raises ConfigError if one of these is missing or too much, NegativeWeightError, ConvergenceError.
    """
    beside = columns_for(fitted.nuisances, "the data", ratio, x)
    z = fitted.settings.scale(x)
    if beside is not None:
        return _profiled(fitted, z, beside, mode, auxiliary)
    if auxiliary is not None:
        raise ConfigError("auxiliary measurements belong to nuisance parameters: pass ratio= to fit first")
    if mode != "linear" and bool((fitted.weights < 0).any()):
        raise NegativeWeightError(f"the reference has negative weights, which statistic '{mode}' cannot use")
    fits, f = zip(*(fitted.fit(k, z, mode) for k in range(len(fitted.settings.widths))), strict=True)
    return Statistic(
        t=np.array([float(fit.t) for fit in fits]),
        f=np.stack(f),
        converged=all(bool(fit.converged) for fit in fits),
        n_data=len(z),
        mode=mode,
        widths=fitted.settings.widths,
        coefficients=tuple(fit.b[0].cpu().numpy() for fit in fits),
        linear=np.array([float(fit.linear) for fit in fits]),
        z=z,
    )


def _profiled(fitted: Fitted, z: Floats, beside: Floats, mode: str, auxiliary: ArrayLike | None) -> Statistic:
    assert fitted.nuisances is not None
    if mode != "converged":
        raise ConfigError(f"nuisance parameters are profiled by statistic='converged', not '{mode}'")
    found = fit_profiled(fitted, z, beside, fitted.nuisances.auxiliary(auxiliary))
    return Statistic(
        t=found.t,
        f=found.f,
        converged=True,
        n_data=len(z),
        mode=mode,
        widths=fitted.settings.widths,
        coefficients=found.coefficients,
        linear=found.t,
        z=z,
        profile=found.profile,
        beside=beside,
    )
