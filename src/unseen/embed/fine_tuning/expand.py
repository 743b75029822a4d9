"""From a batch of stored events to its rows in stage B: distorted and nominal, after the selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.expand import Expansion
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.fine_tuning.rows import BOTH, NOMINAL, PARTNER, SHIFTED, VIEW, PairedRows
from unseen.events import Schema
from unseen.systematics import NuisanceSet
from unseen.systematics.selecting import select_tensors
from unseen.views import Resimulate

__all__ = ["PairedExpansion", "Side"]


@dataclass(frozen=True)
class Side:
    """What a batch does not carry: columns (n,) of the whole sample, looked up by `Batch.instance`.

    rate: weight in the ratio of rates; process: label; columns: those that the nuisances read.
    """

    rate: Tensor
    process: Tensor
    columns: dict[str, Tensor]


class PairedExpansion(nn.Module):
    """Every event at a nu of its own; the selection on it and on the nominal event; what passes, as `PairedRows`.

    `views` makes the rows of the contrastive term from the nominal selected events and their re-simulated partners, as
    in stage A. Without views that change an event the nominal rows serve both terms: they are encoded once.
    """

    def __init__(
        self,
        views: Expansion,
        nuisances: NuisanceSet,
        proposal: Proposal,
        schema: Schema,
        classes: Sequence[str],
        side: Side,
    ):
        super().__init__()
        self.views, self.proposal = views, proposal
        self.nuisances, self.schema, self.classes = nuisances, schema, tuple(classes)
        self.names = tuple(side.columns)
        # Not in a checkpoint: they follow from the sample.
        for name, column in {"rate": side.rate, "process": side.process, **side.columns}.items():
            self.register_buffer(f"side_{name}", column, persistent=False)

    def column(self, name: str, rows: Tensor) -> Tensor:
        """A column of the sample at these events."""
        return self.get_buffer(f"side_{name}").index_select(0, rows)

    def forward(self, batch: Batch, generator: torch.Generator) -> PairedRows:
        """b stored events -> rows."""
        nu = self.proposal(len(batch), generator)
        moved = self.nuisances.distort_tensors(
            batch.objects,
            batch.present,
            nu,
            schema=self.schema,
            columns={name: self.column(name, batch.instance) for name in self.names},
            classes=self.classes,
            seed=generator.initial_seed() % 2**31,
        )
        before = select_tensors(self.schema, batch.objects, batch.present)
        after = select_tensors(self.schema, moved.objects, moved.present)
        rate = self.column("rate", batch.instance) / len(batch)
        whole = replace(self._partners_selected(batch), objects=before.objects, present=before.present)
        contrast, nominal = self._nominal(whole, before.passes, rate, nu, generator)
        n_parameters = contrast.parameters.shape[1]
        at = after.passes.nonzero()[:, 0]
        shifted = replace(
            batch.alone(),
            objects=after.objects,
            present=after.present,
            parameters=nu.new_zeros((len(batch), n_parameters)),
        ).rows(at)
        parts = [contrast, *nominal, self._rows(shifted, SHIFTED, at, (rate * moved.factor)[at], nu[at])]
        return PairedRows.stacked(parts)

    def _nominal(
        self, whole: Batch, passes: Tensor, rate: Tensor, nu: Tensor, generator: torch.Generator
    ) -> tuple[PairedRows, list[PairedRows]]:
        """Rows of the contrastive term, and the nominal rows where those are not among them."""
        at = passes.nonzero()[:, 0]
        events = whole.rows(at)
        seen = self.views(events, generator)
        place = at.repeat(len(seen) // max(1, len(at)))  # view after view, copies made anomalous last
        same = all(isinstance(view, Resimulate) for view in self.views.views)  # the first view of an event is the event
        roles = torch.full_like(place, VIEW)
        if self.views.n_partners:
            roles = torch.where((seen.view > 0) & ~seen.anomalous, PARTNER, roles)
        if same:
            roles[: len(at)] = BOTH
        contrast = self._rows(seen, roles, place, torch.where(roles == BOTH, rate[place], 0.0), nu[place])
        if same:
            return contrast, []
        events = replace(events.alone(), parameters=nu.new_zeros((len(at), seen.parameters.shape[1])))
        return contrast, [self._rows(events, NOMINAL, at, rate[at], nu[at])]

    def _partners_selected(self, batch: Batch) -> Batch:
        """Partners, which pass the selection, without the objects that fail it."""
        if not self.views.n_partners:
            return batch
        selected = select_tensors(self.schema, batch.partner_objects.flatten(0, 1), batch.partner_present.flatten(0, 1))
        return replace(
            batch,
            partner_objects=selected.objects.view_as(batch.partner_objects),
            partner_present=selected.present.view_as(batch.partner_present),
        )

    def _rows(self, batch: Batch, role: int | Tensor, position: Tensor, rate: Tensor, nu: Tensor) -> PairedRows:
        roles = torch.full_like(position, role) if isinstance(role, int) else role
        return PairedRows.of_batch(batch, roles, position, rate, self.column("process", batch.instance), nu)
