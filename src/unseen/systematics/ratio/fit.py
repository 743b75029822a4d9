"""Learn a density ratio as a sum of kernels, by penalised cross-entropy of events at nu against nominal ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from unseen.errors import ConfigError, NuisanceError
from unseen.seeds import generator
from unseen.systematics.ratio import checks
from unseen.systematics.ratio.cross_entropy import Problem, minimise
from unseen.systematics.ratio.density_ratio import DensityRatio
from unseen.systematics.ratio.feature_map import make_features
from unseen.systematics.ratio.kernel import KernelSource
from unseen.systematics.ratio.monomials import Floats, labels, monomials
from unseen.systematics.ratio.regression import expand
from unseen.systematics.ratio.samples import Block, RatioSamples

__all__ = ["PENALTIES", "fit_kernel_ratio"]

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)  # tried from large to small
HELD_OUT = 1 / 3  # share of events on which penalties are compared
DEPENDENT = 1e-7  # smallest eigenvalue of the correlations of monomials that counts as more than rounding


@dataclass(frozen=True)
class _Choice:
    """The penalty, theta of a fit with it, the gains of all that were tried over r = 1 on held-out events, the best."""

    penalty: float
    theta: Tensor
    tried: dict[str, float]
    gain: float | None


def fit_kernel_ratio(
    samples: RatioSamples | tuple[ArrayLike, Sequence[Block | tuple[ArrayLike, ...]]],
    names: Sequence[str],
    *,
    n_centers: int = 400,
    rank: int = 100,
    widths: Sequence[float] = (0.5, 1.0, 2.0),
    penalty: float | Literal["auto"] = "auto",
    memory_budget: float = 2**30,
    seed: int = 0,
) -> DensityRatio:
    """The ratio of rates between events at nu and nominal ones, kernels in z times monomials up to nu_k nu_l.

    * samples: `RatioSamples`, or (z, blocks) with blocks (nu, z) or (nu, z, weights); nominal and shifted samples stand
      for the same number of generated events, each with its weight if it passes the selection
    * n_centers, rank: Gaussian kernels, and how many of their principal components are kept; widths: in units of the
      median distance of standardised events
    * penalty: on the mean squared norm of log r over the nu of the blocks; "auto" takes the one with the least
      cross-entropy on a third of the events, and fits all of them with it
    * memory_budget: bytes of features that are held; beyond it they are computed again in every step, to the same bits
    * report: penalty, held-out cross-entropies in events below those of r = 1 (`gain`), sizes

    Errors: ShapeError, NonFiniteError, WeightError, NegativeWeightError, NotEnoughEventsError, ConfigError,
    NuisanceError (nu that do not determine every coefficient), ConvergenceError. Equal seeds give equal bits.
    """
    names = checks.checked_names(names)
    made = samples if isinstance(samples, RatioSamples) else RatioSamples.of(samples[0], samples[1], names)
    if penalty != "auto" and not (isinstance(penalty, (int, float)) and 0 < penalty < float("inf")):
        raise ConfigError(f"penalty is {penalty!r}; expected a number above zero or 'auto'")
    whiten = _whitening(made, names)
    rng = generator(seed, "ratio", "centres")
    features = make_features(made.z, made.weights, made.pool, n_centers, rank, tuple(widths), rng)
    start = torch.zeros(len(whiten), 1 + features.rank, dtype=torch.float64)
    if penalty == "auto":
        train, held_out = made.split(HELD_OUT, generator(seed, "ratio", "held-out"))
        learn = Problem(train, features, whiten, memory_budget)
        judge = Problem(held_out, features, whiten, learn.free)
        chosen, problem = _choose(learn, judge, start), learn.join(judge)
    else:
        chosen, problem = _Choice(float(penalty), start, {}, None), Problem(made, features, whiten, memory_budget)
    theta = minimise(problem, chosen.penalty, chosen.theta)
    report = {
        "kind": "kernel",
        "penalty": chosen.penalty,
        "penalties": chosen.tried,
        "gain": chosen.gain,
        "n_centers": len(features.centers),
        "rank": features.rank,
        "widths": list(widths),
        "n_nominal": len(made.z),
        "n_blocks": len(made.blocks),
        "seed": seed,
    }
    expansion = expand(features, torch.from_numpy(whiten).T @ theta)
    return DensityRatio(names, _limits(made), KernelSource(expansion, len(names)), None, report)


def _choose(learn: Problem, judge: Problem, theta: Tensor) -> _Choice:
    """Fit the one part of the events with ever smaller penalties, until the other part gets worse twice."""
    nothing, best, gains = judge.loss(theta), theta, [-np.inf]
    for penalty in PENALTIES:
        theta = minimise(learn, penalty, theta)
        gains.append((nothing - judge.loss(theta)) * judge.total)
        best = theta if gains[-1] == max(gains) else best
        if max(gains[-2:]) < max(gains):
            break
    tried = {f"{penalty:g}": gain for penalty, gain in zip(PENALTIES, gains[1:], strict=False)}
    chosen = PENALTIES[int(np.argmax(gains)) - 1]
    return _Choice(chosen, best, tried, max(gains))


def _limits(samples: RatioSamples) -> Floats:
    """Smallest and largest nu of all blocks (k, 2), zero included."""
    values = np.concatenate([*samples.nu, np.zeros((1, samples.nu[0].shape[1]))])
    return np.stack([values.min(axis=0), values.max(axis=0)], axis=1)


def _whitening(samples: RatioSamples, names: tuple[str, ...]) -> Floats:
    """T (p, p): T m is uncorrelated, of unit mean square. NuisanceError if the nu do not determine all monomials."""
    p = len(labels(names))
    second = np.zeros((p, p))
    for block, nu in zip(samples.blocks, samples.nu, strict=True):
        m = monomials(nu)
        w = np.full(1, 1.0) if len(m) == 1 else np.asarray(block.weights)
        second += (m.T * w) @ m / w.sum() / len(samples.blocks)
    size = np.sqrt(np.diag(second))
    if (size == 0).any():
        never = [name for name, value in zip(names, size, strict=False) if value == 0]
        what = f"nu of {', '.join(never)} is 0 in every block" if never else _undetermined(size == 0, names)
        raise NuisanceError(f"{what}: add blocks at other values")
    values, vectors = np.linalg.eigh(second / np.outer(size, size))
    if values[0] < DEPENDENT:
        involved = (np.abs(vectors[:, values < DEPENDENT]) > 1e-3).any(axis=1)
        raise NuisanceError(f"{_undetermined(involved, names)}: add blocks at other values and signs of nu")
    whiten: Floats = (vectors / np.sqrt(values)).T / size
    return whiten


def _undetermined(which: np.ndarray[Any, np.dtype[np.bool_]], names: tuple[str, ...]) -> str:
    found = [label for label, yes in zip(labels(names), which, strict=True) if yes]
    return (
        f"the nu of the blocks cannot tell apart the terms in {', '.join(found[:6])}{' ...' if len(found) > 6 else ''}"
    )
