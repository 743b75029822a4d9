"""Which events cross the selection when they are distorted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.errors import SchemaError, ShapeError
from unseen.events import Events
from unseen.events.selection import passes, remove_objects

__all__ = ["FLAG", "Migration", "migration"]

FLAG = "selected"  # the record column that `NuisanceSet.distort` writes


@dataclass(frozen=True, eq=False)
class Migration:
    """Events before and after, each bool (n,); acceptance: weight selected after over before, with nuisance weights."""

    lost: NDArray[np.bool_]
    gained: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    acceptance: float


def migration(nominal: Events, distorted: Events) -> Migration:
    """Who falls out of the schema's selection and who comes in, row by row.

    Errors: ShapeError (not the same number of events), SchemaError (another schema).
    """
    if len(nominal) != len(distorted):
        raise ShapeError(f"{len(nominal)} nominal and {len(distorted)} distorted events: compare them before selecting")
    if nominal.schema != distorted.schema:
        raise SchemaError(f"nominal events have schema '{nominal.schema.name}', distorted '{distorted.schema.name}'")
    before, after = (
        passes(remove_objects(events, events.schema.selection.objects), events.schema.selection)
        for events in (nominal, distorted)
    )
    start = float(nominal.weight[before].sum())
    ratio = float(distorted.weight[after].sum()) / start if start else float("nan")
    return Migration(lost=before & ~after, gained=after & ~before, kept=before & after, acceptance=ratio)
