"""Values of nu for a batch: broad, on single axes and in combinations, another one for every event."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unseen.systematics import NuisanceSet

__all__ = ["Proposal"]

EDGE = 2.0  # combinations are Gaussians cut at so many of their standard deviations


class Proposal(nn.Module):
    """Draws nu (n, k): for the share `axes` of the events one parameter, uniform; for the others all, Gaussian.

    Both lie within `width` prior widths of the prior's mean; the Gaussians have half of that as standard deviation.
    The other parameters of an event with one are exactly 0.
    """

    centre: Tensor
    reach: Tensor

    def __init__(self, nuisances: NuisanceSet, width: float, axes: float):
        super().__init__()
        self.axes = axes
        priors = [each.prior for each in nuisances.nuisances]
        self.register_buffer("centre", torch.tensor([prior.mean for prior in priors]), persistent=False)
        self.register_buffer("reach", torch.tensor([width * prior.width for prior in priors]), persistent=False)

    @property
    def limits(self) -> list[tuple[float, float]]:
        """The range of every parameter; 0 is in it."""
        pairs = zip(self.centre.tolist(), self.reach.tolist(), strict=True)
        return [(min(0.0, centre - reach), max(0.0, centre + reach)) for centre, reach in pairs]

    @property
    def scale(self) -> Tensor:
        """The largest |nu| of every parameter, (k,)."""
        return torch.tensor([max(-low, high) for low, high in self.limits])

    def forward(self, n: int, generator: torch.Generator) -> Tensor:
        """nu (n, k) on the device of the generator."""
        u = torch.rand((n, len(self.reach)), generator=generator, device=generator.device)
        tail = 0.5 * math.erfc(EDGE / math.sqrt(2.0))
        together = math.sqrt(2.0) / EDGE * torch.erfinv(2 * (tail + (1 - 2 * tail) * u) - 1)
        pick = torch.rand((n, 2), generator=generator, device=generator.device)
        axis = (pick[:, :1] * len(self.reach)).long().clamp_max(len(self.reach) - 1)
        alone = torch.zeros_like(u, dtype=torch.bool).scatter(1, axis, True)
        single = pick[:, 1:] < self.axes
        drawn = self.centre + self.reach * torch.where(single, 2 * u - 1, together)
        return torch.where(single & ~alone, 0.0, drawn)
