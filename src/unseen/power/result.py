"""The outcome of a power study: median Z, power, and the numbers of signal events that a test needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.power.contender import Contender, Reading
from unseen.power.crossing import Crossing, crossing, median_interval, power_interval
from unseen.power.plan import Sample, Scan
from unseen.power.run import Floats, Toys
from unseen.power.significance import Significance, significance

__all__ = ["LEVELS", "Curve", "PowerResult", "curve_of", "power_result"]

LEVELS = (2.0, 3.0, 5.0)


@dataclass(frozen=True)
class Curve:
    """One test and one signal: the significance of the pseudo-data at each injection."""

    test: str
    signal: str
    injections: tuple[int, ...]
    found: tuple[Significance, ...]
    crossings: tuple[Crossing, ...]

    @property
    def level(self) -> float:
        """The highest of `LEVELS` that the null resolves: the one power is quoted at."""
        return max((level for level in LEVELS if self.found[0].resolves(level)), default=LEVELS[0])

    @property
    def median_z(self) -> tuple[float, ...]:
        """Median Z at each injection; the null's largest Z where half of the pseudo-data reach it."""
        return tuple(float(np.median(s.z)) for s in self.found)

    def power(self, level: float) -> tuple[float, ...]:
        """Return the share of pseudo-data with Z of `level` or more, at each injection."""
        return tuple(float(np.mean(s.z >= level)) for s in self.found)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what is unknown is None and said why in `notes`."""
        power = self.power(self.level)
        content: dict[str, Any] = {
            "n_signal": list(self.injections),
            "median_z": list(self.median_z),
            "median_z_interval": [list(median_interval(s.z)) for s in self.found],
            "at_resolution": [bool(np.median(s.z) >= s.largest_z) for s in self.found],
            "power": list(power),
            "power_interval": [
                list(power_interval(share, len(s.p))) for share, s in zip(power, self.found, strict=True)
            ],
            "power_level": self.level,
            "n_toys": [len(s.p) for s in self.found],
            "null_size": self.found[0].n_null,
            "largest_z": self.found[0].largest_z,
        }
        for c in self.crossings:
            content |= {f"n{c.level:g}": c.n, f"n{c.level:g}_interval": list(c.interval)}
        return content | {"notes": {f"n{c.level:g}": c.why for c in self.crossings if c.why}}


@dataclass(frozen=True)
class PowerResult:
    """All curves, and what the study was made of."""

    curves: tuple[Curve, ...]
    about: Mapping[str, Any]

    def curve(self, test: str, signal: str) -> Curve:
        """Return one curve; KeyError if there is none."""
        for curve in self.curves:
            if (curve.test, curve.signal) == (test, signal):
                return curve
        raise KeyError((test, signal))

    def to_json(self) -> dict[str, Any]:
        """Return plain values: the first test's first signal at the top, all of them below `signals`."""
        signals: dict[str, dict[str, Any]] = {}
        for curve in self.curves:
            signals.setdefault(curve.signal, {})[curve.test] = curve.to_json()
        first = self.curves[0]
        content: dict[str, Any] = dict(signals[first.signal][first.test])
        content |= {"test": first.test, "signal": first.signal, "about": dict(self.about), "signals": signals}
        return content


def power_result(scan: Scan, contenders: Mapping[str, Contender], toys: Toys, about: Mapping[str, Any]) -> PowerResult:
    """Turn the statistics of all toys into curves."""
    curves = []
    for signal in scan.signals:
        for name, contender in contenders.items():
            curves += [curve_of(scan, reading, signal, toys.t[name]) for reading in contender.readings]
    return PowerResult(tuple(curves), about)


def curve_of(scan: Scan, reading: Reading, signal: str, t: Mapping[Sample, Floats]) -> Curve:
    """Return the curve of one reading and one signal from the statistics of its toys."""
    order = np.argsort(scan.injections)
    injections = tuple(scan.injections[i] for i in order)
    found = []
    for i in order:
        n = scan.injections[i]
        null = reading.null(t.get(scan.null(n)), signal, int(i))
        found.append(significance(null, reading.of(t[scan.with_signal(signal, n)], signal, int(i))))
    crossings = tuple(crossing(injections, found, level) for level in LEVELS)
    return Curve(reading.name, signal, injections, tuple(found), crossings)
