"""A parametrised detector: final-state particles to electrons, muons, jets and missing momentum."""

from unseen.simulate.detector.response import reconstruct
from unseen.simulate.detector.settings import DetectorSettings

__all__ = ["DetectorSettings", "reconstruct"]
