"""Building blocks that encoders and heads share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

__all__ = ["perceptron"]


def perceptron(n_in: int, hidden: Sequence[int], n_out: int) -> nn.Sequential:
    """Fully connected layers with ReLU between them and a linear last layer.

    ReLU grows linearly beyond the training data, so an unusual event is not squashed back among the usual ones.
    """
    widths = (n_in, *hidden)
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_out))
