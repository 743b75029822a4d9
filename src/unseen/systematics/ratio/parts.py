"""Ratios made of ratios: their arrays under one roof, 'part0/...', 'part1/...'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from unseen.systematics.ratio.source import Arrays, RatioSource

__all__ = ["pack_parts", "unpack_parts"]


def pack_parts(parts: Sequence[RatioSource]) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]]]:
    """Arrays and settings of all parts."""
    arrays = {f"part{i}/{name}": value for i, part in enumerate(parts) for name, value in part.arrays().items()}
    return arrays, [{"kind": part.kind, **part.settings()} for part in parts]


def unpack_parts(arrays: Arrays, settings: Sequence[Mapping[str, Any]]) -> tuple[RatioSource, ...]:
    """The parts that `pack_parts` packed."""
    from unseen.systematics.ratio.table import unpack  # the table of kinds has the kinds that are made of others

    found = []
    for i, each in enumerate(settings):
        prefix = f"part{i}/"
        own = {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
        found.append(unpack(own, each))
    return tuple(found)
