"""What the array commands do, without the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from unseen.arrays import FloatArray, read_arrays, write_arrays
from unseen.config import SearchConfig, load_config
from unseen.embed import Model, embed_on, load_trained
from unseen.errors import ConfigError, WeightError
from unseen.events import read
from unseen.events.atomic import write_json
from unseen.progress import Display
from unseen.search.validate import as_events, as_weights
from unseen.searching import calibrate, kernel_test, toy_workers
from unseen.seeds import generator, small_seed
from unseen.workers import check_cluster
from unseen.workers import workers as open_workers

__all__ = ["embed_file", "search_arrays", "unweighted"]


def embed_file(
    model: Path, file: Path, out: Path, select: bool, cluster: str | None, workers: int | None, quiet: bool
) -> tuple[int, int]:
    """Write the embedding of a file of events as .npz; returns the number of events and of dimensions.

    With a `cluster` blocks of events are embedded on its workers, to the same numbers.
    """
    check_cluster(cluster, workers)
    trained = load_trained(model)
    events = read(file, schema=trained.schema, select=select)
    if cluster is None:
        z = trained.embed(events)
    elif not isinstance(trained, Model):
        raise ConfigError(
            f"{model} holds several models: name one with --cluster, e.g. {model}/{next(iter(trained.members))}"
        )
    else:
        with open_workers(cluster, workers) as pool, Display(quiet).bar("embedding") as update:
            z = embed_on(pool, trained, events, lambda done, total: update(done, total, ""))
    write_arrays(out, x=z, weights=events.weight, label=events.label, label_names=list(events.label_names))
    return z.shape


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
    cluster: str | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Test the arrays `x` of .npz files and write the result as JSON; returns its content.

    Without a pool a random half of the reference is set apart for toys. A weighted pool is unweighted first; data have
    no weights. Without `expected` it is the sum of the weights of the whole reference. With a `cluster` its workers
    throw the toys, to the same numbers.
    """
    check_cluster(cluster, workers)
    settings = load_config(config).search if config else SearchConfig()
    (x, weights), (d, d_weights) = _sample("reference", reference), _sample("data", data)
    if np.ptp(d_weights) > 0:
        raise WeightError(f"{data} has unequal weights: data are counted, every event once; drop the array 'weights'")
    total, display = float(np.sum(weights)), Display(quiet)
    x, weights, p = _with_pool(x, weights, pool, seed, display)
    test = kernel_test(settings, small_seed(seed, "search"))
    with toy_workers(cluster, workers) as runner:
        test.fit(x, weights=weights, expected=total if expected is None else expected)
        with display.bar("toys") as update:
            calibrate(
                test,
                settings,
                p,
                d,
                small_seed(seed, "toys"),
                n_toys=settings.n_toys if toys is None else toys,
                reference=settings.toy_reference if "toy_reference" in settings.model_fields_set else "auto",
                progress=lambda done, count: update(done, count, ""),
                runner=runner,
            )
    content: dict[str, Any] = json.loads(test.search(d).to_json())
    write_json(out, content)
    return content


def _with_pool(
    x: FloatArray, weights: FloatArray, pool: Path | None, seed: int, display: Display
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return reference, its weights, and a pool without weights: that of a file, else half of the reference."""
    if pool is not None:
        p, p_weights = _sample("pool", pool)
    else:
        half = generator(seed, "search", "split").permutation(len(x)) < len(x) // 2
        p, p_weights, x, weights = x[half], weights[half], x[~half], weights[~half]
    kept = unweighted(p, p_weights, generator(seed, "search", "unweight"))
    if len(kept) < len(p):
        display.say(f"pool: {len(kept)} of {len(p)} weighted events are left after unweighting")
    return x, weights, kept


def unweighted(x: FloatArray, weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Events (n, d) kept with a probability in proportion to their weight: a sample of the weighted distribution."""
    kept: FloatArray = x[rng.random(len(x)) * weights.max() < weights]
    return kept


def _sample(name: str, path: Path) -> tuple[FloatArray, FloatArray]:
    """The events (n, d) of a file and their weights (n,), ones unless it has some; both checked."""
    arrays = read_arrays(path, needs=("x",))
    x = as_events(name, arrays["x"])
    return x, as_weights(f"the weights of the {name}", arrays.get("weights"), len(x))
