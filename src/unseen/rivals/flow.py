"""A normalising flow (neural spline flow, arXiv:1906.04032) and a cut on its density."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from unseen.errors import MissingExtraError
from unseen.rivals.descent import descend, seeded
from unseen.rivals.score_cut import ScoreCut
from unseen.search.validate import Floats, check_count

__all__ = ["FlowCut"]

TRANSFORMS, HIDDEN = 3, (64, 64)
BATCH, LEARNING_RATE = 256, 3e-3
ROWS = 16_384  # events whose density is computed at once
FARTHEST = float(np.finfo(np.float32).max)  # the score of events beyond the range of float32


def _zuko() -> Any:
    """Return the zuko module; MissingExtraError if it is not installed."""
    try:
        import zuko
    except ImportError as error:
        raise MissingExtraError("the flow needs zuko: pip install 'unseen[rivals]'") from error
    return zuko


class FlowCut(ScoreCut):
    """Score: -log p(x) of a neural spline flow of three transformations (zuko), `epochs` passes of Adam."""

    name: ClassVar[str] = "flow"
    columns = ("flow",)

    def __init__(self, cut: float = 0.01, epochs: int = 60, seed: int = 0) -> None:
        super().__init__(cut, seed)
        self.epochs = check_count("epochs", epochs, 1)
        _zuko()  # said before anything is computed; not kept, since a module cannot be sent to other processes

    def _learn(self, z: Floats, rng: np.random.Generator) -> None:
        with seeded(rng):
            flow = _zuko().flows.NSF(z.shape[1], transforms=TRANSFORMS, hidden_features=HIDDEN)
        x = torch.from_numpy(z).float()

        def loss(rows: Tensor) -> Tensor:
            value: Tensor = -flow().log_prob(x[rows]).mean()
            return value

        descend(flow, loss, len(x), rng, epochs=self.epochs, batch=BATCH, learning_rate=LEARNING_RATE)
        self._flow = flow

    def score(self, z: Floats) -> Floats:
        """Return -log p (n,)."""
        with torch.no_grad():
            x = torch.from_numpy(z).float()
            parts = [self._flow().log_prob(x[i : i + ROWS]) for i in range(0, len(x), ROWS)]
        score: Floats = -torch.cat(parts).double().numpy()
        return np.nan_to_num(score, nan=FARTHEST, posinf=FARTHEST)
