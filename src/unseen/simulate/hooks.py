"""Calls from inside Pythia: vetoes before the expensive steps. Factories make UserHooks for `Generator`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unseen.simulate.pythia import pythia_module

__all__ = [
    "FIRST_OUTGOING",
    "HARD_ROWS",
    "HEAVY_QUARKS",
    "begin_event_hook",
    "heavy_quark_hook",
    "lepton_hook",
    "soft_boson_hook",
]

LEPTONS = (11, 13, 15)
HEAVY_QUARKS = (4, 5)
# GeV; half of the shower's time lies below, and no gluon that splits into hard charm or bottom.
DECIDING_SCALE = 1.0
# The partons of a 2 -> 2 process in the event record: two incoming, two outgoing.
HARD_ROWS = (3, 4, 5, 6)
FIRST_OUTGOING = 5


def lepton_hook(pt_min: float, count: int = 1) -> Any:
    """Keep events with `count` e, mu or tau above `pt_min` GeV after the shower, before hadronisation."""
    return _parton_level_hook(LEPTONS, pt_min, count)


def heavy_quark_hook(pt_min: float, keep: Callable[[float, bool], float], rng: np.random.Generator) -> Any:
    """Thin out hard processes, and keep events with a charm or bottom quark above `pt_min` GeV after the shower.

    `keep(pt_hat, heavy)` is the probability to go on with a 2 -> 2 process, where heavy says whether charm or bottom
    takes part in it: decided before the shower, which takes most of the time. The quark is looked for when the shower
    reaches DECIDING_SCALE, since what is left makes hardly any, and once more at its end.
    """
    base: Any = type(_parton_level_hook(HEAVY_QUARKS, pt_min, 1))

    class HeavyQuarkVeto(base):
        def canVetoPT(self) -> bool:  # noqa: N802
            return True

        def scaleVetoPT(self) -> float:  # noqa: N802
            return DECIDING_SCALE

        def doVetoPT(self, _where: int, event: Any) -> bool:  # noqa: N802
            return bool(self.doVetoPartonLevel(event))

        def canVetoProcessLevel(self) -> bool:  # noqa: N802
            return True

        def doVetoProcessLevel(self, event: Any) -> bool:  # noqa: N802
            heavy = any(event[row].idAbs() in HEAVY_QUARKS for row in HARD_ROWS)
            return bool(rng.random() >= keep(event[FIRST_OUTGOING].pT(), heavy))

    return HeavyQuarkVeto()


def _parton_level_hook(identities: tuple[int, ...], pt_min: float, count: int) -> Any:
    base: Any = pythia_module().UserHooks

    class PartonLevelVeto(base):
        def canVetoPartonLevel(self) -> bool:  # noqa: N802
            return True

        def doVetoPartonLevel(self, event: Any) -> bool:  # noqa: N802
            found = 0
            for particle in event:
                if particle.idAbs() in identities and particle.isFinal() and particle.pT() > pt_min:
                    found += 1
                    if found == count:
                        return False
            return True

    return PartonLevelVeto()


def soft_boson_hook(scale: float, pt_max: float) -> Any:
    """Stop events whose W has more than `pt_max` GeV when the parton evolution reaches `scale` GeV."""

    base: Any = pythia_module().UserHooks

    class SoftBosonVeto(base):
        def canVetoPT(self) -> bool:  # noqa: N802
            return True

        def scaleVetoPT(self) -> float:  # noqa: N802
            return scale

        def doVetoPT(self, _where: int, event: Any) -> bool:  # noqa: N802
            for index in range(event.size() - 1, 0, -1):
                if event[index].idAbs() == 24:
                    return bool(event[index].pT() > pt_max)
            return False

    return SoftBosonVeto()


def begin_event_hook(prepare: Callable[[], None]) -> Any:
    """Veto nothing, but call `prepare` at the beginning of each event: it may change the event record."""
    base: Any = pythia_module().UserHooks

    class BeginEvent(base):
        def onBeginEvent(self) -> None:  # noqa: N802
            prepare()

    return BeginEvent()
