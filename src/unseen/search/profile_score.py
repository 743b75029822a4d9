"""The score of b that nuisance parameters cannot explain, to first order, from moments of (phi, psi)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Score", "score_beside"]

FLAT = 1e-12  # relative: a parameter that does nothing, or a free yield that nothing constrains


class Score(NamedTuple):
    """phi~ = `remove` (phi, psi) with `remove` (r, r + p); `information` (r, r) of b beside nu, without the penalty.

    `constraint` (r, r) is what the auxiliary measurements add to the covariance of the score.
    """

    remove: Tensor
    information: Tensor
    constraint: Tensor


def score_beside(moment: Tensor, jacobian: Tensor, precision: Tensor) -> Score:
    """Return the score from the moments (r + p, r + p) at a nu with dm/dnu `jacobian` (p, K), constraints (K,).

    With I the information of (b, nu) and P the precision, phi~ = phi - B psi with B = I_bn (I_nn + P)^-1.
    """
    r = len(moment) - len(jacobian)
    cross = moment[:r, r:] @ jacobian
    stiff = jacobian.T @ moment[r:, r:] @ jacobian + torch.diag(precision)
    stiff.diagonal().add_(FLAT * (1.0 + stiff.diagonal().mean()))
    b = torch.linalg.solve(stiff, cross.T).T
    remove = torch.cat([torch.eye(r).to(moment), -b @ jacobian.T], dim=1)
    return Score(remove, moment[:r, :r] - b @ cross.T, (b * precision) @ b.T)
