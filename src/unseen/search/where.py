"""Where an excess is: the uncertainty of f, and the region that drives t (spec section 6).

f is fitted to the data that it describes, so nothing here is a p-value: the search's own is the only one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unseen.errors import NegativeWeightError
from unseen.search.definite import IndefiniteError, cholesky
from unseen.search.features import Features
from unseen.search.loss import Batch, hessian
from unseen.search.validate import Floats

__all__ = ["Region", "coefficient_covariance", "f_error", "find_region"]


@dataclass(frozen=True)
class Region:
    """The events with f on one side of `threshold`, where counts differ most from the reference.

    side: "excess" (f >= threshold) or "deficit" (f <= threshold). observed: data events in it; expected: sum of the
    reference's weights in it, +- `error` from the finite reference (one event's weight where it has none there).
    local_z: signed root of twice the Poisson log-likelihood ratio of these counts; the threshold was chosen to make it
    largest, so it is no significance. share_of_t: the part of t that these events make up. mean, spread (d,): of the
    data events in it, in the units that were handed in.
    """

    side: str
    threshold: float
    observed: int
    expected: float
    error: float
    local_z: float
    share_of_t: float
    mean: tuple[float, ...]
    spread: tuple[float, ...]


def coefficient_covariance(batch: Batch, b: Tensor) -> Tensor:
    """Return the covariance of b, H^-1 G H^-1 (r, r), of a batch of one fit at its minimum b (1, r).

    H is the Hessian of the penalised loss and G the covariance of its gradient, sum_R (w s)^2 phi phi' + sum_D (1-s)^2
    phi phi' with s = sigmoid(f): the statistical fluctuation of data and reference. The penalty pulls f towards zero;
    that bias is not in it.
    """
    small = b.to(batch.weights.dtype)

    def term(rows: slice, phi: Tensor) -> Tensor:
        s = (small @ phi.T).sigmoid_()
        code = batch.code[:, rows]
        w = batch.weights[rows] * batch.scale[:, None].to(s.dtype)
        spread = torch.where(code > 0, w * s, torch.where(code < 0, 1.0 - s, torch.zeros_like(s)))
        return phi.T @ (phi * spread.square().T)

    try:
        factor = cholesky(hessian(batch, b))
    except IndefiniteError as error:
        raise NegativeWeightError(
            "negative reference weights leave f without an uncertainty: its Hessian is not positive; resample the "
            "weights with unseen.positive_weights"
        ) from error
    inverse: Tensor = torch.cholesky_inverse(factor)
    return inverse @ batch.phi.accumulate(term) @ inverse


def f_error(phi: Features, covariance: Tensor) -> Floats:
    """Return the standard deviation of f (n,) at the events of `phi`."""
    root = _root(covariance).to(phi.compute.dtype)
    error: Floats = torch.cat([(block @ root).norm(dim=1).double() for _, block in phi]).cpu().numpy()
    return error


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0.0).sqrt()
    return root


def find_region(f_reference: Floats, weights: Floats, f_data: Floats, data: Floats) -> Region:
    """Return the excess or the deficit with the largest |local_z|; data (n, d) belong to f_data (n,)."""
    sides = [_one_side(f_reference, weights, f_data, data, side) for side in ("excess", "deficit")]
    return max(sides, key=lambda region: abs(region.local_z))


def _one_side(f_reference: Floats, weights: Floats, f_data: Floats, data: Floats, side: str) -> Region:
    sign = 1.0 if side == "excess" else -1.0
    order_r, order_d = np.argsort(-sign * f_reference), np.argsort(-sign * f_data)
    fr, fd = sign * f_reference[order_r], sign * f_data[order_d]
    # An excess is cut at a data event, a deficit at a reference event: each at the last one it needs.
    thresholds = np.unique(fd[fd > 0] if side == "excess" else fr[fr > 0])
    if len(thresholds) == 0:
        thresholds = np.array([max(fd[0], fr[0])])
    observed = np.searchsorted(-fd, -thresholds, side="right").astype(np.float64)
    at = np.searchsorted(-fr, -thresholds, side="right")
    expected = np.concatenate([[0.0], np.cumsum(weights[order_r])])[at]
    floor = np.maximum(expected, np.max(np.abs(weights)))  # an empty region is known to one reference event only
    z = _root_likelihood_ratio(observed, floor) * np.where((observed > floor) == (side == "excess"), 1.0, 0.0)
    best = int(np.argmax(np.abs(z)))
    inside_d, inside_r = sign * f_data >= thresholds[best], sign * f_reference >= thresholds[best]
    t_inside = _t(f_data[inside_d], f_reference[inside_r], weights[inside_r])
    total = _t(f_data, f_reference, weights)
    chosen = data[inside_d] if inside_d.any() else np.full((1, data.shape[1]), np.nan)
    return Region(
        side,
        float(sign * thresholds[best]),
        int(observed[best]),
        float(expected[best]),
        float(max(np.sqrt(np.sum(weights[inside_r] ** 2)), 0.0 if inside_r.any() else np.max(np.abs(weights)))),
        float(z[best]),
        t_inside / total if total else 0.0,
        tuple(float(v) for v in chosen.mean(axis=0)),
        tuple(float(v) for v in chosen.std(axis=0)),
    )


def _t(f_data: Floats, f_reference: Floats, weights: Floats) -> float:
    return float(2.0 * (f_data.sum() - np.dot(weights, np.expm1(np.minimum(f_reference, 80.0)))))


def _root_likelihood_ratio(n: Floats, mu: Floats) -> Floats:
    """Return sign(n - mu) sqrt(2 [n log(n / mu) - (n - mu)])."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_term = np.where(n > 0, n * np.log(n / mu), 0.0)
    result: Floats = np.sign(n - mu) * np.sqrt(np.maximum(2.0 * (log_term - (n - mu)), 0.0))
    return result
