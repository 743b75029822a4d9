"""Stored events, of which more exist than pass the selection: for a density ratio, and for data at other nu.

The pools of a run are dealt from events that pass the selection. A distortion moves events across it, both ways, so
what is distorted needs the stored events that do not pass as well: in the proportion in which the generator made them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NotEnoughEventsError, NuisanceRangeError, SelectionError
from unseen.events import Events, select
from unseen.events.selection import passes, remove_objects
from unseen.pools import first_rows
from unseen.seeds import generator, small_seed
from unseen.systematics import NuisanceSet

__all__ = ["HEADROOM", "ROW", "Stored", "distorted_data", "passing", "weighted_to", "without_row"]

ROW = "row"  # the record column that says which stored event an event is, while pools are dealt
FLAG = "selected"
HEADROOM = (
    2.0  # pseudo-data are drawn from so many times the events, so that weights may make them as much more frequent
)

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stored:
    """All stored events of a run with the column `row`: those of the role test, then those of the role train.

    `selected` (n,): which pass the selection of their schema; `may` (n,): which may be dealt, so that no generated
    event is in two pools: copies are used in training alone.
    """

    events: Events
    selected: NDArray[np.bool_]
    may: NDArray[np.bool_]
    n_test: int

    @classmethod
    def of(cls, test: Events, train: Events | None) -> Stored:
        """From the stored events of both roles; None for no training events of their own."""
        events = Events.concatenate([test] if train is None else [test, train])
        passed, n = passing(events), len(test)
        may = np.ones(len(events), dtype=np.bool_)
        may[:n] = False
        for rows in (np.flatnonzero(passed[:n]), _unseen(test, passed[:n])):
            may[rows[first_rows(test[rows])]] = True
        return cls(replace(events, record={**events.record, ROW: np.arange(len(events))}), passed, may, n)

    @property
    def trained(self) -> bool:
        """Whether there are training events of their own."""
        return self.n_test < len(self.events)

    @property
    def group(self) -> Rows:
        """A number for every combination of label and role (n,)."""
        return self.events.label + len(self.events.label_names) * (np.arange(len(self.events)) >= self.n_test)

    def role(self, name: str) -> Events:
        """The events of one role, test or train, that pass the selection; with the labels that the role has."""
        own = self.events[: self.n_test] if name == "test" else self.events[self.n_test :]
        used = np.unique(own.label)
        names = tuple(own.label_names[i] for i in used)
        return select(replace(own, label=np.searchsorted(used, own.label), label_names=names))

    def shares(self, rows: Rows) -> dict[int, float]:
        """The fraction of the selected events of every group that `rows` are."""
        groups, drawn = np.unique(self.group[rows], return_counts=True)
        return {int(g): n / self._size(int(g)) for g, n in zip(groups, drawn, strict=True)}

    def share(self, expected: Mapping[str, float]) -> dict[int, float]:
        """The fraction of the selected test events of every label that so many `expected` events are."""
        groups = {self.events.label_names.index(label): number for label, number in expected.items() if number > 0}
        return {group: number / max(self._size(group), 1) for group, number in groups.items()}

    def companions(
        self, shares: Mapping[str, Mapping[int, float]], rng: np.random.Generator, taken: Rows | None = None
    ) -> dict[str, Rows]:
        """Deal the events that do not pass: each goes into a pool with the probability that it has in the group.

        Rows that are `taken` go nowhere, and the others make up for them.
        """
        gone = np.zeros(len(self.events), dtype=np.bool_)
        gone[[] if taken is None else taken] = True
        found: dict[str, list[Rows]] = {name: [] for name in shares}
        group = self.group
        for g in np.unique(group).tolist():
            mine = ~self.selected & self.may & (group == g)
            free = rng.permutation(np.flatnonzero(mine & ~gone))
            more = mine.sum() / max(len(free), 1)
            p = np.clip([more * wanted.get(g, 0.0) for wanted in shares.values()], 0.0, 1.0)
            numbers = rng.multinomial(len(free), [*(p / max(p.sum(), 1.0)), max(1.0 - p.sum(), 0.0)])
            for name, rows in zip(shares, np.split(free, np.cumsum(numbers[:-1]))[:-1], strict=True):
                found[name].append(rows)
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def rest(self, names: Sequence[str], dealt: Iterable[Events]) -> Rows:
        """Selected test events of these labels of which no copy is in one of the pools `dealt`."""
        codes = [i for i, name in enumerate(self.events.label_names) if name in names]
        free = (
            self.selected & self.may & np.isin(self.events.label, codes) & (np.arange(len(self.events)) < self.n_test)
        )
        for pool in dealt:
            if ROW in pool.record:
                free[pool.record[ROW]] = False
            elif {"source"} <= pool.record.keys() & self.events.record.keys():  # data of a file
                free &= ~np.isin(self.events.record["source"], pool.record["source"])
        return np.flatnonzero(free)

    def take(self, rows: Rows) -> Events:
        """The stored events `rows`, without the column `row`."""
        return without_row(self.events[rows])

    def check_looser(self) -> None:
        """SelectionError if every stored event passes the selection."""
        if self.selected.all():
            raise SelectionError(
                f"all {len(self.selected)} stored events pass the selection of '{self.events.schema.name}': a "
                "distortion could move events out and none in, which biases what is learned. Store events looser than "
                "the selection, or set systematics.ratio.require_stored to false if none could come in"
            )

    def _size(self, group: int) -> int:
        return int((self.selected & self.may & (self.group == group)).sum())


def passing(events: Events) -> NDArray[np.bool_]:
    """Which events pass the selection of their schema, (n,)."""
    selection = events.schema.selection
    return passes(remove_objects(events, selection.objects), selection)


def _unseen(events: Events, passed: NDArray[np.bool_]) -> Rows:
    """Events that do not pass and of whose generated event no other copy does."""
    outside = ~passed
    if "source" in events.record:
        outside &= ~np.isin(events.record["source"], events.record["source"][passed])
    return np.flatnonzero(outside)


def without_row(events: Events) -> Events:
    """The events without the column that says where they were stored."""
    return replace(events, record={name: values for name, values in events.record.items() if name != ROW})


def weighted_to(mixture: Mapping[str, float], events: Events) -> Events:
    """Stored events weighted so that those that pass have the `mixture` (label -> share); other labels are left out.

    A density ratio is one of the mixture that the search has, whatever the mixture of the events it is learned from.
    Errors: NotEnoughEventsError (none of these labels passes the selection).
    """
    kept = events.of(*(name for name, share in mixture.items() if share > 0))
    counts = np.bincount(kept.label[passing(kept)], minlength=len(kept.label_names))
    shares = np.array([mixture.get(name, 0.0) for name in kept.label_names]) * (counts > 0)
    if not shares.any():
        raise NotEnoughEventsError(f"there are no selected events of {', '.join(mixture)} to learn from")
    per_event = shares / shares.sum() * counts.sum() / np.maximum(counts, 1)
    return replace(kept, weight=per_event[kept.label])


def distorted_data(
    events: Events, nuisances: NuisanceSet, nu: Mapping[str, float], headroom: float, seed: int
) -> Events:
    """Pseudo-data at nu: stored events distorted, thinned by their weights, selected, in random order.

    `events` are `headroom` times as many as are expected. Errors: NuisanceRangeError (weights beyond the headroom), and
    those of `NuisanceSet.distort`.
    """
    values = nuisances.nu(**dict(nu))
    moved = nuisances.distort(events, values, seed=small_seed(seed, "data", "distort"))
    factor = nuisances.factor(events, values)
    if factor.max(initial=0.0) > headroom:
        raise NuisanceRangeError(
            f"data.nu makes an event {factor.max():.3g} times as frequent; pseudo-data can be drawn for {headroom:g} "
            "times at most: move them less"
        )
    rng = generator(seed, "data", "thin")
    kept = select(moved[rng.random(len(moved)) * headroom < factor])
    record = {name: column for name, column in kept.record.items() if name != FLAG}
    kept = replace(kept, record=record, weight=np.ones(len(kept)))
    return kept[rng.permutation(len(kept))]
