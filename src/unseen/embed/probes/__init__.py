"""What an embedding keeps of the processes: classifiers on it, measures of its shape, and all of them together."""

from unseen.embed.probes.alignment import alignment, class_alignment
from unseen.embed.probes.evaluation import Evaluation, evaluate, evaluate_arrays
from unseen.embed.probes.mixture import reweighted
from unseen.embed.probes.probe import PROBES, linear_probe, probe
from unseen.embed.probes.rank import effective_rank
from unseen.embed.probes.result import ProbeResult
from unseen.embed.probes.separation import fisher_ratio, silhouette
from unseen.embed.probes.spread import directions, standardised
from unseen.embed.probes.uniformity import uniformity

__all__ = [
    "PROBES",
    "Evaluation",
    "ProbeResult",
    "alignment",
    "class_alignment",
    "directions",
    "effective_rank",
    "evaluate",
    "evaluate_arrays",
    "fisher_ratio",
    "linear_probe",
    "probe",
    "reweighted",
    "silhouette",
    "standardised",
    "uniformity",
]
