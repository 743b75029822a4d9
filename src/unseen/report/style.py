"""The look of every figure: HEP style at a size that reads on a phone, in colours that the colour-blind can tell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import mplhep
from matplotlib.figure import Figure

__all__ = ["BEST", "DATA", "LEARNED", "PROCESS_COLOURS", "RASTER_ABOVE", "TRUTH", "WIDTH", "hep_style", "new_figure"]

WIDTH = 5.4  # inches
RASTER_ABOVE = 2000  # more points than this become an image inside the SVG
DATA = "#000000"
LEARNED = "#bd1f01"  # what the fit found
TRUTH = "#bd1f01"  # the hidden signal, where it is known
BEST = "#832db6"  # the width that the figures use
# Petroff's accessible sequence (arXiv:2107.02270) without the red, which is kept for the excess.
PROCESS_COLOURS = ("#3f90da", "#ffa90e", "#94a4a2", "#832db6", "#a96b59", "#92dadd", "#717581", "#b9ac70")

_SIZES: dict[str, Any] = {
    "font.size": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "axes.linewidth": 1.0,
    "lines.linewidth": 1.5,
    "xtick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.major.size": 6,
    "ytick.minor.size": 3,
    "xtick.major.pad": 4,
    "ytick.major.pad": 4,
    "axes.unicode_minus": True,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "path.simplify": True,
}


@contextlib.contextmanager
def hep_style(salt: str = "unseen") -> Iterator[None]:
    """Apply the style inside the block only; `salt` makes the ids of an SVG reproducible."""
    settings: dict[Any, Any] = {**mplhep.style.CMS, **_SIZES, "svg.hashsalt": salt}
    with mpl.rc_context(settings):
        yield


def new_figure(height: float, width: float = WIDTH, constrained: bool = True) -> Figure:
    """An empty figure that no global state knows about; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained" if constrained else None)
