"""Missing transverse momentum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.detector.jets import Jets
from unseen.simulate.detector.particles import Particles
from unseen.simulate.detector.settings import MetSettings

__all__ = ["missing_momentum"]

Array = NDArray[np.float64]


def missing_momentum(
    candidates: Particles, jets: Jets, rng: np.random.Generator, settings: MetSettings
) -> dict[str, Array]:
    """pt, eta (0) and phi, each (n,): minus the vector sum of all candidates, corrected for the jets, plus smearing.

    Jets above `jet_pt_min` count with their measured instead of their clustered momentum. The smearing per component
    is Gaussian, sigma^2 = noise^2 + stochastic^2 * (scalar sum of candidate pt).
    """
    n = candidates.n_events
    corrected = np.where(jets.clustered.pt * jets.factor > settings.jet_pt_min, jets.factor - 1.0, 0.0)
    total = np.bincount(candidates.event, weights=candidates.pt, minlength=n)
    sigma = np.sqrt(settings.noise**2 + settings.stochastic**2 * total)
    z = rng.standard_normal((n, 2))
    x, y = (
        sigma * z[:, axis]
        - np.bincount(candidates.event, weights=getattr(candidates, name), minlength=n)
        - np.bincount(jets.clustered.event, weights=getattr(jets.clustered, name) * corrected, minlength=n)
        for axis, name in enumerate(("px", "py"))
    )
    return {"pt": np.hypot(x, y), "eta": np.zeros(n), "phi": np.arctan2(y, x)}
