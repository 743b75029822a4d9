"""The kinds of ratios, and how one is packed into arrays and plain settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.registry import lookup
from unseen.systematics.ratio.free_network import FreeNetworkSource
from unseen.systematics.ratio.function import FunctionSource
from unseen.systematics.ratio.joined import JoinedSource
from unseen.systematics.ratio.kernel import KernelSource
from unseen.systematics.ratio.mixture import MixtureSource
from unseen.systematics.ratio.network import NetworkSource
from unseen.systematics.ratio.source import Arrays, RatioSource

__all__ = ["SOURCES", "pack", "unpack"]

SOURCES: dict[str, type[RatioSource]] = {
    "function": FunctionSource,
    "joined": JoinedSource,
    "kernel": KernelSource,
    "mixture": MixtureSource,
    "network": NetworkSource,
    "free-network": FreeNetworkSource,
}


def pack(source: RatioSource) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and settings of a source, with its kind."""
    arrays = {name: np.ascontiguousarray(value) for name, value in source.arrays().items()}
    return arrays, {"kind": source.kind, **source.settings()}


def unpack(arrays: Arrays, settings: Mapping[str, Any]) -> RatioSource:
    """The source that `pack` packed. Errors: UnknownNameError, KeyError, TypeError, ValueError."""
    return lookup(str(settings["kind"]), SOURCES, "kind of density ratio").restore(arrays, settings)
