"""Re-simulated partners: other rows of the sample that come from the same generated event (RS3L, arXiv:2403.07066)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.errors import NotEnoughEventsError, SchemaError
from unseen.events import Events, Sample

__all__ = ["Partners", "partner_share", "partners_among", "require_source"]

Rows = NDArray[np.int64]
SOURCE = "source"


@dataclass(frozen=True)
class Partners:
    """The m rows of one side of a training by generated event: those of event e are `order[starts[e]:starts[e + 1]]`.

    order int64 (m,), starts int64 (events + 1,); place and event int64 (m,): where in `order` a row is, and of which
    event; number: how many partners an event gets in a batch.
    """

    order: Rows
    starts: Rows
    place: Rows
    event: Rows
    number: int

    @classmethod
    def of(cls, source: NDArray[np.integer], number: int, able: NDArray[np.bool_] | None = None) -> Partners:
        """From the generated event of every row, `source` (m,); rows that are not `able` (m,) are nobody's partner."""
        able = np.ones(len(source), dtype=np.bool_) if able is None else able
        rows, others = np.flatnonzero(able), np.flatnonzero(~able)
        order = rows[np.argsort(source[rows], kind="stable")]
        ends = np.flatnonzero(np.diff(source[order])) + 1
        starts = np.concatenate(
            [np.zeros(min(1, len(rows)), dtype=np.int64), ends, np.arange(len(rows), len(able) + 1)]
        )
        order = np.concatenate([order, others])
        place, event = np.empty_like(order), np.empty_like(order)
        place[order] = np.arange(len(order))
        event[order] = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        return cls(order, starts, place, event, number)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def share(self) -> float:
        """The share of the rows that have a partner."""
        sizes = np.diff(self.starts)
        return float(sizes[sizes > 1].sum() / max(1, len(self)))

    def origin(self, rows: Rows) -> Rows:
        """The first row of the generated event of each of the rows (b,)."""
        first: Rows = self.order[self.starts[self.event[rows]]]
        return first

    def draw(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Partners (b, number) of rows (b,): other rows of the same generated event, each with the same probability.

        They differ as long as the event has enough of them, and then come again in another order. A row that is alone
        is its own partner.
        """
        event = self.event[rows]
        first = self.starts[event]
        others = self.starts[event + 1] - first - 1
        chosen = _without_replacement(others.clip(1), self.number, rng)
        # The rows after the event's own move up by one.
        chosen += (chosen >= (self.place[rows] - first)[:, None]) & (others > 0)[:, None]
        partners: Rows = self.order[first[:, None] + chosen]
        return partners


def _without_replacement(size: Rows, number: int, rng: np.random.Generator) -> Rows:
    """Numbers (b, number) below `size` (b,), in rounds in which each occurs once."""
    chosen = np.empty((len(size), number), dtype=np.int64)
    for i in range(number):
        drawn_before = i % size
        drawn = rng.integers(size - drawn_before)
        # The free numbers are counted: every one taken in this round that is not above moves the rest up.
        in_round = np.arange(i) >= i - drawn_before[:, None]
        for taken in np.sort(np.where(in_round, chosen[:, :i], size[:, None]), axis=1).T:
            drawn += drawn >= taken
        chosen[:, i] = drawn
    return chosen


def partners_among(events: Events, rows: Rows, number: int, able: NDArray[np.bool_] | None = None) -> Partners | None:
    """The partners of the events `rows` (m,) among each other, of those `able` (m,) to be one; None for `number` 0."""
    return Partners.of(events.record[SOURCE][rows], number, able) if number else None


def require_source(events: Events | Sample) -> None:
    """SchemaError if nobody can tell which of these events are of one generated event."""
    if SOURCE not in events[:0].record:
        raise SchemaError(
            f"view 'resimulate' pairs rows of the same generated event, and these {len(events)} events have no record "
            f"\"{SOURCE}\" that says which: train on what 'unseen simulate' makes, give Events.create(record={{"
            f'"{SOURCE}": ...}}) the number of the generated event of every row, or leave the view out'
        )


def partner_share(events: Events, rows: Rows | None = None) -> float:
    """The share of the events (or of these `rows` of them) that have a partner.

    Errors: SchemaError (nobody can tell), NotEnoughEventsError (none has).
    """
    require_source(events)
    source = events.record[SOURCE] if rows is None else events.record[SOURCE][rows]
    share = Partners.of(source, 1).share
    if share == 0.0:
        raise NotEnoughEventsError(
            f"view 'resimulate': none of {len(source)} training events has another row of the same generated event; "
            "simulate them several times (simulate.resimulations, or simulate.copies for heavy hadrons), or leave "
            "the view out"
        )
    return share
