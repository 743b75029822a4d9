"""Predictability: do the moments of an embedding move with nu as r(z; nu) says, and as a polynomial does?

The same generated events are looked at at all nu, so that the moments' movements are known far better than the moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unseen.errors import NotEnoughEventsError, ShapeError
from unseen.search.validate import Floats
from unseen.study.covariance.moments import latent_moments, moment_influence, moment_names
from unseen.study.covariance.moved import Delta, Moved, coefficients

__all__ = ["MOVES", "MomentFit", "predictability"]

MOVES = 5.0  # standard errors by which a moment must move somewhere to be judged
ROUNDING = 1e-6  # standard errors: events that all move alike have no spread but that of rounding
SPARE = 1.3  # times the columns: points that a polynomial's cross terms need


@dataclass(frozen=True)
class MomentFit:
    """One moment over the grid: `movement` is the largest change over its standard error.

    `r2` is the share of its variance over the grid (nu = 0 included) that reweighting by r(z; nu) predicts, `noise` the
    share that the finite sample alone would leave unexplained. `r2_polynomial` is that of a quadratic polynomial in nu
    without constant, each point predicted from the others. Both None for a moment that does not move;
    `observed` and `predicted` (points,) are the changes from nu = 0.
    """

    name: str
    movement: float
    r2: float | None
    r2_polynomial: float | None
    noise: float | None
    observed: tuple[float, ...]
    predicted: tuple[float, ...]

    @property
    def moves(self) -> bool:
        """Whether it moves by more than `MOVES` standard errors."""
        return self.movement > MOVES


def predictability(nominal: Moved, points: Sequence[Moved], delta: Delta) -> list[MomentFit]:
    """Return how all means, widths and correlations of z follow nu over `points`.

    `nominal` and every point are the same generated events, row by row. Errors: ShapeError, NotEnoughEventsError.
    """
    if not points:
        raise NotEnoughEventsError("the grid has no points")
    k = len(points[0].nu)
    ratio = coefficients("the nominal events", delta, nominal.z, k)
    start, own = latent_moments(nominal.z, nominal.weights), moment_influence(nominal.z, nominal.weights)
    observed, predicted, errors, noise = [], [], [], []
    floor = ROUNDING**2 * np.square(own).sum(axis=0)
    for point in points:
        if point.z.shape != nominal.z.shape or len(point.nu) != k:
            raise ShapeError(f"the events at nu = {point.nu.tolist()} are not those at 0: {point.z.shape}")
        weights = nominal.weights * np.exp(ratio.log_ratio(point.nu))
        seen = moment_influence(point.z, point.weights)
        observed.append(latent_moments(point.z, point.weights) - start)
        predicted.append(latent_moments(nominal.z, weights) - start)
        errors.append(np.sqrt(np.square(seen - own).sum(axis=0) + floor))
        noise.append(np.square(seen - moment_influence(nominal.z, weights)).sum(axis=0))
    o, p, e, v = (np.array(rows) for rows in (observed, predicted, errors, noise))
    left = _left_out(np.array([point.nu for point in points]), o)
    names = moment_names(nominal.z.shape[1])
    return [
        _moment(name, o[:, i], p[:, i], e[:, i], v[:, i], None if left is None else left[:, i])
        for i, name in enumerate(names)
    ]


def _moment(name: str, o: Floats, p: Floats, error: Floats, noise: Floats, left: Floats | None) -> MomentFit:
    movement = float((np.abs(o) / np.maximum(error, 1e-300)).max()) if np.abs(o).max() > 0 else 0.0
    plain = tuple(o.tolist()), tuple(p.tolist())
    if movement <= MOVES:
        return MomentFit(name, movement, None, None, None, *plain)
    everywhere = np.append(o, 0.0)
    spread = float(np.square(everywhere - everywhere.mean()).sum())
    r2 = 1.0 - float(np.square(o - p).sum()) / spread
    polynomial = None if left is None else 1.0 - float(np.square(left).sum()) / spread
    return MomentFit(name, movement, r2, polynomial, float(noise.sum()) / spread, *plain)


def _left_out(nu: Floats, observed: Floats) -> Floats | None:
    """Return the residuals (points, m) of a quadratic polynomial at points that it was not fitted to, None if too few.

    Cross terms are in it where there are points enough.
    """
    i, j = np.triu_indices(nu.shape[1], 1)
    columns = np.hstack([nu, nu**2, nu[:, i] * nu[:, j]])
    columns = columns[:, np.abs(columns).max(axis=0) > 0]
    if len(nu) < SPARE * columns.shape[1]:
        columns = np.hstack([nu, nu**2])
    hat = columns @ np.linalg.pinv(columns)
    lever = np.diagonal(hat)
    if len(nu) <= columns.shape[1] or lever.max() > 1.0 - 1e-6:
        return None
    residual: Floats = (observed - hat @ observed) / (1.0 - lever)[:, None]
    return residual
