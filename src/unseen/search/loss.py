"""The penalised weighted logistic loss of a batch of fits, and its gradients in one pass over the events.

For one fit, with n = N_R + N_D and b the whitened coefficients (spec section 1, arXiv:2204.02317):

    n L(b) = sum_R w log(1 + exp f) + sum_D log(1 + exp(-f)) + n lambda/2 |b|^2,    f(x) = b . phi(x)

A pass goes through the blocks of features once and forms f, the residuals and the gradient of all fits while a block is
in the cache: two matrix products and a few operations on each event of each fit. Nothing of the size events x fits is
kept but one byte that says which part an event plays in a fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unseen.search.features import Features
from unseen.search.normalisation import Normalisation

__all__ = ["Batch", "Sums", "count", "gradient", "hessian", "log_likelihood_ratio", "make_batch", "played"]

Sums = tuple[Tensor, Tensor, Tensor]
LARGEST_F = 80.0  # exp of it is finite in float32; events of no weight in a fit may have any f


@dataclass(frozen=True)
class Batch:
    """T fits on one set of m events. `code` int8 (T, m): +1 reference, -1 data, 0 neither.

    The reference weight of an event is `weights` (m,) times `scale` (T,). `ridge` (T, r) is the quadratic penalty
    around `center` (T, r): n lambda around 0, and the constraint of the intercept. `shift` (T,) is the log yield that
    the reference was scaled by. `quadratic` replaces the loss by its second-order expansion at f = 0, whose minimum is
    the published single Newton step. `weight` is the one value of all `weights`, None if they differ.
    """

    phi: Features
    code: Tensor
    weights: Tensor
    scale: Tensor
    ridge: Tensor
    center: Tensor
    shift: Tensor
    normalisation: Normalisation
    quadratic: bool = False
    weight: float | None = None

    @property
    def size(self) -> int:
        """Number T of fits."""
        return len(self.code)

    def pick(self, at: Tensor) -> Batch:
        """Return the fits `at` alone, on the same events."""
        parts = (self.code, self.scale, self.ridge, self.center, self.shift)
        code, scale, ridge, center, shift = (part[at] for part in parts)
        return replace(self, code=code, scale=scale, ridge=ridge, center=center, shift=shift)


def make_batch(
    phi: Features,
    code: Tensor,
    weights: Tensor,
    expected: Tensor,
    normalisation: Normalisation,
    penalty: float,
    *,
    quadratic: bool = False,
    sums: Sums | None = None,
) -> Batch:
    """Return the loss of the fits `code` (T, m); the reference weights of each are scaled to sum to `expected` (T,).

    `sums` are the counts and sums of weights in the codes, if they are known.
    """
    n_data, n_reference, total = count(code, weights) if sums is None else sums
    shift = normalisation.shift(n_data, expected)
    ridge = ((n_reference + n_data) * penalty)[:, None].expand(-1, phi.rank).clone()
    center = torch.zeros_like(ridge)
    if normalisation.intercept:
        ridge[:, -1], center[:, -1] = normalisation.ridge, -shift
    scale = expected / total * torch.exp(shift)
    dtype = phi.compute.dtype
    low, high = torch.aminmax(weights)
    weight = float(low) if bool(low == high) else None
    return Batch(phi, code, weights.to(dtype), scale, ridge, center, shift, normalisation, quadratic, weight)


def count(code: Tensor, weights: Tensor) -> Sums:
    """Return the number of data and of reference events of any weight, and the reference's sum of weights, (T,)."""
    weighs = None if bool((weights != 0).all()) else weights != 0
    sums = torch.zeros(3, len(code), dtype=torch.float64, device=code.device)
    for i, row in enumerate(code):  # one fit at a time: temporary arrays of all fits would dwarf the codes
        reference = row > 0
        sums[0, i] = torch.count_nonzero(row < 0)
        sums[1, i] = torch.count_nonzero(reference if weighs is None else reference & weighs)
        sums[2, i] = torch.dot(weights, reference.to(weights.dtype))
    return sums[0], sums[1], sums[2]


