"""The rows that stage B sees of a batch: views for the contrastive term, nominal events, and events at nu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from unseen.embed.data import Batch

__all__ = ["BOTH", "NOMINAL", "PARTNER", "SHIFTED", "VIEW", "PairedRows"]

# What a row is for: the contrastive term only, the systematic term only as a nominal event, both, or an event at nu; a
# partner is a row of the contrastive term that shows another simulation of its event.
VIEW, NOMINAL, BOTH, SHIFTED, PARTNER = range(5)


@dataclass(frozen=True)
class PairedRows(Batch):
    """Rows of a batch of b stored events; only those that pass the selection are here.

    * role: VIEW, NOMINAL, BOTH, SHIFTED or PARTNER
    * position: number of the event in the batch, which all its rows share
    * rate: weight over b in the ratio of rates, with the factor of nu for shifted rows; nominal rows sum to about 1
    * process: the label of the event
    * nu (rows, k): what the event is shifted by, and its nominal row is paired with
    """

    role: Tensor
    position: Tensor
    rate: Tensor
    process: Tensor
    nu: Tensor

    @classmethod
    def of_batch(
        cls, batch: Batch, role: Tensor, position: Tensor, rate: Tensor, process: Tensor, nu: Tensor
    ) -> PairedRows:
        """A batch with what it is for."""
        own = {"role": role, "position": position, "rate": rate, "process": process, "nu": nu}
        return cls(**{field.name: getattr(batch, field.name) for field in fields(Batch)}, **own)

    @classmethod
    def stacked(cls, parts: Sequence[PairedRows]) -> PairedRows:
        """The rows of all parts."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def plain(self, index: Tensor) -> Batch:
        """These rows as a batch that any objective takes."""
        return Batch(*(getattr(self, field.name).index_select(0, index) for field in fields(Batch)))

    def contrast(self) -> Tensor:
        """Which rows the contrastive term sees."""
        return ((self.role == VIEW) | (self.role == BOTH) | (self.role == PARTNER)).nonzero()[:, 0]

    def nominal(self) -> Tensor:
        """Which rows are nominal events."""
        return ((self.role == NOMINAL) | (self.role == BOTH)).nonzero()[:, 0]

    def shifted(self) -> Tensor:
        """Which rows are events at nu."""
        return (self.role == SHIFTED).nonzero()[:, 0]

    def resimulated(self) -> Tensor:
        """Which rows show another simulation of their event."""
        return (self.role == PARTNER).nonzero()[:, 0]

    def pairs(self) -> tuple[Tensor, Tensor]:
        """The nominal and the shifted row of every event that passes the selection both times."""
        nominal, shifted = self.nominal(), self.shifted()
        row = torch.full((int(self.position.max()) + 1 if len(self) else 0,), -1, device=self.position.device)
        row[self.position[nominal]] = nominal
        partner = row[self.position[shifted]]
        there = partner >= 0
        return partner[there], shifted[there]
