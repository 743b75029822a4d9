"""unseen: look for what nobody predicted, with a calibrated p-value.

>>> test = unseen.KernelTest().fit(reference)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen import errors

if TYPE_CHECKING:
    from unseen.embed import Ensemble, FineTuneConfig, FineTuned, Model, fine_tune
    from unseen.events import Events, Sample, Schema, read
    from unseen.pipeline import run
    from unseen.search import KernelTest, Null, Region, Scorer, SearchResult, Statistic, positive_weights
    from unseen.systematics import DensityRatio, Nuisance, NuisanceSet, fit_kernel_ratio

__all__ = [
    "DensityRatio",
    "Ensemble",
    "Events",
    "FineTuneConfig",
    "FineTuned",
    "KernelTest",
    "Model",
    "Nuisance",
    "NuisanceSet",
    "Null",
    "Region",
    "Sample",
    "Schema",
    "Scorer",
    "SearchResult",
    "Statistic",
    "errors",
    "fine_tune",
    "fit_kernel_ratio",
    "load",
    "positive_weights",
    "read",
    "run",
]

# Imported on first use: the search alone needs neither Lightning nor matplotlib.
_HOMES = {
    "DensityRatio": "unseen.systematics",
    "Ensemble": "unseen.embed",
    "Events": "unseen.events",
    "FineTuneConfig": "unseen.embed",
    "FineTuned": "unseen.embed",
    "KernelTest": "unseen.search",
    "Model": "unseen.embed",
    "Nuisance": "unseen.systematics",
    "NuisanceSet": "unseen.systematics",
    "Null": "unseen.search",
    "Region": "unseen.search",
    "Sample": "unseen.events",
    "Schema": "unseen.events",
    "Scorer": "unseen.search",
    "SearchResult": "unseen.search",
    "Statistic": "unseen.search",
    "fine_tune": "unseen.embed",
    "fit_kernel_ratio": "unseen.systematics",
    "positive_weights": "unseen.search",
    "read": "unseen.events",
    "run": "unseen.pipeline",
}


def load(path: str | Path) -> Model | Ensemble:
    """A trained embedding from the folder that a training wrote, e.g. ``unseen.load("runs/x/train")``.

    An Ensemble if that training made several models (`folds`, `ensemble`); both embed events.

    Errors: MissingFileError, CorruptFileError. Opening someone's model cannot run code.
    """
    from unseen.embed import load_trained

    return load_trained(path)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unseen' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
