"""How predictably an embedding covaries with nuisance parameters, and whether the search stays true."""

from unseen.study.covariance.closure import (
    ClosureFrame,
    ClosurePoint,
    Shift,
    closure,
    closure_frame,
    closure_record,
    closures,
    framed,
)
from unseen.study.covariance.from_samples import matched, sample_closure
from unseen.study.covariance.frozen import FrozenRatio, freeze_nuisances
from unseen.study.covariance.impact import Impact, impacts
from unseen.study.covariance.information import Information, InformationKept, information, information_kept
from unseen.study.covariance.moved import At, Delta, Moved, moved, nu_grid
from unseen.study.covariance.numbers_kept import NumberRatio, number_ratio
from unseen.study.covariance.overlap import Overlap, overlap
from unseen.study.covariance.predictability import MomentFit, predictability
from unseen.study.covariance.pull import PullPoint, pulls
from unseen.study.covariance.robustness import Injected, RobustnessCell, robustness
from unseen.study.covariance.treatments import TREATMENTS, Judge, Situation, Treatment

__all__ = [
    "TREATMENTS",
    "At",
    "ClosureFrame",
    "ClosurePoint",
    "Delta",
    "FrozenRatio",
    "Impact",
    "Information",
    "InformationKept",
    "Injected",
    "Judge",
    "MomentFit",
    "Moved",
    "NumberRatio",
    "Overlap",
    "PullPoint",
    "RobustnessCell",
    "Shift",
    "Situation",
    "Treatment",
    "closure",
    "closure_frame",
    "closure_record",
    "closures",
    "framed",
    "freeze_nuisances",
    "impacts",
    "information",
    "information_kept",
    "matched",
    "moved",
    "nu_grid",
    "number_ratio",
    "overlap",
    "predictability",
    "pulls",
    "robustness",
    "sample_closure",
]
