"""Other tests of the same question, on the same toys, for comparison (spec section 7)."""

from collections.abc import Callable

from unseen.rivals.autoencoder import AutoencoderCut
from unseen.rivals.base import Rival
from unseen.rivals.binned import Binned
from unseen.rivals.c2st import C2ST
from unseen.rivals.ceiling import Ceiling
from unseen.rivals.energy import Energy
from unseen.rivals.exact import ExactPower, Points, exact_power, signal_needed
from unseen.rivals.flow import FlowCut
from unseen.rivals.isolation_forest import IsolationForestCut
from unseen.rivals.knn import KNN
from unseen.rivals.mahalanobis import Mahalanobis
from unseen.rivals.mmd import MMD
from unseen.rivals.nplm_nn import NPLMNetwork
from unseen.search.validate import check_name

__all__ = ["RIVALS", "Ceiling", "ExactPower", "Points", "Rival", "choose", "exact_power", "signal_needed"]

RIVALS: dict[str, Callable[[], Rival]] = {
    "mmd": MMD,
    "energy": Energy,
    "mahalanobis": Mahalanobis,
    "binned": Binned,
    "knn": KNN,
    "c2st": C2ST,
    "nplm_nn": NPLMNetwork,
    "isolation_forest": IsolationForestCut,
    "flow": FlowCut,
    "autoencoder": AutoencoderCut,
}


def choose(name: str) -> Rival:
    """Return a new rival with its default settings; UnknownNameError for a name that is not in RIVALS."""
    return RIVALS[check_name("rival", name, RIVALS)]()
