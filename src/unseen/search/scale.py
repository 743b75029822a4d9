"""Standardisation and kernel widths: what the settings events fix about the features' units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.spatial.distance import pdist

from unseen.errors import ConfigError, NotEnoughEventsError
from unseen.search.validate import Floats, check_positive

__all__ = ["AUTO_PERCENTILES", "Scale", "Widths", "choose_kernels", "choose_widths", "parse_widths", "percentiles"]

AUTO_PERCENTILES = (1, 10, 50, 90, 99)
WIDEST = 2.0  # times the last of them: one more automatic width
CONVENTION = 90  # percentile at which the penalty is what it says
PAIRED_EVENTS = 2000  # events whose pairwise distances fix the automatic widths
Widths = str | float | Sequence[float]


@dataclass(frozen=True)
class Scale:
    """Standardisation (x - mean) / std with the settings events' moments; a constant feature keeps scale 1."""

    mean: Floats
    std: Floats
    constant: int = 0

    @classmethod
    def measure(cls, x: Floats, weights: Floats) -> Scale:
        """Return the weighted moments of `x` (n, d)."""
        mean = np.average(x, axis=0, weights=weights)
        std = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
        flat = std <= 1e-12 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(flat, 1.0, std), int(flat.sum()))

    @classmethod
    def identity(cls, n_features: int) -> Scale:
        """Return the scale that changes nothing."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def __call__(self, x: Floats) -> Floats:
        """Return standardised events (n, d)."""
        return np.ascontiguousarray((x - self.mean) / self.std)

    def undo(self, z: Floats) -> Floats:
        """Return events (n, d) in raw units, to rounding."""
        return z * self.std + self.mean


def parse_widths(widths: Widths) -> str | tuple[float, ...]:
    """Return "auto", "percentile(...)" or the widths asked for as floats; raise ConfigError for anything else."""
    if isinstance(widths, str):
        percentiles(widths)
        return widths
    values = [widths] if np.ndim(widths) == 0 else list(cast(Sequence[float], widths))
    if not values:
        raise ConfigError("widths is empty; give at least one, or 'auto'")
    return tuple(check_positive("widths", value) for value in values)


def percentiles(widths: str) -> tuple[float, ...]:
    """Return the percentiles that "auto", "percentile(90)" or "percentile(10, 90)" stands for; raise ConfigError."""
    if widths == "auto":
        return AUTO_PERCENTILES
    inside = re.fullmatch(r"percentile\((.*)\)", widths.strip())
    try:
        values = tuple(float(part) for part in inside[1].split(",")) if inside else ()
    except ValueError:
        values = ()
    if not values or not all(0 < value <= 100 for value in values):
        raise ConfigError(
            f"widths is '{widths}'; expected 'auto', 'percentile(90)' of the pairwise distances (above 0, up to 100, "
            "several with commas), a number or a list of numbers"
        )
    return values


def choose_widths(widths: Widths, z: Floats, rng: np.random.Generator) -> tuple[float, ...]:
    """Return kernel widths: as given, or percentiles of the pairwise distances of the settings events `z` (n, d)."""
    return tuple(width for width, _ in choose_kernels(widths, z, rng))


def choose_kernels(widths: Widths, z: Floats, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    """Return the width and the amplitude a of every kernel a^2 exp(-|x - y|^2 / (2 width^2)).

    Widths are as given, or percentiles of the pairwise distances of the settings events `z` (n, d), all with a = 1.
    Those of "auto" are percentiles 1, 10, 50, 90 and 99 and twice the last, with a = width / (90th percentile). A
    kernel of amplitude a and penalty lambda is one of amplitude 1 and lambda / a^2: narrow kernels, which can follow
    every fluctuation, are smoothed more, and wide ones, of which little but a slope and a curvature are left, less. On
    background with changed kinematics, process excesses and Gaussian bumps this needs fewer events than one penalty
    for all widths (docs/validation/search.md).
    """
    values = parse_widths(widths)
    if not isinstance(values, str):
        return tuple((width, 1.0) for width in values)
    found = _percentile_widths(z, percentiles(values), rng)
    if values != "auto":
        return tuple((width, 1.0) for width in found)
    unit = found[AUTO_PERCENTILES.index(CONVENTION)]
    return tuple((width, width / unit) for width in (*found, WIDEST * found[-1]))


def _percentile_widths(z: Floats, wanted: Sequence[float], rng: np.random.Generator) -> tuple[float, ...]:
    """Return percentiles of the pairwise distances that are not zero."""
    if len(z) > PAIRED_EVENTS:
        z = z[rng.choice(len(z), PAIRED_EVENTS, replace=False)]
    distances = pdist(z)  # exactly zero for equal events
    distances = distances[distances > 0.0]
    if len(distances) == 0:
        raise NotEnoughEventsError(f"{len(z)} settings events have no two distinct values; no width can be chosen")
    return tuple(float(v) for v in np.percentile(distances, wanted))
