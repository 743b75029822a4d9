"""Learned density ratios r(z; nu): how the rate of events at z responds to nuisance parameters."""

from unseen.systematics.ratio.analytic import fit_weight_ratio, join, yield_ratio
from unseen.systematics.ratio.closure import CLOSURE_LIMIT, FEWEST_SELECTED, Closure
from unseen.systematics.ratio.density_ratio import DensityRatio, SampleCheck
from unseen.systematics.ratio.fit import fit_kernel_ratio
from unseen.systematics.ratio.from_events import ratio_samples
from unseen.systematics.ratio.mixture import mix
from unseen.systematics.ratio.moments import moment_closure
from unseen.systematics.ratio.processes import fit_mixture_ratio
from unseen.systematics.ratio.proposal import propose
from unseen.systematics.ratio.samples import Block, RatioSamples
from unseen.systematics.ratio.source import RatioSource
from unseen.systematics.ratio.table import SOURCES

__all__ = [
    "CLOSURE_LIMIT",
    "FEWEST_SELECTED",
    "SOURCES",
    "Block",
    "Closure",
    "DensityRatio",
    "RatioSamples",
    "RatioSource",
    "SampleCheck",
    "fit_kernel_ratio",
    "fit_mixture_ratio",
    "fit_weight_ratio",
    "join",
    "mix",
    "moment_closure",
    "propose",
    "ratio_samples",
    "yield_ratio",
]
