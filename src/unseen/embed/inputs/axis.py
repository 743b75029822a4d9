"""The reference axis that azimuthal angles are measured from."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["reference_axis"]

# Lowest pt in GeV that weighs in; only keeps the logarithm finite.
PT_FLOOR = 1e-3
# Length of the mean direction below which there is no direction to speak of.
SHORT = 0.1


def reference_axis(pt: Tensor, phi: Tensor, candidates: Tensor, sharpness: float) -> Tensor:
    """The direction (b, 2) of the hardest candidate: pt, phi and candidates are (b, slots).

    A hard choice would jump where two candidates have equal pt, and with it every angle of the event. This one is the
    mean direction a = sum w (cos phi, sin phi) with weights w in proportion to pt^sharpness: the hardest object's where
    that stands out, between the two where they are equally hard. Its length is 1 up to where the candidates balance
    back to back (|a| near 0.1 and below); no direction is special there, and it goes to 0 without a jump. It is 0
    without candidates. It turns with the event.
    """
    there = candidates.to(pt.dtype)
    logits = sharpness * torch.log(torch.clamp(pt, min=PT_FLOOR)) + (there - 1) * 1e4
    weight = torch.softmax(logits, dim=1) * there
    axis = torch.stack([(weight * torch.cos(phi)).sum(1), (weight * torch.sin(phi)).sum(1)], dim=1)
    length = (axis.square().sum(1, keepdim=True) + SHORT**2).sqrt()
    return axis * (math.sqrt(1 + SHORT**2) / length)
