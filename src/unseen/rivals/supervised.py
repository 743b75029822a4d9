"""The log ratio of two densities learned from events of both: networks and boosted trees, stacked on held-out events.

A classifier with equal class weights has the log odds log(p_signal / p_background). Two small networks are smooth and
get close to the closed form of smooth problems, trees find edges; a logistic regression of held-out events on both log
odds weighs and calibrates them. Where held-out background ends, a classifier claims what it cannot know, and single odd
events spoil the test: there the ratio is the measured one of all that lies beyond.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from unseen.errors import NotEnoughEventsError
from unseen.rivals.descent import descend, seeded
from unseen.search.scale import Scale
from unseen.search.validate import Floats, as_events, check_disjoint, row_keys

__all__ = ["LearnedLogRatio", "learn_log_ratio"]

MIN_EVENTS = 100  # of each kind
HELD_OUT = 0.25
NETWORKS, HIDDEN = 2, 64
STEPS = 4000  # of each network
EPOCHS = 60  # but no more passes over the events: it would learn them by heart
BATCH, LEARNING_RATE = 1024, 3e-3
TREES = 300
ROWS = 65_536  # events whose ratio is computed at once
BEYOND = 5  # held-out background events where the tail begins


@dataclass(frozen=True)
class LearnedLogRatio:
    """log p_signal / p_background (n,) of events (n, d) in raw units: `offset` + `weights` times the log odds.

    Beyond `tail` it is `top`, and nowhere more than that.
    """

    scale: Scale
    networks: tuple[nn.Module, ...] = field(repr=False)
    trees: HistGradientBoostingClassifier = field(repr=False)
    weights: Floats
    offset: float
    tail: float = np.inf
    top: float = np.inf

    def __call__(self, x: Floats) -> Floats:
        """Return log r (n,)."""
        parts = np.split(x, range(ROWS, len(x), ROWS))
        log_r = np.concatenate([self.stacked(self.scale(part)) for part in parts])
        return np.where(log_r > self.tail, self.top, np.minimum(log_r, self.top))

    def stacked(self, z: Floats) -> Floats:
        """Return what the classifiers say of scaled events (n, d)."""
        log_r: Floats = log_odds(self.networks, self.trees, z) @ self.weights + self.offset
        return log_r


def learn_log_ratio(
    background: ArrayLike, signal: ArrayLike, rng: np.random.Generator, *, steps: int = STEPS
) -> LearnedLogRatio:
    """Return the ratio learned from simulated events (n, d) of both kinds; some seconds to a minute.

    `steps` of Adam train each network, at most 60 passes over the events.

    Errors: ShapeError, NonFiniteError, OverlapError, NotEnoughEventsError (under 100 of a kind).
    """
    b = as_events("background", background)
    s = as_events("signal", signal, b.shape[1])
    for name, x in (("background", b), ("signal", s)):
        if len(x) < MIN_EVENTS:
            raise NotEnoughEventsError(f"{name} has {len(x)} events to learn from; at least {MIN_EVENTS} are needed")
    check_disjoint("signal", row_keys(s), "the background", row_keys(b))
    scale = _joint_scale(b, s)
    b, s = (scale(x[rng.permutation(len(x))]) for x in (b, s))
    cut_b, cut_s = (int(np.ceil(HELD_OUT * len(x))) for x in (b, s))
    z, label, weight = _labelled(b[cut_b:], s[cut_s:])
    networks = tuple(_network(z, label, weight, rng, steps) for _ in range(NETWORKS))
    trees = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=True, random_state=int(rng.integers(2**31)))
    trees.fit(z, label, sample_weight=weight)
    held, held_label, held_weight = _labelled(b[:cut_b], s[:cut_s])
    odds = log_odds(networks, trees, held)
    stack = LogisticRegression(C=1e3).fit(odds, held_label, sample_weight=held_weight)
    weights, offset = stack.coef_[0].astype(np.float64), float(stack.intercept_[0])
    found = LearnedLogRatio(scale, networks, trees, weights, offset)
    tail, top = _tail(found.stacked(b[:cut_b]), found.stacked(s[:cut_s]))
    return replace(found, tail=tail, top=top)


def _tail(background: Floats, signal: Floats) -> tuple[float, float]:
    """Return the log ratio that `BEYOND` held-out background events exceed, and the measured log ratio beyond it."""
    if len(background) <= BEYOND:
        return np.inf, np.inf
    tail = float(np.sort(background)[-BEYOND - 1])
    beyond = float(np.mean(signal > tail))
    return tail, float(np.log(beyond * len(background) / BEYOND)) if beyond else tail


def _joint_scale(b: Floats, s: Floats) -> Scale:
    """Return the moments of an equal mixture of both samples: a narrow signal must not become tiny."""
    both = np.concatenate([b, s])
    return Scale.measure(both, np.repeat([1.0 / len(b), 1.0 / len(s)], [len(b), len(s)]))


def _labelled(b: Floats, s: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Return the events of both, label 1 for signal, and weights that make the classes equal, of mean 1."""
    sizes = np.array([len(b), len(s)])
    weight = np.repeat(0.5 * sizes.sum() / sizes, sizes)
    return np.concatenate([b, s]), np.repeat([0, 1], sizes), weight


def _network(z: Floats, label: NDArray[np.int64], weight: Floats, rng: np.random.Generator, steps: int) -> nn.Module:
    """Return a network d-64-64-1 for the log odds."""
    with seeded(rng):
        net = nn.Sequential(
            nn.Linear(z.shape[1], HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, 1)
        )
    x, y, w = (torch.from_numpy(np.asarray(a, dtype=np.float32)) for a in (z, label, weight))

    def loss(rows: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(net(x[rows])[:, 0], y[rows], w[rows])

    epochs = min(EPOCHS, max(1, round(steps / max(1, len(z) // BATCH))))
    descend(net, loss, len(z), rng, epochs=epochs, batch=BATCH, learning_rate=LEARNING_RATE)
    return net


def log_odds(networks: tuple[nn.Module, ...], trees: HistGradientBoostingClassifier, z: Floats) -> Floats:
    """Return the mean log odds of the networks and those of the trees, (n, 2)."""
    x = torch.from_numpy(z).float()
    with torch.no_grad():
        smooth = torch.stack([net(x)[:, 0] for net in networks]).mean(0).double().numpy()
    return np.stack([smooth, np.asarray(trees.decision_function(z), dtype=np.float64)], axis=1)
