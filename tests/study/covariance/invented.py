"""Invented cells of a robustness study: two treatments, two signals, rates that are known at every point."""

from __future__ import annotations

import numpy as np

from unseen.power.crossing import power_interval
from unseen.study.covariance import RobustnessCell
from unseen.study.covariance.settings import CovarianceConfig

NAMES = ("jet-scale", "unclustered-met")
CONFIG = CovarianceConfig(
    nuisances=NAMES,
    values=(-2.0, 2.0),
    combinations=2,
    robust_values=(-2.0, 0.0, 2.0),
    treatments=("ignored", "profiled"),
)


def rate_of(treatment: str, nu: np.ndarray, signal: str, weaker: float) -> float:
    """Ignored: more often the farther away, whatever is there. Profiled: 0.05, and power that jet scale hides."""
    if treatment == "ignored":
        return min(1.0, (0.9 if signal else 0.05) + 0.2 * float(np.abs(nu).max()))
    return 0.8 - weaker - 0.1 * abs(float(nu[0])) if signal else 0.05


def cells(weaker: float = 0.0, points: str = "all", n_null: int = 99) -> list[RobustnessCell]:
    grid, with_signal = CONFIG.model_copy(update={"signal_points": points}).robustness_grid(len(NAMES), 1)
    found = []
    for treatment in CONFIG.treatments:
        for i, nu in enumerate(grid):
            for signal in ("", *(("heavy", "soft") if i in with_signal else ())):
                n = 20 if signal else 200
                rate = round(rate_of(treatment, nu, signal, weaker) * n) / n
                z = min(3.0 * rate, 2.326)
                found.append(
                    RobustnessCell(
                        treatment,
                        tuple(nu.tolist()),
                        signal,
                        30.0 if signal else 0.0,
                        rate,
                        *power_interval(rate, n),
                        z,
                        (z, z),
                        2.326,
                        n,
                        n_null,
                    )
                )
    return found
