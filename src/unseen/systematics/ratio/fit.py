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
from unseen.systematics.ratio.feature_map import FeatureMap, make_features
from unseen.systematics.ratio.kernel import KernelSource
from unseen.systematics.ratio.monomials import Floats, labels, monomials
from unseen.systematics.ratio.samples import Block, RatioSamples

__all__ = ["PENALTIES", "fit_kernel_ratio"]

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # tried from large to small
HELD_OUT = 1 / 3  # share of events on which penalties are compared
DEPENDENT = 1e-7  # smallest eigenvalue of the correlations of monomials that counts as more than rounding


@dataclass(frozen=True)
class _Penalty:
    """The penalty, what was compared to choose it, and the gain in cross-entropy over r = 1 on held-out events."""

    value: float
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
    seed: int = 0,
) -> DensityRatio:
    """The ratio of rates between events at nu and nominal ones, kernels in z times monomials up to nu_k nu_l.

    * samples: `RatioSamples`, or (z, blocks) with blocks (nu, z) or (nu, z, weights); nominal and shifted samples stand
      for the same number of generated events, each with its weight if it passes the selection
    * n_centers, rank: Gaussian kernels, and how many of their principal components are kept; widths: in units of the
      median distance of standardised events
    * penalty: on the mean squared norm of log r over the nu of the blocks; "auto" takes the one with the least
      cross-entropy on a third of the events, and fits all of them with it
    * report: penalty, held-out cross-entropies in events below those of r = 1 (`gain`), sizes

    Errors: ShapeError, NonFiniteError, WeightError, NegativeWeightError, NotEnoughEventsError, ConfigError,
    NuisanceError (nu that do not determine every coefficient), ConvergenceError. Equal seeds give equal bits.
    """
    names = checks.checked_names(names)
    made = samples if isinstance(samples, RatioSamples) else RatioSamples.of(samples[0], samples[1], names)
    if penalty != "auto" and not (isinstance(penalty, (int, float)) and 0 < penalty < float("inf")):
        raise ConfigError(f"penalty is {penalty!r}; expected a number above zero or 'auto'")
    whiten = _whitening(made, names)
    features = make_features(made, n_centers, rank, tuple(widths), generator(seed, "ratio", "centres"))
    chosen = (
        _choose(made, features, whiten, generator(seed, "ratio", "held-out"))
        if penalty == "auto"
        else _Penalty(float(penalty), {}, None)
    )
    theta = minimise(Problem(made, features, whiten), chosen.value, _nothing(whiten, features))
    report = {
        "kind": "kernel",
        "penalty": chosen.value,
        "penalties": chosen.tried,
        "gain": chosen.gain,
        "n_centers": len(features.centers),
        "rank": features.rank,
        "widths": list(widths),
        "n_nominal": len(made.z),
        "n_blocks": len(made.blocks),
        "seed": seed,
    }
    return DensityRatio(
        names, _limits(made), _source(features, torch.from_numpy(whiten).T @ theta, len(names)), None, report
    )


def _nothing(whiten: Floats, features: FeatureMap) -> Tensor:
    return torch.zeros(len(whiten), 1 + features.rank, dtype=torch.float64)


def _source(features: FeatureMap, theta: Tensor, k: int) -> KernelSource:
    """The same function, written as a sum of kernels."""
    weights = features.projection @ theta[:, 1:].T
    constant = theta[:, 0] - features.offset @ weights
    return KernelSource(
        mean=features.mean.numpy(),
        std=features.std.numpy(),
        centers=features.centers.numpy(),
        widths=features.widths.numpy(),
        weights=weights.contiguous().numpy(),
        constant=constant.numpy(),
        n_nuisances=k,
    )


def _choose(samples: RatioSamples, features: FeatureMap, whiten: Floats, rng: np.random.Generator) -> _Penalty:
    """Fit two thirds of the events with ever smaller penalties, until the third one gets worse twice."""
    train, held_out = samples.split(HELD_OUT, rng)
    learn, judge = Problem(train, features, whiten), Problem(held_out, features, whiten)
    theta = _nothing(whiten, features)
    scale = float(held_out.weights.sum()) * len(held_out.blocks)
    nothing, losses = judge.loss(theta), []
    for penalty in PENALTIES:
        theta = minimise(learn, penalty, theta)
        losses.append(judge.loss(theta))
        if len(losses) > 2 and min(losses[-2:]) > min(losses):
            break
    best = int(np.argmin(losses))
    gains = [(nothing - loss) * scale for loss in losses]
    tried = {f"{penalty:g}": gain for penalty, gain in zip(PENALTIES, gains, strict=False)}
    return _Penalty(PENALTIES[best], tried, gains[best])


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
