"""Means, widths and correlations of an embedding, and what each event contributes to their errors."""

from __future__ import annotations

import numpy as np

from unseen.search.validate import Floats

__all__ = ["latent_moments", "moment_influence", "moment_names"]

SMALLEST = 1e-12  # a variance below this fraction of the mean square is none


def moment_names(d: int) -> tuple[str, ...]:
    """Names of the moments of z (n, d): d means, d widths, d (d - 1) / 2 correlations, in this order."""
    pairs = zip(*np.triu_indices(d, 1), strict=True)
    return (
        *(f"mean z{i}" for i in range(d)),
        *(f"width z{i}" for i in range(d)),
        *(f"correlation z{i} z{j}" for i, j in pairs),
    )


def latent_moments(z: Floats, weights: Floats) -> Floats:
    """Return the moments (m,) of z (n, d) with weights (n,); the correlations of a constant are 0."""
    mean, width, u = _standardised(z, weights)
    i, j = np.triu_indices(z.shape[1], 1)
    rho = (u * weights[:, None]).T @ u / weights.sum()
    return np.concatenate([mean, width, rho[i, j]])


def moment_influence(z: Floats, weights: Floats) -> Floats:
    """Return (n, m): the change of each moment per event, so that its variance is the sum of squares over events."""
    _, width, u = _standardised(z, weights)
    i, j = np.triu_indices(z.shape[1], 1)
    rho = (u * weights[:, None]).T @ u / weights.sum()
    square = u**2
    correlation = u[:, i] * u[:, j] - 0.5 * rho[i, j] * (square[:, i] + square[:, j])
    influence: Floats = np.hstack([u * width, 0.5 * (square - 1.0) * width, correlation])
    influence *= weights[:, None] / weights.sum()
    return influence


def _standardised(z: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return means and widths (d,), and z in units of them."""
    share = weights / weights.sum()
    mean = share @ z
    variance = share @ (z - mean) ** 2
    flat = variance <= SMALLEST * (share @ z**2)
    width = np.where(flat, 0.0, np.sqrt(variance))
    return mean, width, (z - mean) / np.where(flat, np.inf, width)
