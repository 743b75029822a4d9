"""Events of a finished embedding at nu = 0 and at several nu each: what the last fit of a ratio takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.embed.fine_tuning.expand import Side
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.model import Model
from unseen.events import Events
from unseen.seeds import small_seed
from unseen.systematics import NuisanceSet
from unseen.systematics.selecting import Selected, select_tensors

__all__ = ["Paired", "pair_events"]

ROWS = 65536  # events and copies at a time
FIELDS = ("objects", "present")


@dataclass(frozen=True)
class Paired:
    """m events, c values of nu each. Rates are 0 for events that do not pass the selection there, and so is their z.

    z (m, d), rate (m,), process (m,): nominal; at (c, m, d), nu (c, m, k), rate_at (c, m): at nu.
    """

    z: Tensor
    rate: Tensor
    process: Tensor
    at: Tensor
    nu: Tensor
    rate_at: Tensor

    def __len__(self) -> int:
        return len(self.z)

    def rows(self, events: Tensor) -> Paired:
        """Some of the events, with all their copies."""
        nominal = (column.index_select(0, events) for column in (self.z, self.rate, self.process))
        return Paired(*nominal, *(column.index_select(1, events) for column in (self.at, self.nu, self.rate_at)))

    def counting(self) -> Paired:
        """Without the events that pass nowhere: they are in no sum. (All, if none passes anywhere.)"""
        events = ((self.rate != 0) | (self.rate_at != 0).any(dim=0)).nonzero()[:, 0]
        return self.rows(events) if len(events) else self


def pair_events(
    model: Model,
    events: Events,
    rows: NDArray[np.int64],
    relative: NDArray[np.float64],
    side: Side,
    nuisances: NuisanceSet,
    proposal: Proposal,
    copies: int,
    seed: int,
    device: str,
) -> Paired:
    """Distort, select and embed the events `rows`, `copies` times; `relative` (n,) are weights of all events."""
    parts, size = [], max(1, ROWS // (1 + copies))
    for number, i in enumerate(range(0, len(rows), size)):
        at = rows[i : i + size]
        index = torch.from_numpy(at)
        objects, present = torch.from_numpy(events.objects[at]), torch.from_numpy(events.present[at])
        columns = {name: column[index] for name, column in side.columns.items()}
        weight = torch.from_numpy(relative[at])
        seen, nus = [select_tensors(events.schema, objects, present)], []
        rates = [weight * seen[0].passes]
        for copy in range(copies):
            own = small_seed(seed, "fine-tune", "pairs", number, copy)
            nu = proposal(len(at), torch.Generator().manual_seed(own))
            there = nuisances.distort_tensors(
                objects, present, nu, schema=events.schema, columns=columns, classes=events.label_names, seed=own
            )
            seen.append(select_tensors(events.schema, there.objects, there.present))
            nus.append(nu)
            rates.append(weight * there.factor * seen[-1].passes)
        rate = torch.stack(rates)
        z = _embed(model, seen, rate, device)
        parts.append((z[0], rate[0], side.process[index], z[1:], torch.stack(nus), rate[1:]))
    columns_of_all = list(zip(*parts, strict=True))
    return Paired(*(torch.cat(c) for c in columns_of_all[:3]), *(torch.cat(c, dim=1) for c in columns_of_all[3:]))


def _embed(model: Model, seen: Sequence[Selected], rate: Tensor, device: str) -> Tensor:
    """z (blocks, m, d) of blocks of m events where their rate (blocks, m) is not 0."""
    # All blocks at once: an encoder that takes events by multiplicity fills up its last pass of each.
    counts = (rate != 0).unbind()
    objects, present = (torch.cat([getattr(s, n)[c] for s, c in zip(seen, counts, strict=True)]) for n in FIELDS)
    z = torch.zeros((*rate.shape, model.dim))
    z[rate != 0] = torch.from_numpy(model.block(objects.numpy(), present.numpy(), device))
    return z
