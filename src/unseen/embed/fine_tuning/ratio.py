"""From a fitted head to the `DensityRatio` that the search takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unseen.embed.fine_tuning.heads import FreeHead, Head, PerProcessHead, PolynomialHead
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.systematics.ratio import RatioSource
from unseen.systematics.ratio.free_network import FreeNetworkSource
from unseen.systematics.ratio.mixture import MixtureSource
from unseen.systematics.ratio.network import NetworkSource
from unseen.systematics.ratio.network_fractions import NetworkFractions
from unseen.systematics.ratio.perceptron import Perceptron

__all__ = ["SOURCES_OF_HEADS", "source_of"]

NODES = 8  # values of nu of a projection, per coefficient


def _numbers(x: Tensor) -> NDArray[np.float64]:
    return x.detach().cpu().double().numpy()


def _perceptron(network: nn.Module, mean: Tensor, deviation: Tensor) -> Perceptron:
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    weights, biases = zip(*((_numbers(layer.weight), _numbers(layer.bias)) for layer in layers), strict=True)
    return Perceptron(_numbers(mean), _numbers(deviation), weights, biases)


def _polynomial(head: Head, proposal: Proposal) -> RatioSource:
    assert isinstance(head, PolynomialHead)
    return NetworkSource(_perceptron(head.network, head.mean, head.deviation), _numbers(head.scale))


def _free(head: Head, proposal: Proposal) -> RatioSource:
    assert isinstance(head, FreeHead)
    k = len(head.scale)
    mean = torch.cat([head.mean, head.mean.new_zeros(k)])
    deviation = torch.cat([head.deviation, head.deviation.new_ones(k)])
    # Of the same distribution as in training, and always the same ones.
    nodes = proposal(NODES * (k + k * (k + 1) // 2), torch.Generator().manual_seed(0))
    return FreeNetworkSource(_perceptron(head.network, mean, deviation), _numbers(head.scale), _numbers(nodes))


def _per_process(head: Head, proposal: Proposal) -> RatioSource:
    assert isinstance(head, PerProcessHead)
    whole = _perceptron(head.network, head.mean, head.deviation)
    # One network has the coefficients of all processes, side by side: each takes its rows of the last layer.
    outputs = zip(*(np.split(last, head.shape[0]) for last in (whole.weights[-1], whole.biases[-1])), strict=True)
    parts = [
        NetworkSource(
            replace(whole, weights=(*whole.weights[:-1], weight), biases=(*whole.biases[:-1], bias)),
            _numbers(head.scale),
        )
        for weight, bias in outputs
    ]
    return MixtureSource(tuple(parts), NetworkFractions(_perceptron(head.fractions, head.mean, head.deviation)))


# Which ratio a head becomes. A new head needs a line here too.
SOURCES_OF_HEADS: dict[type[Head], Callable[[Head, Proposal], RatioSource]] = {
    PolynomialHead: _polynomial,
    PerProcessHead: _per_process,
    FreeHead: _free,
}


def source_of(head: Head, proposal: Proposal, z: NDArray[np.float64]) -> tuple[RatioSource, dict[str, Any]]:
    """The ratio of a head, and what was lost on the way: `projection` for a free head, on nominal events z (n, d)."""
    source = SOURCES_OF_HEADS[type(head)](head, proposal)
    lost = {"projection": source.residual(z)} if isinstance(source, FreeNetworkSource) else {}
    return source, lost
