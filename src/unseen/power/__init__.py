"""Power studies: how many signal events a test needs to see them."""

from unseen.power.candidate import Candidate, KernelCandidate
from unseen.power.contender import Contender, Reading
from unseen.power.crossing import Crossing
from unseen.power.plan import Scan
from unseen.power.result import Curve, PowerResult, power_result
from unseen.power.run import run_scan
from unseen.power.store import ToyStore, content_hash

__all__ = [
    "Candidate",
    "Contender",
    "Crossing",
    "Curve",
    "KernelCandidate",
    "PowerResult",
    "Reading",
    "Scan",
    "ToyStore",
    "content_hash",
    "power_result",
    "run_scan",
]
