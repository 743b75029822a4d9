"""From the statistics of the data and the null to the result that users read."""

from __future__ import annotations

from typing import Any

import numpy as np

from unseen.search.checks import observed_checks, repeat_checks, settings_checks
from unseen.search.crosscheck import cross_check
from unseen.search.fitted import Fitted
from unseen.search.null import Null
from unseen.search.pvalue import PValue
from unseen.search.result import SearchResult, Statistic
from unseen.search.validate import Keys

__all__ = ["assemble", "stated"]


def stated(null: Null, p: PValue) -> dict[str, Any]:
    """Return the fields of a SearchResult that a null and the p-value from it fix, whatever the test."""
    return {
        "p_value": p.p,
        "z": p.z,
        "z_interval": p.z_interval,
        "p_interval": p.interval,
        "p_resolution": p.resolution,
        "at_resolution": p.at_resolution,
        "calibration": null.calibration,
        "combination": null.combination,
        "n_toys": null.n_toys,
    }


def assemble(
    fitted: Fitted, null: Null, observed: Statistic, pool_keys: Keys, *, normalisation: str, n_centers: int
) -> SearchResult:
    """Return the calibrated result of `observed` with every check that needs no further fit.

    `pool_keys` are the `row_keys` of the toys' pool; `normalisation` and `n_centers` as they were asked for.
    """
    p = null.p_value(observed.t)
    log_p = null.log_p_per_width(observed.t)
    checks = settings_checks(fitted.settings, fitted.from_reference, n_centers)
    checks |= observed_checks(fitted.settings, fitted.z, observed.z, fitted.expected, null)
    checks |= repeat_checks(fitted.keys, pool_keys)
    checks |= {"calibration_reason": null.reason, "cross_check": cross_check(null, observed.linear)}
    profiled = observed.profile
    if profiled is not None:
        checks["cross_check"]["statistic"] = "profiled"
        assert fitted.nuisances is not None
        ratio = fitted.nuisances.trust.report(profiled.names, (profiled.nu_hat, *profiled.nu_with_f))
        checks["nuisances"] = {**profiled.to_json(), "toys": null.checks.get("nuisances"), "ratio": ratio}
    if null.calibration == "asymptotic":
        checks["asymptotic"] = null.checks["analytic"]
    return SearchResult(
        **stated(null, p),
        statistic=null.mode,
        normalisation=normalisation,
        t=tuple(float(v) for v in observed.t),
        widths=observed.widths,
        p_per_width=tuple(float(v) for v in np.exp(log_p)),
        best_width=int(np.argmin(log_p)),
        converged=observed.converged,
        n_reference=len(fitted.z),
        n_data=observed.n_data,
        expected=fitted.expected,
        checks=checks,
        nu_hat=None if profiled is None else profiled.nu_hat,
        nu_error=None if profiled is None else profiled.nu_error,
        tau=None if profiled is None else profiled.tau,
        delta=None if profiled is None else profiled.delta,
    )
