"""A map of the latent space by UMAP: which events are neighbours, in two dimensions that mean nothing themselves."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from unseen.errors import MissingExtraError, NonFiniteError, NotEnoughEventsError, ShapeError
from unseen.report.figures.latent_corner import Cloud
from unseen.report.style import RASTER_ABOVE, WIDTH, new_figure

__all__ = ["check_umap", "map_figure", "umap_points"]

NEIGHBOURS = 15
POINT, SIGNAL_POINT = 2.5, 6.0


def check_umap() -> None:
    """Raise MissingExtraError if umap-learn is not installed, before any work starts."""
    if importlib.util.find_spec("umap") is None:
        raise MissingExtraError("a UMAP map needs umap-learn: pip install 'unseen[umap]'")


def umap_points(z: ArrayLike, seed: int = 0, neighbours: int = NEIGHBOURS) -> NDArray[np.float64]:
    """UMAP of z (n, d) to (n, 2); arXiv:1802.03426. Distances between groups and their sizes mean nothing in it.

    Errors: MissingExtraError, ShapeError, NonFiniteError, NotEnoughEventsError.
    """
    x = np.asarray(z, dtype=np.float32)
    if x.ndim != 2:
        raise ShapeError(f"z has shape {x.shape}; expected (n, d)")
    if len(x) <= neighbours:
        raise NotEnoughEventsError(f"z has {len(x)} events; a map of {neighbours} neighbours needs more")
    if not np.isfinite(x).all():
        raise NonFiniteError("z has values that are not finite")
    check_umap()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)  # that one of its kinds needs tensorflow, which is not used
        import umap

    # A seed needs one thread, and says so in a warning unless it is given.
    reducer = umap.UMAP(n_components=2, n_neighbors=neighbours, random_state=seed, n_jobs=1)
    points: NDArray[np.float64] = np.asarray(reducer.fit_transform(x), dtype=np.float64)
    return points


def map_figure(clouds: Sequence[Cloud], axis_names: tuple[str, str] = ("UMAP 1", "UMAP 2")) -> Figure:
    """Scatter of the first two columns of every cloud, shaded ones below the others; call inside `hep_style`."""
    figure = new_figure(0.85 * WIDTH)
    axis = figure.subplots()
    for order, cloud in enumerate(sorted(clouds, key=lambda cloud: not cloud.filled)):
        axis.scatter(
            cloud.points[:, 0],
            cloud.points[:, 1],
            s=POINT if cloud.filled else SIGNAL_POINT,
            color=cloud.colour if cloud.filled else "none",
            edgecolors="none" if cloud.filled else cloud.colour,
            linewidths=0.0 if cloud.filled else 0.5,
            alpha=0.5 if cloud.filled else 0.8,
            zorder=2 + 0.1 * order,
            label=cloud.name,
            rasterized=len(cloud.points) > RASTER_ABOVE,
        )
    axis.set_xlabel(axis_names[0])
    axis.set_ylabel(axis_names[1])
    legend = figure.legend(loc="outside upper center", ncols=4, markerscale=3.0)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
    return figure
