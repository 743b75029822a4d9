"""Building blocks that encoders and heads share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from unseen.events import Schema

__all__ = ["ObjectEmbedding", "perceptron"]


def perceptron(n_in: int, hidden: Sequence[int], n_out: int) -> nn.Sequential:
    """Fully connected layers with ReLU between them and a linear last layer.

    ReLU grows linearly beyond the training data, so an unusual event is not squashed back among the usual ones.
    """
    widths = (n_in, *hidden)
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_out))


class ObjectEmbedding(nn.Module):
    """A linear map of an object's features plus a vector of its type: the linear map of features and one-hot type.

    Objects of one type share it whatever their slot, so that their order does not matter.
    """

    types: Tensor

    def __init__(self, schema: Schema, n_features: int, width: int):
        super().__init__()
        self.features = nn.Linear(n_features, width)
        self.kind = nn.Embedding(len(schema.collections), width)
        number = [i for i, c in enumerate(schema.collections) for _ in range(c.slots)]
        self.register_buffer("types", torch.tensor(number), persistent=False)

    def forward(self, features: Tensor, slot: Tensor) -> Tensor:
        """Features (..., f) of objects in these slots (...) -> (..., width)."""
        embedded: Tensor = self.features(features) + self.kind(self.types[slot])
        return embedded
