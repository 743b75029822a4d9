"""Events of a finished embedding at nu = 0 and at several nu each: what the last fit of a ratio takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseen.embed.fine_tuning.expand import Side
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.fine_tuning.sample import BLOCK
from unseen.embed.model import Model
from unseen.events import Events
from unseen.seeds import small_seed
from unseen.systematics import NuisanceSet
from unseen.systematics.selecting import Selected, select_tensors

__all__ = ["Paired", "pair_events"]


@dataclass(frozen=True)
class Paired:
    """m events, c values of nu each. Rates are 0 for events that do not pass the selection there.

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
    parts = []
    for number, i in enumerate(range(0, len(rows), BLOCK)):
        at = rows[i : i + BLOCK]
        index = torch.from_numpy(at)
        objects, present = torch.from_numpy(events.objects[at]), torch.from_numpy(events.present[at])
        columns = {name: column[index] for name, column in side.columns.items()}
        weight = torch.from_numpy(relative[at])
        before = select_tensors(events.schema, objects, present)
        moved = []
        for copy in range(copies):
            own = small_seed(seed, "fine-tune", "pairs", number, copy)
            nu = proposal(len(at), torch.Generator().manual_seed(own))
            there = nuisances.distort_tensors(
                objects, present, nu, schema=events.schema, columns=columns, classes=events.label_names, seed=own
            )
            after = select_tensors(events.schema, there.objects, there.present)
            moved.append((_embed(model, after, device), nu, weight * there.factor * after.passes))
        z_at, nus, rates = (torch.stack(column) for column in zip(*moved, strict=True))
        nominal = _embed(model, before, device), weight * before.passes, side.process[index]
        parts.append((*nominal, z_at, nus, rates))
    columns_of_all = list(zip(*parts, strict=True))
    return Paired(*(torch.cat(c) for c in columns_of_all[:3]), *(torch.cat(c, dim=1) for c in columns_of_all[3:]))


def _embed(model: Model, events: Selected, device: str) -> Tensor:
    return torch.from_numpy(model.block(events.objects.numpy(), events.present.numpy(), device))
