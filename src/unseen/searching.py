"""From the configuration of a search to a test that is ready, the same for runs and for plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from unseen.arrays import FloatArray
from unseen.config import Config, SearchConfig
from unseen.embed.ensemble import plan_members
from unseen.search import KernelTest, Null, RatioCoefficients, Runner
from unseen.workers import workers

__all__ = ["calibrate", "kernel_test", "linear_test", "other_normalisation", "own_columns", "toy_workers"]


def kernel_test(
    config: SearchConfig, seed: int, normalisation: str | None = None, embeddings: Sequence[int] | None = None
) -> KernelTest:
    """The test that `config` describes, with another normalisation if one is given.

    `embeddings`: columns of each of several embeddings side by side; None for those that `config` names.
    """
    return KernelTest(
        widths=config.widths,
        n_centers=config.n_centers,
        penalty=config.penalty,
        normalisation=normalisation or config.normalisation,
        seed=seed,
        statistic=config.statistic,
        combination=config.combination,
        memory_budget=config.memory_budget,
        precision=config.precision,
        device=config.device,
        embeddings=embeddings or config.embeddings,
        rank_tolerance=config.rank_tolerance,
    )


def linear_test(config: Config, seed: int) -> KernelTest:
    """The linear statistic of a run's test with a known yield, not fitted: what a closure is measured with."""
    linear = config.search.model_copy(update={"statistic": "linear"})
    return kernel_test(linear, seed, "known", own_columns(config))


def own_columns(config: Config) -> tuple[int, ...] | None:
    """Columns of every embedding where a run's training gave several, which share one p-value."""
    train = config.train
    return (train.encoder.dim,) * len(plan_members(train.folds, train.ensemble)) if train.several else None


@contextmanager
def toy_workers(cluster: str | None, count: int | None) -> Iterator[Runner | None]:
    """Open the workers that throw a search's toys; None, for the threads of this process, without a `cluster`.

    Opened before a test is fitted, so that a cluster that cannot be reached is told at once. Errors: as
    `unseen.workers.workers`.
    """
    if cluster is None:
        yield None
        return
    with workers(cluster, count) as pool:
        yield pool


def calibrate(
    test: KernelTest,
    config: SearchConfig,
    pool: FloatArray,
    data: FloatArray,
    seed: int,
    *,
    n_toys: int | None,
    reference: str,
    progress: Callable[[int, int], None],
    runner: Runner | None = None,
    ratio: RatioCoefficients | None = None,
    weights: FloatArray | None = None,
) -> Null:
    """Calibrate as `config` says. `n_toys` counts refits; other calibrations take theirs from the search's defaults.

    A test of shape alone throws toys with as many events as the data, whatever was expected. Toys are thrown by
    `runner`, or by the threads of this process, with the same numbers. `ratio`: the pool's coefficients where nuisance
    parameters are profiled and the test was not fitted with a function. `weights`: those of the pool.
    """
    permuted = config.calibration == "permutation"
    refits = permuted or (config.statistic != "linear" and config.calibration != "asymptotic")
    return test.calibrate(
        data if permuted else pool,
        method=config.calibration,
        n_toys=n_toys if refits or "n_toys" in config.model_fields_set else None,
        seed=seed,
        reference=reference,
        progress=progress,
        n_data=len(data) if test.normalisation == "free" else None,
        runner=runner,
        ratio=ratio,
        weights=weights,
    )


def other_normalisation(config: SearchConfig) -> str:
    """The normalisation that a result is quoted with beside its own: shape only, or the yield for a test of shape."""
    return "known" if config.normalisation == "free" else "free"
