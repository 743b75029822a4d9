"""Random numbers that belong to an event: the same for every nu, every batch, every device.

A distortion that draws (which jet is pile-up, how a jet fluctuated) must not draw anew at every nu: an event has to
move smoothly with nu. So the numbers are a hash of the nominal event and a seed.
"""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor

__all__ = ["event_keys", "normal", "uniform"]

BITS = 23  # the centres of 2^23 bins are exact in float32 and never 0 or 1
GOLDEN = 0x9E3779B97F4A7C15


def _signed(value: int) -> int:
    """A number modulo 2^64 as the int64 of the same bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


# The finaliser of MurmurHash3 (A. Appleby, public domain).
FIRST, SECOND = _signed(0xFF51AFD7ED558CCD), _signed(0xC4CEB9FE1A85EC53)


def _mix(x: Tensor) -> Tensor:
    """Every bit of the result depends on every bit of x, int64."""
    # The shift of an int64 brings its sign in from the left; the mask takes it away.
    x = (x ^ ((x >> 33) & 0x7FFFFFFF)) * FIRST
    x = (x ^ ((x >> 33) & 0x7FFFFFFF)) * SECOND
    return x ^ ((x >> 33) & 0x7FFFFFFF)


def _bits(x: Tensor) -> Tensor:
    # -0.0 and 0.0 are one number.
    return (x.detach().to(torch.float32) + 0.0).contiguous().view(torch.int32).to(torch.int64) & 0xFFFFFFFF


def event_keys(pt: Tensor, phi: Tensor, present: Tensor, seed: int) -> Tensor:
    """One int64 per event (b,) from its present objects (b, slots) and a seed."""
    content = torch.where(present, (_bits(pt) << 32) ^ _bits(phi), 0)
    slot = torch.arange(1, content.shape[1] + 1, device=content.device) * _signed(GOLDEN)
    return _mix(_mix(content + slot).sum(dim=1) + _signed((seed + 1) * GOLDEN))


def uniform(keys: Tensor, stream: str, count: int) -> Tensor:
    """Uniform numbers in (0, 1), float32 (b, count); streams of different names are independent."""
    index = torch.arange(1, count + 1, device=keys.device) * _signed(GOLDEN)
    hashed = _mix(keys[:, None] + index + _signed(zlib.crc32(stream.encode()) * FIRST))
    return (((hashed >> (64 - BITS)) & ((1 << BITS) - 1)).to(torch.float32) + 0.5) / (1 << BITS)


def normal(keys: Tensor, stream: str, count: int) -> Tensor:
    """Standard normal numbers, float32 (b, count)."""
    return math.sqrt(2.0) * torch.erfinv(2 * uniform(keys, stream, count) - 1)
