"""Families of anomalies: combinations of transformations that make known events into events of no known kind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from unseen.events import Schema
from unseen.events.normalisation import Normalisation
from unseen.views import View, ViewConfig, Viewed, apply_views
from unseen.views.trigger import Trigger

__all__ = ["Axes", "Families", "combinations"]

# An axis offers alternatives; an alternative is a chain of views, empty for "nothing".
Axes = tuple[tuple[tuple[ViewConfig, ...], ...], ...]


def combinations(axes: Axes) -> list[tuple[ViewConfig, ...]]:
    """One alternative of every axis, in every combination but the one that does nothing."""
    chains = [tuple(view for part in chosen for view in part) for chosen in product(*axes)]
    return [chain for chain in chains if chain]


class Families(nn.Module):
    """A copy of the batch cut into one part for each family, each part changed by the family's chain of views.

    Returns the changed events, their family (b,), and whether the selection of the schema would have kept them (b,).
    """

    def __init__(self, chains: Sequence[Sequence[View]], schema: Schema):
        super().__init__()
        self.chains = nn.ModuleList(nn.ModuleList(chain) for chain in chains)
        self.trigger = Trigger(schema)

    @classmethod
    def build(cls, axes: Axes, schema: Schema, normalisation: Normalisation | None) -> Families:
        """All combinations of the axes for events of this schema."""
        return cls([[view.build(schema, normalisation) for view in chain] for chain in combinations(axes)], schema)

    def __len__(self) -> int:
        return len(self.chains)

    def forward(self, objects: Tensor, present: Tensor, generator: torch.Generator) -> tuple[Viewed, Tensor, Tensor]:
        """Make every event an anomaly; the order of the batch, which is random, decides of which family."""
        rows = torch.tensor_split(torch.arange(len(objects), device=objects.device), len(self))
        seen, family = [], []
        for k, (chain, mine) in enumerate(zip(self.chains, rows, strict=True)):
            assert isinstance(chain, nn.ModuleList)
            seen.append(apply_views(chain, objects[mine], present[mine], generator))
            family.append(torch.full_like(mine, k))
        changed, there = torch.cat([v.objects for v in seen]), torch.cat([v.present for v in seen])
        return (
            Viewed(changed, there, objects.new_zeros((len(changed), 0))),
            torch.cat(family),
            self.trigger(changed, there),
        )
