"""Which numbers of signal events to scan: few of them, where the median Z crosses 2, 3 and 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

__all__ = ["Bracket", "Search", "find_injections", "refined", "rungs"]

Shares = Mapping[float, float]  # level -> share of the pseudo-data that reach it
GENTLE = 2.0  # where to start: this many standard deviations of the background


class Bracket(NamedTuple):
    """The numbers to scan, in rising order, and the levels that all signal events there are do not reach."""

    injections: tuple[int, ...]
    out_of_reach: tuple[float, ...]


@dataclass(frozen=True)
class Search:
    """What the numbers of signal events may be: `given` ones, and a factor between the others up to `limit`."""

    expected: float
    limit: int
    factor: float
    given: tuple[int, ...] | None = None


def rungs(search: Search) -> list[int]:
    """All numbers that can be asked for, in rising order from 0: the given ones, extended by factors at both ends."""
    inner = [n for n in search.given or () if 0 < n <= search.limit]
    if not inner:
        inner = [int(np.clip(round(GENTLE * np.sqrt(search.expected)), 1, search.limit))]
    down, up = [float(inner[0])], [float(inner[-1])]
    while down[-1] > 1:
        down.append(down[-1] / search.factor)
    while up[-1] < search.limit:
        up.append(min(up[-1] * search.factor, float(search.limit)))
    return sorted({0, *inner, *(max(1, round(n)) for n in down), *(round(n) for n in up)})


def find_injections(search: Search, levels: tuple[float, ...], shares: Callable[[int], Shares]) -> Bracket:
    """Return the rungs around the crossings of `levels` (rising), asking for the shares of as few as possible.

    Each crossing gets its two rungs and one more on either side, so that its interval stays inside. Given numbers are
    all kept.
    """
    all_rungs = rungs(search)
    start = [n for n in search.given or () if n in all_rungs] or [_gentle(search, all_rungs)]
    known: dict[int, Shares] = {}

    def reached(i: int, level: float) -> bool:
        if all_rungs[i] == 0:
            return False
        if i not in known:
            known[i] = shares(all_rungs[i])
        return known[i][level] >= 0.5

    wanted = {all_rungs.index(n) for n in search.given or () if n in all_rungs}
    first = all_rungs.index(start[len(start) // 2])
    for k, level in enumerate(levels):
        i = _first_reached(len(all_rungs), first, partial(reached, level=level))
        if i is None:
            wanted |= {len(all_rungs) - 2, len(all_rungs) - 1}
            return Bracket(tuple(all_rungs[i] for i in sorted(wanted)), levels[k:])
        wanted |= set(range(max(0, i - 2), min(len(all_rungs), i + 2)))
        first = i
    return Bracket(tuple(all_rungs[i] for i in sorted(wanted)), ())


def refined(injections: tuple[int, ...], crossed: Sequence[float], search: Search) -> tuple[int, ...]:
    """Return the numbers with one between those on either side of each crossing, and one beyond them.

    For crossings whose interval the scan does not hold: it is too coarse there, or ends too early.
    """
    wanted = set(injections)
    for n in crossed:
        below = max((k for k in injections if k <= n), default=0)
        above = min((k for k in injections if k >= n), default=search.limit)
        wanted.add(round(np.sqrt(below * above)) if below else above // 2)
        if below == injections[0]:
            wanted.add(int(below / search.factor))
        if above == injections[-1]:
            wanted.add(min(search.limit, round(above * search.factor)))
    return tuple(sorted(wanted))


def _gentle(search: Search, all_rungs: list[int]) -> int:
    return min(all_rungs[1:], key=lambda n: abs(n - GENTLE * np.sqrt(search.expected)))


def _first_reached(count: int, start: int, reached: Callable[[int], bool]) -> int | None:
    """The first of 0..count-1 that is reached, by leaps from `start` and then by halves; None if the last is not."""
    low, high, step = -1, count, 1
    i = start
    if reached(i):
        while i >= 0 and reached(i):
            high, i, step = i, i - step, 2 * step
        low = max(i, -1)
    else:
        while i < count and not reached(i):
            low, i, step = i, min(i + step, count - 1) if i < count - 1 else count, 2 * step
        high = i
    if high >= count:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
