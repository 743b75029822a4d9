"""What kind of signal a particle leaves, from its PDG code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHARGED", "ELECTRON", "INVISIBLE", "MUON", "NEUTRAL", "PHOTON", "kinds_of"]

INVISIBLE, PHOTON, ELECTRON, MUON, CHARGED, NEUTRAL = range(6)
KNOWN = {11: ELECTRON, 13: MUON, 15: CHARGED, 22: PHOTON, 24: CHARGED, 37: CHARGED}
TABLE_SIZE = 10_000  # all common hadrons have four digits; longer codes are rare and looked up one by one
NUCLEUS = 1_000_000_000


def _kind(code: int) -> int:
    """Kind of one code (> 0): hadrons by the charge of their quarks (even digits up-type, odd ones down-type)."""
    if code in KNOWN:
        return KNOWN[code]
    if code >= NUCLEUS:
        return CHARGED if code // 10_000 % 1000 else NEUTRAL
    quarks = [int(digit) for digit in f"{code // 10 % 1000:03d}"]
    if 0 in quarks[1:]:
        return NEUTRAL
    charges = [2 if quark % 2 == 0 else -1 for quark in quarks]  # in thirds
    total = sum(charges) if quarks[0] else charges[1] - charges[2]
    return CHARGED if total else NEUTRAL


_TABLE = np.array([_kind(code) for code in range(TABLE_SIZE)], dtype=np.int8)


def kinds_of(ids: NDArray[np.int64], invisible_ids: tuple[int, ...]) -> NDArray[np.int8]:
    """Kind of every particle, (n,); the sign of the codes does not matter."""
    codes = np.abs(ids)
    table = _TABLE.copy()
    table[[abs(code) for code in invisible_ids if abs(code) < TABLE_SIZE]] = INVISIBLE
    kinds = table[np.minimum(codes, TABLE_SIZE - 1)]
    long = np.flatnonzero(codes >= TABLE_SIZE)
    for code in np.unique(codes[long]):
        kind = INVISIBLE if int(code) in invisible_ids else _kind(int(code))
        kinds[long[codes[long] == code]] = kind
    return kinds
