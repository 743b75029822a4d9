"""From a batch of events to the rows that an objective sees: views of every event, and anomalous copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from unseen.embed.data import Batch
from unseen.embed.families import Families
from unseen.views import Resimulate, View, apply_views

__all__ = ["Expansion"]


class Expansion(nn.Module):
    """`n_views` views of every event by the chain `views`, and one copy made anomalous by the chain `anomalies`.

    With `resimulate` among the views the first view is of the event, the others are of the partners in the batch.
    Without views the events themselves are the one view. Rows come view after view, the anomalous copies last. With
    `families` the copy is dealt among them instead; those that the selection would not have kept have weight 0.
    """

    def __init__(
        self,
        views: Sequence[View],
        n_views: int,
        anomalies: Sequence[View],
        n_parameters: int,
        families: Families | None = None,
    ):
        super().__init__()
        self.families = families
        self.views, self.anomalies = nn.ModuleList(views), nn.ModuleList(anomalies)
        self.n_views, self.n_parameters = n_views, n_parameters
        self.n_partners = n_views - 1 if any(isinstance(view, Resimulate) for view in views) else 0

    def forward(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Batch of b events -> batch of n_views b rows, and b more with anomalies."""
        assert batch.partner_objects.shape[1] == self.n_partners, "a batch without the partners that its views are of"
        if not len(self.views) and not len(self.anomalies) and self.families is None:
            return batch
        parts = []
        for i in range(self.n_views):
            parts.append(batch.seen(apply_views(self.views, *batch.shown(i), generator), i))
        if self.families is not None:
            parts.append(self._dealt(batch, parts[0].parameters.shape[1], generator, self.families))
        if len(self.anomalies):
            changed = apply_views(self.anomalies, batch.objects, batch.present, generator)
            none = parts[0].parameters.new_zeros(parts[0].parameters.shape)
            parts.append(batch.seen(changed._replace(parameters=none), self.n_views, anomalous=True))
        return Batch.joined(parts)

    @property
    def n_families(self) -> int:
        """Number of families of anomalies."""
        return 0 if self.families is None else len(self.families)

    def _dealt(self, batch: Batch, n_parameters: int, generator: torch.Generator, families: Families) -> Batch:
        changed, family, kept = families(batch.objects, batch.present, generator)
        changed = changed._replace(parameters=changed.objects.new_zeros((len(batch), n_parameters)))
        copies = batch.seen(changed, self.n_views, anomalous=True)
        return replace(copies, family=family, weight=copies.weight * kept)