def gradient(batch: Batch, b: Tensor | None) -> Tensor:
    """Return the gradient of n L at b, float64 (T, r); None stands for b = 0."""
    if b is None and batch.weight is not None and bool((batch.scale == batch.scale[0]).all()):
        return _gradient_at_zero(batch, batch.weight * float(batch.scale[0]))
    small = None if b is None else b.to(batch.weights.dtype)

    def term(rows: slice, phi: Tensor) -> Tensor:
        return _residual(batch, rows, None if small is None else small @ phi.T) @ phi

    start = batch.ridge * ((0.0 if b is None else b) - batch.center)
    return start.add_(batch.phi.accumulate(term))


def _gradient_at_zero(batch: Batch, weight: float) -> Tensor:
    """Return the gradient at b = 0 where all reference events of all fits have one weight.

    A code turns into its weight over the reference's, 1 or -1 / weight, by one leaky ramp.
    """

    def term(rows: slice, phi: Tensor) -> Tensor:
        code = batch.code[:, rows].to(phi.dtype)
        return torch.nn.functional.leaky_relu_(code, 1.0 / weight) @ phi

    return batch.phi.accumulate(term).mul_(0.5 * weight).sub_(batch.ridge * batch.center)


def played(batch: Batch, rows: slice) -> tuple[Tensor, Tensor]:
    """Return (R, -D) of a block (T, rows): reference weights, and minus the data counts."""
    code = batch.code[:, rows].to(batch.weights.dtype)
    minus_data = code.clamp(max=0.0)
    scale = batch.scale[:, None].to(code.dtype)
    if batch.weight is None:
        return code.clamp_(min=0.0).mul_(batch.weights[rows]).mul_(scale), minus_data
    return code.clamp_(min=0.0).mul_(scale * batch.weight), minus_data


def _residual(batch: Batch, rows: slice, f: Tensor | None) -> Tensor:
    """Return d(n L)/df (T, rows): w sigmoid(f) on the reference, -sigmoid(-f) on the data."""
    reference, minus_data = played(batch, rows)
    if f is None:
        return reference.add_(minus_data).mul_(0.5)
    slope = f.mul_(0.25).add_(0.5) if batch.quadratic else f.sigmoid_()
    return slope.mul_(reference.sub_(minus_data)).add_(minus_data)


def hessian(batch: Batch, b: Tensor) -> Tensor:
    """Return the Hessian of n L of a batch of one fit at b (1, r), float64 (r, r)."""
    small = b.to(batch.weights.dtype)

    def term(rows: slice, phi: Tensor) -> Tensor:
        reference, minus_data = played(batch, rows)
        curvature = reference.sub_(minus_data)
        if batch.quadratic:
            curvature *= 0.25
        else:
            s = (small @ phi.T).sigmoid_()
            curvature *= s * (1.0 - s)
        return phi.T @ (phi * curvature.T)

    return torch.diag(batch.ridge[0]).add_(batch.phi.accumulate(term))


def log_likelihood_ratio(batch: Batch, b: Tensor) -> Tensor:
    """Return t (T,) at b (T, r): 2 [ sum_D f - sum_R w (exp f - 1) ] minus the cost of the intercept."""
    small = b.to(batch.weights.dtype)

    def term(rows: slice, phi: Tensor) -> Tensor:
        f = small @ phi.T
        reference, minus_data = played(batch, rows)
        data = (minus_data.mul_(f)).sum(1)
        return -(data + f.clamp_(max=LARGEST_F).expm1_().mul_(reference).sum(1))

    t = 2.0 * batch.phi.accumulate(term)
    return t - batch.normalisation.cost(batch.shift, b[:, -1]) if batch.normalisation.intercept else t
