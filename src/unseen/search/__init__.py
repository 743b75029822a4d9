"""Signal-agnostic hypothesis tests on plain arrays: is the data distributed like the reference?"""

from unseen.search.combine import COMBINATIONS
from unseen.search.kernel_test import KernelTest
from unseen.search.null import CALIBRATIONS, Null
from unseen.search.positive import positive_weights
from unseen.search.profile_ratio import RatioCoefficients
from unseen.search.profile_trust import Trust
from unseen.search.pseudo import PseudoData
from unseen.search.result import SearchResult, Statistic
from unseen.search.runner import Runner
from unseen.search.scorer import Scorer
from unseen.search.where import Region

__all__ = [
    "CALIBRATIONS",
    "COMBINATIONS",
    "KernelTest",
    "Null",
    "PseudoData",
    "RatioCoefficients",
    "Region",
    "Runner",
    "Scorer",
    "SearchResult",
    "Statistic",
    "Trust",
    "positive_weights",
]
