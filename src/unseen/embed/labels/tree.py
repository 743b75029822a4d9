"""From the properties of events to classes: split from coarse to fine, and merge what has too few events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unseen.embed.labels.factor import Factor
from unseen.errors import NotEnoughEventsError

__all__ = ["OTHER", "classify"]

OTHER = "other"
# An error that names more classes than this would bury its own message.
MOST_LISTED = 20

Int = NDArray[np.int64]
Group = tuple[tuple[int, ...], str]


def classify(
    factors: Sequence[Factor], n: int, least: int = 1, merge: bool = True
) -> tuple[Int, tuple[str, ...], tuple[str, ...]]:
    """Classes of n events at every level (n, L), the names of the finest ones, and what each level adds.

    Every factor splits each class of the level before it by its values. Inside one class, values with fewer than
    `least` events are joined: of an ordered property the smallest bin joins the smaller of its neighbours until all
    have enough; of others they become one class `other`, or, if that has too few events too, join the largest value. A
    class whose values all end up together is not split. So every class has `least` events if the coarser one had.
    Errors: NotEnoughEventsError lists the populations if `merge` is False or the property may not be merged.
    """
    chosen = _once(factors)
    keys = tuple(factor.key for factor in chosen) or ("all",)
    if n == 0:
        return np.zeros((0, len(keys)), dtype=np.int64), (), keys
    target: Int = np.zeros(n, dtype=np.int64)
    names: tuple[str, ...] = ("",)
    levels: list[Int] = []
    for factor in chosen:
        target, names = _split(target, names, factor, least, merge)
        levels.append(target)
    return np.stack(levels or [target], axis=1), tuple(name or "all" for name in names), keys


def _once(factors: Sequence[Factor]) -> list[Factor]:
    """The first factor of each key."""
    first: dict[str, Factor] = {}
    for factor in factors:
        first.setdefault(factor.key, factor)
    return list(first.values())


def _split(
    parent: Int, parents: tuple[str, ...], factor: Factor, least: int, merge: bool
) -> tuple[Int, tuple[str, ...]]:
    width = int(factor.code.max(initial=-1)) + 2
    cell = parent * width + factor.code + 1
    counts = np.bincount(cell, minlength=len(parents) * width).reshape(len(parents), width)
    new = np.full(counts.shape, -1, dtype=np.int64)
    names: list[str] = []
    for i, name in enumerate(parents):
        values = [(int(c) - 1, int(counts[i, c])) for c in np.flatnonzero(counts[i])]
        if factor.merge == "never" or not merge:
            _refuse(name, [(_path(name, factor.name(c, c)) if c >= 0 else name, k) for c, k in values], least)
        for codes, word in _groups(values, factor, least):
            new[i, [c + 1 for c in codes]] = len(names)
            names.append(_path(name, word))
    return new.reshape(-1)[cell], tuple(names)


def _path(parent: str, word: str) -> str:
    return "/".join(part for part in (parent, word) if part)


def _groups(values: list[tuple[int, int]], factor: Factor, least: int) -> list[Group]:
    """The values (code, count) of one class, joined; a lone group made by joining has no word."""
    untouched: list[Group] = [((-1,), "")] if values[0][0] < 0 else []
    values = [(code, count) for code, count in values if code >= 0]
    if len(values) < 2 or min(count for _, count in values) >= least:
        return untouched + [((code,), factor.name(code, code)) for code, _ in values]
    joined = _adjacent(values, factor, least) if factor.merge == "adjacent" else _pooled(values, factor, least)
    return untouched + ([(joined[0][0], "")] if len(joined) == 1 else joined)


def _adjacent(values: list[tuple[int, int]], factor: Factor, least: int) -> list[Group]:
    bins: list[tuple[tuple[int, ...], int]] = [((code,), count) for code, count in values]
    while len(bins) > 1 and min(count for _, count in bins) < least:
        i = min(range(len(bins)), key=lambda j: bins[j][1])
        beside = [j for j in (i - 1, i + 1) if 0 <= j < len(bins)]
        low, high = sorted((i, min(beside, key=lambda j: bins[j][1])))
        bins[low : high + 1] = [(bins[low][0] + bins[high][0], bins[low][1] + bins[high][1])]
    return [(codes, factor.name(codes[0], codes[-1])) for codes, _ in bins]


def _pooled(values: list[tuple[int, int]], factor: Factor, least: int) -> list[Group]:
    rest = [(code, count) for code, count in values if count < least]
    kept = [(code, count) for code, count in values if count >= least]
    word = OTHER
    if kept and sum(count for _, count in rest) < least:
        # In the largest value they are diluted most: it stays nearly pure.
        largest = max(kept, key=lambda value: value[1])
        kept.remove(largest)
        rest.append(largest)
        word = f"{factor.name(largest[0], largest[0])} or {OTHER}"
    joined = tuple(sorted(code for code, _ in rest))
    return [*(((code,), factor.name(code, code)) for code, _ in kept), (joined, word)]


def _refuse(parent: str, populations: list[tuple[str, int]], least: int) -> None:
    rare = [name for name, count in populations if count < least]
    if not rare:
        return
    listed = sorted(populations, key=lambda item: item[1])[:MOST_LISTED]
    text = ", ".join(f"{name} {count}" for name, count in listed)
    more = f" and {len(populations) - len(listed)} larger ones" if len(populations) > len(listed) else ""
    inside = f" of '{parent}'" if parent else ""
    raise NotEnoughEventsError(
        f"labels: class '{rare[0]}' has fewer than {least} events; classes{inside}: {text}{more}. Lower `least`, "
        "provide more events, or put it into a class with others (labels: {name: groups, ...})"
    )
