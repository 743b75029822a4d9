"""Vetoes inside Pythia, before the expensive steps. Each factory returns a UserHooks object for `Generator`."""

from __future__ import annotations

from typing import Any

from unseen.simulate.pythia import pythia_module

__all__ = ["heavy_quark_hook", "lepton_hook", "soft_boson_hook"]

LEPTONS = (11, 13, 15)
HEAVY_QUARKS = (4, 5)


def lepton_hook(pt_min: float, count: int = 1) -> Any:
    """Keep events with `count` e, mu or tau above `pt_min` GeV after the shower, before hadronisation."""
    return _parton_level_hook(LEPTONS, pt_min, count)


def heavy_quark_hook(pt_min: float) -> Any:
    """Keep events with a charm or bottom quark above `pt_min` GeV after the shower, before hadronisation."""
    return _parton_level_hook(HEAVY_QUARKS, pt_min, 1)


def _parton_level_hook(identities: tuple[int, ...], pt_min: float, count: int) -> Any:
    class PartonLevelVeto(pythia_module().UserHooks):  # type: ignore[misc]
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

    class SoftBosonVeto(pythia_module().UserHooks):  # type: ignore[misc]
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
