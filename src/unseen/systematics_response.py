"""What the stage of systematics keeps for its page: the same events at several nu, and what signals look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.arrays import FloatArray, read_arrays, write_arrays
from unseen.errors import ConvergenceError, NotEnoughEventsError, ShapeError
from unseen.rivals.supervised import MIN_EVENTS, learn_log_ratio
from unseen.seeds import generator, small_seed
from unseen.study.covariance.moved import Delta
from unseen.study.covariance.overlap import overlap
from unseen.systematics import Block, RatioSamples

__all__ = ["RESPONSE", "signal_overlaps", "write_response"]

Rows = NDArray[np.int64]

RESPONSE = "response.npz"
MOST_EVENTS = 20_000


def write_response(path: Path, samples: RatioSamples, k: int, seed: int) -> None:
    """Keep z of nominal events, and of the same ones where each of k parameters alone is farthest down and up.

    Arrays: z (n, d), weight (n,), z_at (k, 2, n, d), weight_at (k, 2, n), values (2,), the same for all
    parameters; z as float32, zero where the weight is. Of more than 20,000 events that many are drawn, all the
    same at every value. `samples` know which rows are the same event.
    """
    ends = [_alone(samples, i, sign) for i in range(k) for sign in (-1, 1)]
    rows = _drawn([_rows(samples.event), *(_rows(block.event) for block in ends)], seed)
    z, weight = _placed(rows, samples.event, samples.z, samples.weights)
    found = [_placed(rows, block.event, block.z, block.weights) for block in ends]
    shape = (k, 2, *z.shape)
    write_arrays(
        path,
        z=z,
        weight=weight,
        z_at=np.reshape([there for there, _ in found], shape),
        weight_at=np.reshape([weights for _, weights in found], shape[:-1]),
        values=np.array([np.asarray(block.nu)[0] for block in ends[:2]]),
    )


def _alone(samples: RatioSamples, parameter: int, sign: int) -> Block:
    """The block where only this parameter is moved, and farthest."""
    blocks = [b for b in samples.blocks if np.flatnonzero(b.nu).tolist() == [parameter]]
    return max(blocks, key=lambda block: sign * float(np.asarray(block.nu)[parameter]))


def _rows(event: ArrayLike | None) -> Rows:
    if event is None:
        raise ShapeError("the samples of a response have to say which rows are the same event")
    return np.asarray(event, dtype=np.int64)


def _drawn(selected: Sequence[Rows], seed: int) -> Rows:
    """Numbers of events that are selected somewhere, ascending."""
    events = np.unique(np.concatenate(list(selected)))
    if len(events) > MOST_EVENTS:
        events = np.sort(generator(seed, "systematics", "response").permutation(events)[:MOST_EVENTS])
    return events


def _placed(
    events: Rows, event: ArrayLike | None, z: ArrayLike, weights: ArrayLike | None
) -> tuple[NDArray[np.float32], FloatArray]:
    """z (n, d) and weights (n,) of the `events`, zeros for those that are not there."""
    own, points = _rows(event), np.asarray(z, dtype=np.float32)
    place = np.searchsorted(events, own).clip(max=len(events) - 1)
    there = events[place] == own
    placed, weight = np.zeros((len(events), points.shape[1]), np.float32), np.zeros(len(events))
    placed[place[there]] = points[there]
    weight[place[there]] = (np.ones(len(own)) if weights is None else np.asarray(weights, np.float64))[there]
    return placed, weight


def signal_overlaps(
    embedded: Path, signals: Mapping[str, FloatArray], delta: Delta, n_data: float, yield_known: bool, seed: int
) -> dict[str, Any]:
    """What each of `signals`, z (n, d) by name, looks like: `overlaps`, one mapping for each, and `notes` in words.

    `embedded` is the folder of the run's pools. Half of a signal's events are learned from, with the toys' pool; the
    other half, and the reference, are measured.
    """
    background = {name: read_arrays(embedded / f"{name}.npz")["x"] for name in ("toys", "reference")}
    overlaps, notes = [], []
    for name, z in sorted(signals.items()):
        if len(z) < 2 * MIN_EVENTS:
            notes.append(f"Of {name} there are {len(z)} simulated events beside the data; {2 * MIN_EVENTS} are needed.")
            continue
        rng = generator(seed, "systematics", "overlap", name)
        learn, measure = np.array_split(rng.permutation(z), 2)
        try:
            log_ratio = learn_log_ratio(background["toys"], learn, rng)
        except (NotEnoughEventsError, ConvergenceError) as error:
            notes.append(f"{name}: {error}.")
            continue
        found = overlap(
            background["reference"],
            measure,
            delta,
            log_ratio,
            n_data,
            yield_known=yield_known,
            seed=small_seed(seed, "systematics", "overlap", name),
        )
        overlaps.append({"signal": name, "events": len(z), **asdict(found), "among": found.among.tolist()})
    return {"overlaps": overlaps, "notes": notes}
