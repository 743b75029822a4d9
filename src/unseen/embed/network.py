"""Normalisation and encoder as one module: physical objects in, embedding out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unseen.events.normalisation import Normalisation, normalise

__all__ = ["Network"]


class Network(nn.Module):
    """Objects (b, slots, features) in physical units and present (b, slots) -> embedding (b, dim).

    The one path for training, embedding and export. The numbers of the normalisation are buffers outside the
    state_dict: they are saved as JSON.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, normalisation: Normalisation, encoder: nn.Module):
        super().__init__()
        mean, deviation = normalisation.per_slot()
        self.register_buffer("mean", torch.from_numpy(mean), persistent=False)
        self.register_buffer("deviation", torch.from_numpy(deviation), persistent=False)
        self.log_column = normalisation.log_column
        self.encoder = encoder

    def forward(self, objects: Tensor, present: Tensor) -> Tensor:
        """Normalise and encode."""
        x = normalise(objects, present, self.mean, self.deviation, self.log_column)
        embedding: Tensor = self.encoder(x, present)
        return embedding
