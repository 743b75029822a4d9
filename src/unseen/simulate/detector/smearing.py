"""Resolutions of the regions of the detector, and fluctuations that keep the mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unseen.simulate.detector.particles import region_index
from unseen.simulate.detector.settings import CalorimeterRegion, EfficiencyRegion, MaterialRegion, MuonRegion

__all__ = ["bremsstrahlung", "calorimeter_sigma", "fluctuation", "plateau", "track_sigma"]

Array = NDArray[np.float64]


def calorimeter_sigma(regions: Sequence[CalorimeterRegion], e: Array, eta: Array) -> Array:
    """Relative energy resolution, (n,); e in GeV."""
    table = np.array([(r.stochastic**2, r.noise**2, r.constant**2) for r in regions])
    s2, n2, c2 = table[region_index(np.abs(eta), [r.abs_eta_max for r in regions])].T
    sigma: Array = np.sqrt(s2 / e + n2 / e**2 + c2)
    return sigma


def track_sigma(regions: Sequence[MuonRegion], pt: Array, eta: Array) -> Array:
    """Relative pt resolution of tracks, (n,); pt in GeV."""
    table = np.array([(r.constant, r.slope) for r in regions])
    constant, slope = table[region_index(np.abs(eta), [r.abs_eta_max for r in regions])].T
    sigma: Array = np.hypot(constant, slope * pt)
    return sigma


def plateau(regions: Sequence[EfficiencyRegion], eta: Array) -> Array:
    """Efficiency far above threshold, (n,); 0 beyond the last region."""
    abs_eta = np.abs(eta)
    values = np.array([r.plateau for r in regions])[region_index(abs_eta, [r.abs_eta_max for r in regions])]
    result: Array = np.where(abs_eta < regions[-1].abs_eta_max, values, 0.0)
    return result


def fluctuation(sigma: Array, z: Array) -> Array:
    """Log-normal factors of mean 1 and standard deviation `sigma`, from standard normal `z`: never negative."""
    variance = np.log1p(sigma**2)
    factor: Array = np.exp(np.sqrt(variance) * z - variance / 2)
    return factor


def bremsstrahlung(regions: Sequence[MaterialRegion], eta: Array, rng: np.random.Generator) -> Array:
    """Fraction of its energy that an electron keeps behind material of t radiation lengths, (n,).

    Bethe and Heitler: exp(-x) with x of the Gamma distribution of shape t / ln 2; the mean is exp(-t).
    """
    table = np.array([r.thickness for r in regions])
    t = table[region_index(np.abs(eta), [r.abs_eta_max for r in regions])]
    kept: Array = np.exp(-rng.standard_gamma(t / np.log(2)))
    return kept
