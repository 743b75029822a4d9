"""Kinematics of massless objects as tensor operations: finite with finite gradients also at zero, and exportable."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.events import Schema

__all__ = ["MET", "delta_phi", "hyperbolic", "log_mass", "pair_features", "root", "transverse_slots"]

# The collection of the missing transverse momentum, which has no eta.
MET = "met"

# Below any pt in GeV or angle that is measured; keeps the derivative of a square root finite at 0.
TINY = 1e-12


def root(x: Tensor) -> Tensor:
    """Square root of x >= 0 with derivative 0 (of what x is the square of) at 0."""
    return torch.sqrt(x + TINY)


def delta_phi(phi: Tensor, other: Tensor) -> Tensor:
    """phi - other, brought to [-pi, pi]."""
    difference = phi - other
    return difference - 2 * math.pi * torch.round(difference / (2 * math.pi))


def hyperbolic(x: Tensor) -> tuple[Tensor, Tensor]:
    """Hyperbolic sine and cosine; from the exponential, which every exporter knows."""
    up, down = torch.exp(x), torch.exp(-x)
    return 0.5 * (up - down), 0.5 * (up + down)


def log_mass(mass_squared: Tensor) -> Tensor:
    """log sqrt(1 + m^2 / GeV^2): log m for the masses of interest, 0 with derivative 0 at m = 0."""
    return 0.5 * torch.log1p(torch.clamp(mass_squared, min=0.0))


def pair_features(one: Tensor, other: Tensor, transverse: Tensor) -> Tensor:
    """(log m, delta R) of pairs of massless objects; one and other (..., 3) hold (pt, eta, phi) -> (..., 2).

    m^2 = 4 pt1 pt2 [sinh^2(deta/2) + sin^2(dphi/2)], which does not cancel for close objects. Where `transverse` (...)
    says that one of the two has no eta (missing momentum), deta is taken as 0: the transverse mass, and |dphi|.
    """
    (pt1, eta1, phi1), (pt2, eta2, phi2) = one.unbind(-1), other.unbind(-1)
    deta = torch.where(transverse, torch.zeros((), device=one.device), eta1 - eta2)
    dphi = delta_phi(phi1, phi2)
    mass_squared = 4 * pt1 * pt2 * (hyperbolic(deta / 2)[0].square() + torch.sin(dphi / 2).square())
    return torch.stack([log_mass(mass_squared), root(deta.square() + dphi.square())], dim=-1)


def transverse_slots(schema: Schema) -> NDArray[np.bool_]:
    """Which slots hold objects without eta, (slots,)."""
    return np.repeat([c.name == MET for c in schema.collections], [c.slots for c in schema.collections])
