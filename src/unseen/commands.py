"""What the array commands do, without the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from unseen.arrays import read_arrays
from unseen.config import SearchConfig, load_config
from unseen.events.atomic import write_json
from unseen.progress import Display
from unseen.search import KernelTest
from unseen.seeds import generator, small_seed

__all__ = ["search_arrays"]


def search_arrays(
    reference: Path,
    data: Path,
    out: Path,
    pool: Path | None,
    expected: float | None,
    config: Path | None,
    toys: int | None,
    seed: int,
    quiet: bool,
) -> dict[str, Any]:
    """Test the arrays `x` of .npz files and write the result as JSON; returns its content.

    Without a pool a random half of an unweighted reference is set apart for toys.
    """
    settings = load_config(config).search if config else SearchConfig()
    r, d = (read_arrays(path, needs=("x",)) for path in (reference, data))
    x, weights = r["x"], r.get("weights")
    total = float(np.sum(weights)) if weights is not None else float(len(x))
    if pool is not None:
        p = read_arrays(pool, needs=("x",))["x"]
    else:
        half = generator(seed, "search", "split").permutation(len(x)) < len(x) // 2
        p, x, weights = x[half], x[~half], None if weights is None else weights[~half]
    test = KernelTest(
        widths=settings.widths,
        n_centers=settings.n_centers,
        penalty=settings.penalty,
        normalisation=settings.normalisation,
        seed=small_seed(seed, "search"),
        statistic=settings.statistic,
    )
    test.fit(x, weights=weights, expected=expected or total)
    with Display(quiet).bar("toys") as update:
        test.calibrate(
            p,
            n_toys=toys or settings.n_toys,
            seed=small_seed(seed, "toys"),
            reference="auto",
            progress=lambda done, count: update(done, count, ""),
        )
    content: dict[str, Any] = json.loads(test.search(d["x"]).to_json())
    write_json(out, content)
    return content
