"""Plain events z ~ N(0, 1) that move by s nu, with a rate: the encoder is the identity and log r is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unseen.embed.fine_tuning.paired import Paired
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.systematics import Nuisance, NuisanceSet

SHIFT = (0.25, -0.15)
RATE = 0.1
PROPOSAL = Proposal(NuisanceSet([Nuisance(name, lambda x, nu: x) for name in ("a", "b")]), 2.0, 0.3)


def gaussian(n: int, copies: int, seed: int, processes: int = 1) -> Paired:
    """z moves by 0.25 nu_a - 0.15 nu_b (the other way round in process 1), the rate by exp(0.1 nu_a)."""
    draw = torch.Generator().manual_seed(seed)
    z = torch.randn((n, 1), generator=draw)
    process = torch.randint(processes, (n,), generator=draw)
    z = z + 0.8 * process[:, None]
    nu = torch.stack([PROPOSAL(n, draw) for _ in range(copies)])
    sign = torch.where(process == 1, -1.0, 1.0)
    at = z + (sign * (nu @ torch.tensor(SHIFT)))[..., None]
    return Paired(z, torch.ones(n).double(), process, at, nu, (RATE * nu[..., 0]).exp().double())


def log_ratio(z: Tensor, nu: Tensor) -> Tensor:
    """log N(z; s nu, 1) / N(z; 0, 1) + 0.1 nu_a, of one process."""
    moved = nu @ torch.tensor(SHIFT)
    return z[:, 0] * moved - moved**2 / 2 + RATE * nu[:, 0]


def mixture_log_ratio(z: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """The same of both processes together, in equal parts."""
    moved = float(nu @ np.array(SHIFT))
    density = [np.exp(-((z[:, 0] - centre - way * moved) ** 2) / 2) for centre, way in ((0.0, 1.0), (0.8, -1.0))]
    nominal = [np.exp(-((z[:, 0] - centre) ** 2) / 2) for centre in (0.0, 0.8)]
    return np.asarray(np.log(sum(density) / sum(nominal)) + RATE * nu[0])
