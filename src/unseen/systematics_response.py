"""What the stage of systematics keeps for its page: the same events at several nu, and what signals look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.arrays import FloatArray, read_arrays, write_arrays
from unseen.errors import ConvergenceError, NotEnoughEventsError
from unseen.rivals.supervised import MIN_EVENTS, learn_log_ratio
from unseen.seeds import generator, small_seed
from unseen.study.covariance.from_samples import matched
from unseen.study.covariance.moved import Delta, Moved
from unseen.study.covariance.overlap import overlap
from unseen.systematics import RatioSamples

__all__ = ["RESPONSE", "signal_overlaps", "write_response"]

Rows = NDArray[np.int64]

RESPONSE = "response.npz"
MOST_EVENTS = 20_000


def write_response(path: Path, samples: RatioSamples, seed: int) -> None:
    """Keep z of nominal events, and of the same ones where each of the k parameters alone is farthest down and up.

    Arrays: z (n, d), weight (n,), z_at (k, 2, n, d), weight_at (k, 2, n), values (2,), the same for all
    parameters; z as float32, zero where the weight is. Of more than 20,000 events that many are drawn, all the
    same at every value. `samples` know which rows are the same event.
    """
    zero, points = matched(samples)
    ends = [_alone(points, i, sign) for i in range(len(zero.nu)) for sign in (-1, 1)]
    rows = _drawn([zero, *ends], seed)
    k, (n, d) = len(zero.nu), (len(rows), zero.z.shape[1])
    write_arrays(
        path,
        z=zero.z[rows].astype(np.float32),
        weight=zero.weights[rows],
        z_at=np.reshape([end.z[rows].astype(np.float32) for end in ends], (k, 2, n, d)),
        weight_at=np.reshape([end.weights[rows] for end in ends], (k, 2, n)),
        values=np.array([end.nu[0] for end in ends[:2]]),
    )


def _alone(points: Sequence[Moved], parameter: int, sign: int) -> Moved:
    """The point where only this parameter is moved, and farthest."""
    alone = [point for point in points if np.flatnonzero(point.nu).tolist() == [parameter]]
    return max(alone, key=lambda point: sign * float(point.nu[parameter]))


def _drawn(places: Sequence[Moved], seed: int) -> Rows:
    """Rows of events that are selected somewhere, ascending."""
    rows: Rows = np.flatnonzero(np.any([place.weights > 0 for place in places], axis=0))
    if len(rows) > MOST_EVENTS:
        rows = np.sort(generator(seed, "systematics", "response").permutation(rows)[:MOST_EVENTS])
    return rows


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
