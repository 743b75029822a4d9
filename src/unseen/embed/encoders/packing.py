"""Compute present objects only: rows of present objects, in groups of events that have equally many.

An ADC2021 event fills about three of 19 slots. Layers that act on single objects run once over the present objects of
all events; what mixes the objects of an event runs over one group of events after the other, as a dense array without a
mask. The number of present objects is data, so an exported graph cannot do this: `exporting` says when to mask instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Packing", "exporting", "pack"]


def exporting() -> bool:
    """Whether the graph of a module is being recorded by one of torch's exporters."""
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export()


@dataclass(frozen=True)
class Packing:
    """Which slots of a batch are present.

    * event, slot (t,): of every present object, events in ascending number of objects, slots in order
    * groups: (events, objects of each), in the order of the rows; events may be of 0 objects
    * back (b,): where in that order the events of the batch are
    """

    event: Tensor
    slot: Tensor
    groups: tuple[tuple[int, int], ...]
    back: Tensor

    def take(self, x: Tensor) -> Tensor:
        """The present objects' rows of (b, slots, ...), as (t, ...)."""
        return x[self.event, self.slot]

    def each(self, work: Callable[[Tensor], Tensor], rows: Tensor) -> list[Tensor]:
        """`work` on the rows (t, f) of one group after the other, each as (events, objects, f)."""
        parts = torch.split_with_sizes(rows, [n * m for n, m in self.groups])
        return [work(part.view(n, m, rows.shape[1])) for part, (n, m) in zip(parts, self.groups, strict=True)]

    def events(self, parts: list[Tensor]) -> Tensor:
        """Rows of the events of all groups, each (events, f), in the order of the batch."""
        return torch.cat(parts).index_select(0, self.back)


def pack(present: Tensor) -> Packing:
    """The packing of a mask (b, slots)."""
    multiplicity = present.sum(1)
    order = torch.argsort(multiplicity, stable=True)
    row, slot = present.index_select(0, order).nonzero(as_tuple=True)
    counts = torch.bincount(multiplicity).tolist()
    groups = tuple((n, m) for m, n in enumerate(counts) if n) or ((0, 0),)
    return Packing(order[row], slot, groups, torch.argsort(order))
