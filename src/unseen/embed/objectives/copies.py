"""Rows of a batch by event: views of every event side by side, and its anomalous copy."""

from __future__ import annotations

from torch import Tensor

from unseen.embed.data import Batch
from unseen.errors import ShapeError

__all__ = ["anomalies_of", "views_of", "without_anomalies"]


def views_of(x: Tensor, batch: Batch) -> Tensor:
    """Values (rows, ...) of the batch -> (views, events, ...), without the anomalous copies.

    ShapeError if the events have not equally many rows.
    """
    copies = _copies(x, batch)
    return copies[:-1] if batch.anomalous[-1] else copies


def anomalies_of(x: Tensor, batch: Batch) -> Tensor:
    """Values (rows, ...) of the batch -> (events, ...) of the anomalous copies. ShapeError if there are none."""
    if not batch.anomalous[-1]:
        raise ShapeError("the batch has no anomalous copies; name transformations under anomalies")
    return _copies(x, batch)[-1]


def without_anomalies(embedding: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
    """The rows that are not anomalous copies."""
    usual = (~batch.anomalous).nonzero()[:, 0]
    return embedding.index_select(0, usual), batch.rows(usual)


def _copies(x: Tensor, batch: Batch) -> Tensor:
    # Rows come view after view, the anomalous copies last.
    count = int(batch.view[-1]) + 1
    if len(x) % count:
        raise ShapeError(f"{len(x)} rows of a batch are not {count} for every event")
    return x.reshape(count, len(x) // count, *x.shape[1:])
