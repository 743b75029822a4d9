"""A bias of the attention between two objects from their mass and distance (arXiv:2202.03772, equations 3 and 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unseen.embed.inputs.kinematics import pair_features, transverse_slots
from unseen.events import Schema

__all__ = ["PairBias"]


class PairBias(nn.Module):
    """(log m_ij, delta R_ij) of massless objects, on the scale of the training sample, through a network to every head.

    Pairs with the missing momentum have no eta: transverse mass and delta phi.
    """

    transverse: Tensor

    def __init__(self, schema: Schema, hidden: int, heads: int):
        super().__init__()
        self.kinematic = [schema.feature(name) for name in ("pt", "eta", "phi")]
        self.register_buffer("transverse", torch.from_numpy(transverse_slots(schema)), persistent=False)
        # Attention does not see a bias that all pairs have: the last layer has none.
        self.network = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads, bias=False))

    def select(self, objects: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
        """(pt, eta, phi) of objects (..., features), and whether those in these slots have no eta."""
        return torch.stack([objects[..., i] for i in self.kinematic], dim=-1), self.transverse[slot]

    def forward(self, objects: Tensor, transverse: Tensor, scale: Tensor, extra: int) -> Tensor:
        """Objects (n, m, 3) and transverse (n, m) -> bias (n, heads, extra + m, extra + m).

        `extra` tokens come first, with a bias of 0.
        """
        n, m = transverse.shape
        one, other = objects[:, :, None].expand(n, m, m, 3), objects[:, None].expand(n, m, m, 3)
        pairs = pair_features(one, other, transverse[:, :, None] | transverse[:, None])
        bias = self.network((pairs - scale[0]) / scale[1]).permute(0, 3, 1, 2)
        return pad(bias, (extra, 0, extra, 0))
