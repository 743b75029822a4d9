"""Weighted cross-entropy of "at nu" against "nominal" for log r = psi(z) . theta' m(nu), with its gradient.

    L(theta) = 1/(B W) sum_blocks [ sum_nominal w log(1 + r) + sum_at_nu w log(1 + 1/r) ] + lam mean_nu |log r(.; nu)|^2

W is the nominal sum of weights. Classes are not balanced, so the minimum is the ratio of rates n(z | nu) / n(z | 0)
(spec systematics, section 2). It is convex. With psi and m uncorrelated and of unit variance the Hessian at r = 1 is
diagonal, which is the scale in which it is minimised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import softplus

from unseen.errors import ConvergenceError
from unseen.systematics.ratio.expansion import ROWS
from unseen.systematics.ratio.feature_map import FeatureMap
from unseen.systematics.ratio.monomials import Floats, monomials
from unseen.systematics.ratio.samples import RatioSamples

__all__ = ["Problem", "minimise"]

GAP = 1e-2  # how far, in events, the cross-entropy may be above its minimum
ITERATIONS = 1000


@dataclass(frozen=True, eq=False)
class _Part:
    """Some events of one class with features psi or the z to compute them, whitened m (p,) or (n, p), and weights."""

    z: Tensor
    psi: Tensor | None
    m: Tensor
    weights: Tensor
    sign: float  # 1 for events at nu, -1 for nominal ones


class Problem:
    """The cross-entropy of one set of samples in given features; `whiten` (p, p) makes monomials of unit variance.

    Features of the first events are held, up to `budget` bytes; those of the others are computed again every time.
    """

    def __init__(self, samples: RatioSamples, features: FeatureMap, whiten: Floats, budget: float) -> None:
        self.features = features
        self.total = float(samples.weights.sum()) * len(samples.blocks)
        self.n = len(samples.z)
        self.parts: list[_Part] = []
        self.free = budget
        nominal = self._rows(samples.z)
        for block, nu in zip(samples.blocks, samples.nu, strict=True):
            m = torch.from_numpy(monomials(nu) @ whiten.T)
            paired = (
                m if block.nominal_nu is None else torch.from_numpy(monomials(np.asarray(block.nominal_nu)) @ whiten.T)
            )
            self._add(nominal, paired, samples.weights, -1.0)
            self._add(self._rows(np.asarray(block.z)), m, np.asarray(block.weights), 1.0)

    def _rows(self, z: Floats) -> list[tuple[Tensor, Tensor | None]]:
        """Chunks of events with their features, as long as there is memory for them."""
        chunks: list[tuple[Tensor, Tensor | None]] = []
        for first in range(0, len(z), ROWS):
            rows = torch.from_numpy(z[first : first + ROWS])
            size = 8 * len(rows) * (1 + self.features.rank)
            self.free -= size
            chunks.append((rows, self.features(rows) if self.free >= 0 else None))
        return chunks

    def _add(self, chunks: list[tuple[Tensor, Tensor | None]], m: Tensor, weights: Floats, sign: float) -> None:
        w = torch.from_numpy(np.ascontiguousarray(weights))
        for i, (z, psi) in enumerate(chunks):
            rows = slice(i * ROWS, i * ROWS + len(z))
            self.parts.append(_Part(z, psi, m[0] if len(m) == 1 else m[rows], w[rows], sign))

    def join(self, other: Problem) -> Problem:
        """The problem of both sets of samples, with the same nu in every block; features are shared, not copied."""
        both: Problem = object.__new__(Problem)
        both.features, both.parts, both.free = self.features, self.parts + other.parts, other.free
        both.total, both.n = self.total + other.total, self.n + other.n
        return both

    def _logits(self, theta: Tensor) -> Iterator[tuple[_Part, Tensor, Tensor]]:
        """Each part with its features (n, 1 + r) and log r (n,), for theta (p, 1 + r)."""
        for part in self.parts:
            psi = self.features(part.z) if part.psi is None else part.psi
            alike = part.m.ndim == 1
            yield part, psi, psi @ (part.m @ theta) if alike else ((psi @ theta.T) * part.m).sum(1)

    def loss(self, theta: Tensor) -> float:
        """The cross-entropy alone."""
        return sum(float(p.weights @ softplus(-p.sign * log_r)) for p, _, log_r in self._logits(theta)) / self.total

    def loss_and_gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """The cross-entropy and its gradient (p, 1 + r)."""
        total, gradient = 0.0, torch.zeros_like(theta)
        for part, psi, log_r in self._logits(theta):
            total += float(part.weights @ softplus(-part.sign * log_r))
            pull = -part.sign * part.weights * torch.sigmoid(-part.sign * log_r)
            gradient += torch.outer(part.m, pull @ psi) if part.m.ndim == 1 else (part.m * pull[:, None]).T @ psi
        return total / self.total, gradient / self.total


def minimise(problem: Problem, penalty: float, start: Tensor) -> Tensor:
    """theta (p, 1 + r) of the least penalised cross-entropy. Errors: ConvergenceError."""
    ridge = torch.cat([torch.zeros(1, dtype=torch.float64), penalty / problem.features.variances])
    scale = (0.5 + 2.0 * ridge).rsqrt()

    def penalised(flat: Floats) -> tuple[float, Floats]:
        theta = torch.from_numpy(flat.copy()).reshape(start.shape) * scale
        value, gradient = problem.loss_and_gradient(theta)
        value += float((ridge * theta.square()).sum())
        return value, ((gradient + 2.0 * ridge * theta) * scale).numpy().ravel()

    gap = GAP / problem.n
    # In these coordinates the Hessian is about one: half the squared gradient is the distance to the minimum.
    largest = float(np.sqrt(2.0 * gap / start.numel()))
    found = minimize(
        penalised,
        np.asarray((start / scale).numpy().ravel(), dtype=np.float64),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "maxcor": 20, "ftol": 0.0, "gtol": largest},
    )
    left = float(np.square(np.asarray(found.jac)).sum()) / 2.0
    if not np.isfinite(found.fun) or left > gap:
        raise ConvergenceError(
            f"the density ratio's fit stopped {left * problem.n:.2g} events above its minimum after {found.nit} steps; "
            "raise the penalty or lower the rank"
        )
    return torch.from_numpy(np.asarray(found.x)).reshape(start.shape) * scale
