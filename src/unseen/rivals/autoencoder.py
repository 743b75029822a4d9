"""An autoencoder and a cut on its reconstruction error (arXiv:1808.08979, arXiv:1808.08992)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from unseen.rivals.descent import descend, seeded
from unseen.rivals.score_cut import ScoreCut
from unseen.search.validate import Floats, check_count

__all__ = ["AutoencoderCut"]

HIDDEN = 32
BATCH, LEARNING_RATE = 128, 3e-3


class AutoencoderCut(ScoreCut):
    """Score: |x - x'|^2 of a network d-32-b-32-d with a bottleneck of b = max(1, d / 2) units, `epochs` of Adam."""

    name: ClassVar[str] = "autoencoder"
    columns = ("autoencoder",)

    def __init__(self, cut: float = 0.01, epochs: int = 100, seed: int = 0) -> None:
        super().__init__(cut, seed)
        self.epochs = check_count("epochs", epochs, 1)

    def _learn(self, z: Floats, rng: np.random.Generator) -> None:
        d = z.shape[1]
        narrow = max(1, d // 2)
        with seeded(rng):
            encoder = nn.Sequential(nn.Linear(d, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, narrow))
            decoder = nn.Sequential(nn.Linear(narrow, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, d))
        self._network = nn.Sequential(encoder, decoder)
        x = torch.from_numpy(z).float()

        def loss(rows: Tensor) -> Tensor:
            return self._errors(x[rows]).mean()

        descend(self._network, loss, len(x), rng, epochs=self.epochs, batch=BATCH, learning_rate=LEARNING_RATE)

    def _errors(self, x: Tensor) -> Tensor:
        """Return |x - x'|^2 (n,)."""
        reconstructed: Tensor = self._network(x)
        return (reconstructed - x).square().sum(dim=1)

    def score(self, z: Floats) -> Floats:
        """Return |x - x'|^2 (n,)."""
        with torch.no_grad():
            score: Floats = self._errors(torch.from_numpy(z).float()).double().numpy()
        return score
