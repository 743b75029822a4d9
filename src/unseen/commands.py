"""What the array commands do, without the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.arrays import FloatArray, read_arrays, write_arrays
from unseen.config import load_search
from unseen.embed import Model, embed_on, load_trained
from unseen.errors import ConfigError, NotEnoughEventsError, WeightError
from unseen.events import read
from unseen.events.atomic import write_json
from unseen.progress import Display
from unseen.ratios import auxiliary_values, ratios_of
from unseen.search import RatioCoefficients
from unseen.search.toys import not_given
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
    ratio: Path | None = None,
    auxiliary: Mapping[str, float] | None = None,
    accept_failed_closure: bool = False,
) -> dict[str, Any]:
    """Test the arrays `x` of .npz files and write the result as JSON; returns its content.

    Without a pool a random half of the reference is set apart for toys. A weighted pool is unweighted first; data have
    no weights. Without `expected` it is the sum of the weights of the whole reference. With a `cluster` its workers
    throw the toys, to the same numbers.

    `ratio` holds what nuisance parameters do to the events (`unseen.ratios.ratios_of`): they are profiled, with the
    `auxiliary` measurements of those named. One whose closure test failed is a ClosureError unless
    `accept_failed_closure`.
    """
    check_cluster(cluster, workers)
    settings = load_search(config)
    settings.check_profiled(ratio is not None)
    samples = _samples(reference, data, pool, ratio)
    r, d, given = samples["reference"], samples["data"], samples["data"].ratio
    if np.ptp(d.weights) > 0:
        raise WeightError(f"{data} has unequal weights: data are counted, every event once; drop the array 'weights'")
    if auxiliary is not None and given is None:
        raise ConfigError("auxiliary measurements belong to nuisance parameters: give their --ratio too")
    measured = None if given is None else auxiliary_values(given, auxiliary)
    total, display = float(np.sum(r.weights)), Display(quiet)
    r, p = _with_pool(r, samples.get("pool"), seed, display)
    test = kernel_test(settings, small_seed(seed, "search"))
    with toy_workers(cluster, workers) as runner:
        test.fit(
            r.x,
            weights=r.weights,
            expected=total if expected is None else expected,
            ratio=r.ratio,
            accept_failed_closure=accept_failed_closure,
        )
        assumed = expected is None and test.normalisation != "free"  # toys of shape alone have the data's own number
        with display.bar("toys") as update, _adding(not_given(total, assumed)):
            calibrate(
                test,
                settings,
                p.x,
                d.x,
                small_seed(seed, "toys"),
                n_toys=settings.n_toys if toys is None else toys,
                reference=settings.toy_reference if "toy_reference" in settings.model_fields_set else "auto",
                progress=lambda done, count: update(done, count, ""),
                runner=runner,
                ratio=p.ratio,
            )
    content: dict[str, Any] = json.loads(test.search(d.x, ratio=given, auxiliary=measured).to_json())
    write_json(out, content)
    return content


@contextmanager
def _adding(note: str) -> Iterator[None]:
    """Put `note` behind the message of events that do not suffice."""
    try:
        yield
    except NotEnoughEventsError as error:
        raise NotEnoughEventsError(f"{error}{note}") from error


@dataclass(frozen=True)
class _Sample:
    """Events x (n, d), their weights (n,), and the coefficients of their nuisance parameters, if there are any."""

    x: FloatArray
    weights: FloatArray
    ratio: RatioCoefficients | None = None

    def take(self, rows: NDArray[np.int64]) -> _Sample:
        return _Sample(self.x[rows], self.weights[rows], None if self.ratio is None else self.ratio.take(rows))


def _samples(reference: Path, data: Path, pool: Path | None, ratio: Path | None) -> dict[str, _Sample]:
    """The samples of a search by name, with the coefficients that `ratio` has for them."""
    paths = {"reference": reference, "data": data} | ({} if pool is None else {"pool": pool})
    samples = {name: _sample(name, path) for name, path in paths.items()}
    if ratio is None:
        return samples
    found = ratios_of(ratio, {name: sample.x for name, sample in samples.items()})
    return {name: replace(sample, ratio=found[name]) for name, sample in samples.items()}


def _with_pool(reference: _Sample, pool: _Sample | None, seed: int, display: Display) -> tuple[_Sample, _Sample]:
    """Return the reference, and a pool without weights: that of a file, else half of the reference."""
    if pool is None:
        half = generator(seed, "search", "split").permutation(len(reference.x)) < len(reference.x) // 2
        reference, pool = reference.take(np.flatnonzero(~half)), reference.take(np.flatnonzero(half))
    kept = pool.take(unweighted(np.arange(len(pool.x)), pool.weights, generator(seed, "search", "unweight")))
    if len(kept.x) < len(pool.x):
        display.say(f"pool: {len(kept.x)} of {len(pool.x)} weighted events are left after unweighting")
    return reference, kept


def unweighted(x: FloatArray, weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Events (n, d) kept with a probability in proportion to their weight: a sample of the weighted distribution."""
    kept: FloatArray = x[rng.random(len(x)) * weights.max() < weights]
    return kept


def _sample(name: str, path: Path) -> _Sample:
    """The events of a file and their weights, ones unless it has some; both checked."""
    arrays = read_arrays(path, needs=("x",))
    x = as_events(name, arrays["x"])
    return _Sample(x, as_weights(f"the weights of the {name}", arrays.get("weights"), len(x)))
