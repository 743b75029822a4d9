"""The neural-network New Physics Learning Machine (arXiv:1806.02350, clipping as in arXiv:1912.12155)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.errors import ConfigError
from unseen.rivals.base import Rival, Seed
from unseen.search.parallel import blockwise, run_parts
from unseen.search.toys import Codes
from unseen.search.validate import Floats, check_count, check_positive

__all__ = ["NPLMNetwork", "extended_loss"]

LARGEST_F = 80.0  # exp of more overflows float32
ACTIVATIONS = 2**19  # hidden activations of the toys that train together: larger batches leave the cache
Parameters = tuple[Tensor, Tensor, Tensor, Tensor]


def extended_loss(f: Tensor, reference: Tensor, data: Tensor) -> Tensor:
    """Return sum_R w (exp f - 1) - sum_D f (T,) from f (T, n) and the weights (T, n) that events have in each sum."""
    return (reference * torch.expm1(f) - data * f).sum(dim=-1)


class NPLMNetwork(Rival):
    """t = -2 min L, L = sum_R w (exp f - 1) - sum_D f, f a network d-`hidden`-1 with sigmoids, trained on each toy.

    Full-batch Adam on the toy's own events for `epochs` steps, weights clipped to +-`clip`; the smallest loss on the
    way counts, and f = 0 is one of them, so that t >= 0. All toys of a batch train together. The published training
    is far longer; 1500 epochs at a large learning rate are the default here, since every toy pays for them (0.3 s at
    5,500 events in four dimensions). There a clip of 1.5 brings the null's mean t, 36, close to the 31 parameters that
    a chi-squared would have, and larger clips see a narrow signal better. The yield counts: t also sees N_D differ from
    N. Everything is float32.
    """

    name: ClassVar[str] = "nplm_nn"
    columns = ("nplm_nn",)
    normalisation: ClassVar[str] = "known"

    def __init__(
        self, epochs: int = 1500, hidden: int = 5, clip: float = 4.0, learning_rate: float = 0.02, seed: int = 0
    ) -> None:
        super().__init__(seed)
        self.epochs = check_count("epochs", epochs, 1)
        self.hidden = check_count("hidden", hidden, 1)
        self.clip = check_positive("clip", clip)
        self.learning_rate = check_positive("learning_rate", learning_rate)
        if clip * (hidden + 1) > LARGEST_F:
            raise ConfigError(f"clip {clip:g} with {hidden} hidden units lets exp f overflow; lower either")

    def _train(self, z: Floats, rng: np.random.Generator) -> None:
        pass  # the units are all that it needs

    def _attach(self, z: Floats) -> None:
        self._z = torch.from_numpy(z).float()

    @blockwise()
    def _evaluate(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        largest = int(np.count_nonzero(codes, axis=1).max())
        step = max(1, ACTIVATIONS // (largest * self.hidden))
        t = np.empty((len(codes), 1))

        def train_groups(part: range) -> None:
            for i in part:
                group = slice(i * step, (i + 1) * step)
                t[group] = self._together(codes[group], expected[group], seeds[group])

        run_parts(train_groups, -(-len(codes) // step))
        return t

    def _together(self, codes: Codes, expected: Floats, seeds: Sequence[Seed]) -> Floats:
        """Return t (T, 1) of toys that train together."""
        x, reference, data = self._gather(codes, expected)
        parameters = self._initial(seeds, x.shape[1])
        for p in parameters:
            p.requires_grad_(True)
        adam = torch.optim.Adam(parameters, lr=self.learning_rate)
        best = torch.zeros(len(codes))
        for _ in range(self.epochs):
            adam.zero_grad()
            loss = extended_loss(network(x, parameters), reference, data)
            torch.autograd.backward(loss.sum())
            best = torch.minimum(best, loss.detach())
            adam.step()
            with torch.no_grad():
                for p in parameters:
                    p.clamp_(-self.clip, self.clip)
        with torch.no_grad():
            best = torch.minimum(best, extended_loss(network(x, parameters), reference, data))
        t: Floats = -2.0 * best.double().numpy()[:, None]
        return t

    def _gather(self, codes: Codes, expected: Floats) -> tuple[Tensor, Tensor, Tensor]:
        """Return each toy's own events (T, d, n), zero-padded, and the weights (T, n) they have in the two sums."""
        used = [np.flatnonzero(code) for code in codes]
        n = max(len(rows) for rows in used)
        x = torch.zeros(len(codes), self._z.shape[1], n)
        reference, data = torch.zeros(len(codes), n), torch.zeros(len(codes), n)
        for i, rows in enumerate(used):
            code = torch.from_numpy(codes[i, rows])
            x[i, :, : len(rows)] = self._z[torch.from_numpy(rows)].T
            reference[i, : len(rows)] = (code > 0) * (expected[i] / int((code > 0).sum()))
            data[i, : len(rows)] = (code < 0).float()
        return x, reference, data

    def _initial(self, seeds: Sequence[Seed], d: int) -> Parameters:
        """Return Glorot-uniform weights and zero biases for every toy from its seed."""
        h = self.hidden
        first, second = np.empty((len(seeds), h, d)), np.empty((len(seeds), 1, h))
        for i, seed in enumerate(seeds):
            rng = np.random.default_rng(seed)
            first[i] = rng.uniform(-1.0, 1.0, (h, d)) * np.sqrt(6.0 / (d + h))
            second[i] = rng.uniform(-1.0, 1.0, (1, h)) * np.sqrt(6.0 / (h + 1))
        biases = torch.zeros(len(seeds), h, 1), torch.zeros(len(seeds), 1, 1)
        return torch.from_numpy(first).float(), biases[0], torch.from_numpy(second).float(), biases[1]


def network(x: Tensor, parameters: Parameters) -> Tensor:
    """Return f (T, n) of events x (T, d, n), every toy with its own parameters."""
    w1, b1, w2, b2 = parameters
    hidden = torch.baddbmm(b1, w1, x).sigmoid()
    return torch.baddbmm(b2, w2, hidden)[:, 0]
