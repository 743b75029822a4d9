"""Learned density ratios r(z; nu): how the rate of events at z responds to nuisance parameters."""

from unseen.systematics.ratio.closure import Closure
from unseen.systematics.ratio.density_ratio import DensityRatio, SampleCheck
from unseen.systematics.ratio.fit import fit_kernel_ratio
from unseen.systematics.ratio.kernel import KernelSource
from unseen.systematics.ratio.samples import Block, RatioSamples
from unseen.systematics.ratio.source import RatioSource
from unseen.systematics.ratio.table import SOURCES

__all__ = [
    "SOURCES",
    "Block",
    "Closure",
    "DensityRatio",
    "KernelSource",
    "RatioSamples",
    "RatioSource",
    "SampleCheck",
    "fit_kernel_ratio",
]
