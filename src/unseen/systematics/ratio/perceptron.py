"""A trained perceptron as arrays: what the kinds of ratios made of networks share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unseen.systematics.ratio.monomials import Floats
from unseen.systematics.ratio.source import Arrays

__all__ = ["Perceptron"]

BLOCK = 16384  # rows at a time


@dataclass(frozen=True, eq=False)
class Perceptron:
    """(x - mean) / deviation through linear layers with ReLU between them; weights (out, in), biases (out,)."""

    mean: Floats
    deviation: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __post_init__(self) -> None:
        sizes = [len(self.mean), *(len(bias) for bias in self.biases)]
        shapes = [weight.shape for weight in self.weights]
        if shapes != list(zip(sizes[1:], sizes[:-1], strict=True)) or not shapes:
            raise ValueError(f"layers of shapes {shapes} do not follow each other from {sizes[0]} inputs")
        if self.deviation.shape != self.mean.shape or not (self.deviation > 0).all():
            raise ValueError("the deviations of the inputs are not positive, one for each")

    def __call__(self, x: Floats) -> Floats:
        """(n, in) -> (n, out)."""
        return np.concatenate([self._block(x[i : i + BLOCK]) for i in range(0, max(len(x), 1), BLOCK)])

    def _block(self, x: Floats) -> Floats:
        h = (x - self.mean) / self.deviation
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = np.maximum(h @ weight.T + bias, 0.0)
        out: Floats = h @ self.weights[-1].T + self.biases[-1]
        return out

    def arrays(self) -> dict[str, Floats]:
        """By name, for a file."""
        layers = {f"weight_{i}": value for i, value in enumerate(self.weights)}
        return {"mean": self.mean, "deviation": self.deviation, **layers} | {
            f"bias_{i}": value for i, value in enumerate(self.biases)
        }

    @classmethod
    def restore(cls, arrays: Arrays) -> Perceptron:
        """From `arrays`. Errors: KeyError, ValueError."""
        n_layers = sum(name.startswith("weight_") for name in arrays)
        weights, biases = (
            tuple(np.asarray(arrays[f"{name}_{i}"], dtype=np.float64) for i in range(n_layers))
            for name in ("weight", "bias")
        )
        return cls(arrays["mean"], arrays["deviation"], weights, biases)
