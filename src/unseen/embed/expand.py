"""From a batch of events to the rows that an objective sees: views of every event, and anomalous copies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from unseen.embed.data import Batch
from unseen.views import View, apply_views

__all__ = ["Expansion"]


class Expansion(nn.Module):
    """`n_views` views of every event by the chain `views`, and one copy made anomalous by the chain `anomalies`.

    Without views the events themselves are the one view. Rows come view after view, the anomalous copies last.
    """

    def __init__(self, views: Sequence[View], n_views: int, anomalies: Sequence[View], n_parameters: int):
        super().__init__()
        self.views, self.anomalies = nn.ModuleList(views), nn.ModuleList(anomalies)
        self.n_views, self.n_parameters = n_views, n_parameters

    def forward(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Batch of b events -> batch of n_views b rows, and b more with anomalies."""
        if not len(self.views) and not len(self.anomalies):
            return batch
        parts = []
        for i in range(self.n_views):
            parts.append(batch.seen(apply_views(self.views, batch.objects, batch.present, generator), i))
        if len(self.anomalies):
            changed = apply_views(self.anomalies, batch.objects, batch.present, generator)
            none = parts[0].parameters.new_zeros(parts[0].parameters.shape)
            parts.append(batch.seen(changed._replace(parameters=none), self.n_views, anomalous=True))
        return Batch.joined(parts)
