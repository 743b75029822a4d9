"""The stage of a run that learns what its nuisance parameters do to the embedded events, and tests what it learned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseen.arrays import FloatArray, read_arrays
from unseen.config_systematics import RunSystematics
from unseen.context import RunContext
from unseen.embed import Ensemble, Model, load_trained
from unseen.events import Events
from unseen.events.atomic import write_json
from unseen.events.selection import remove_objects
from unseen.progress import Update
from unseen.search import RatioCoefficients
from unseen.search.profile_trust import Trust
from unseen.seeds import generator, small_seed
from unseen.sources import RATIO
from unseen.stored import passing
from unseen.study.covariance.closure import closure, closure_frame, closure_record
from unseen.study.covariance.moved import Moved, nu_grid
from unseen.systematics import DensityRatio, NuisanceSet, fit_kernel_ratio
from unseen.systematics.ratio import propose, ratio_samples

__all__ = ["PriorUnits", "profiled_ratio", "systematics_stage"]

FOLDER, DETAILS = "ratio", "systematics.json"
OUTPUTS = (f"{FOLDER}/ratio.json", f"{FOLDER}/ratio.safetensors", DETAILS)
AXES = 4  # values of nu along every axis, and twice as many combinations as there are cross terms
CLOSURE_CENTERS = 200


def systematics_stage(run: RunContext) -> None:
    """Learn the density ratio, test its closure on events that it has not seen, and keep both."""
    section = run.config.systematics
    if section is None:
        return

    def work(folder: Path) -> None:
        model = load_trained(run.out / "train")
        fit, nominal, moved = _parts(run.pools[1][RATIO], section.ratio.held_out, run.config.seed)
        ratio = _learn(run, section, model, fit)
        tested = _test(run, section, model, ratio, nominal, moved)
        tested.save(folder / FOLDER)
        write_json(folder / DETAILS, _details(section, tested, {"fit": fit, "nominal": nominal, "moved": moved}))

    inputs = {
        "systematics": section.model_dump(mode="json"),
        "pools": run.config.pools.model_dump(mode="json"),
        "penalty": run.config.search.penalty,
    }
    run.stage("systematics", inputs, work, OUTPUTS)


def _parts(events: Events, held_out: float, seed: int) -> tuple[Events, Events, Events]:
    """Events to fit, and held-out ones: half of them stay nominal, half are moved. Copies of an event stay together."""
    ids = events.record.get("source", np.arange(len(events)))
    _, event = np.unique(ids, return_inverse=True)
    drawn = generator(seed, "systematics", "parts").random(int(event.max()) + 1)[event]
    return events[drawn >= held_out], events[drawn < held_out / 2], events[(drawn >= held_out / 2) & (drawn < held_out)]


def _learn(run: RunContext, section: RunSystematics, model: Model | Ensemble, events: Events) -> DensityRatio:
    nuisances, settings, seed = section.nuisance_set, section.ratio, run.config.seed
    k = len(nuisances)
    n = settings.n_nu or AXES * k + k * (k + 1)
    nus = propose(k, n, generator(seed, "systematics", "nu"), width=settings.width) * _widths(nuisances)
    with run.display.bar("distorting and embedding") as update:
        samples = ratio_samples(
            events, nuisances, model.embed, nus, seed=small_seed(seed, "systematics"), progress=_shown(update, n)
        )
    run.display.say(f"learning the density ratio of {', '.join(nuisances.names)} at {n} values")
    return fit_kernel_ratio(
        samples,
        nuisances.names,
        n_centers=settings.n_centers,
        rank=settings.rank,
        widths=settings.widths,
        penalty=settings.penalty,
        seed=small_seed(seed, "systematics", "fit"),
    )


def _shown(update: Update, total: int) -> Callable[[Iterable[int]], Iterator[int]]:
    def wrapped(numbers: Iterable[int]) -> Iterator[int]:
        for done, number in enumerate(numbers):
            update(done, total, "")
            yield number

    return wrapped


def _test(
    run: RunContext,
    section: RunSystematics,
    model: Model | Ensemble,
    ratio: DensityRatio,
    nominal: Events,
    moved: Events,
) -> DensityRatio:
    """The ratio with what the project's own test says of it, for as many data events as the search expects."""
    config, nuisances = run.config, section.nuisance_set
    seed = small_seed(config.seed, "systematics", "closure")
    there = passing(nominal)
    frame = closure_frame(
        _embedded(model, nominal, there)[there],
        ratio,
        config.pools.expected,
        weights=nominal.weight[there],
        settings=read_arrays(run.out / "embed" / "settings.npz")["x"],
        n_reference=config.pools.reference,
        n_centers=CLOSURE_CENTERS,
        penalty=config.search.penalty,
        seed=seed,
    )
    grid = [nu * _widths(nuisances) + 0.0 for nu in nu_grid(len(nuisances), seed=seed)]
    points = []
    with run.display.bar("closure") as update:
        for i, nu in enumerate(grid):
            update(i, len(grid), "")
            points.append(closure(frame, _moved(model, nuisances, moved, nu, small_seed(seed, i))))
    record = replace(closure_record(points, config.pools.expected), limit=section.closure.limit)
    run.display.say(record.summary())
    return ratio.with_closure(record)


def _moved(model: Model | Ensemble, nuisances: NuisanceSet, events: Events, nu: FloatArray, seed: int) -> Moved:
    distorted = nuisances.distort(events, nu, seed=seed)
    there = passing(distorted)
    return Moved(nu, _embedded(model, distorted, there), distorted.weight * there, events.weight * passing(events))


def _embedded(model: Model | Ensemble, events: Events, rows: NDArray[np.bool_]) -> FloatArray:
    """z (n, d) of the events `rows`, zeros for the others."""
    cleaned = remove_objects(events[rows], events.schema.selection.objects)
    z = model.embed(cleaned).astype(np.float64)
    found = np.zeros((len(events), z.shape[1]))
    found[rows] = z
    return found


def _details(section: RunSystematics, ratio: DensityRatio, parts: dict[str, Events]) -> dict[str, Any]:
    """What a reader wants to know of the ratio, beside what it says of itself."""
    return {
        "nuisances": section.nuisance_set.table(),
        "limits": {name: list(pair) for name, pair in zip(ratio.names, ratio.limits.tolist(), strict=True)},
        "fit": dict(ratio.report),
        "closure": None if ratio.closure is None else ratio.closure.to_json(),
        "events": {name: {"stored": len(part), "selected": int(passing(part).sum())} for name, part in parts.items()},
    }


def _widths(nuisances: NuisanceSet) -> FloatArray:
    return np.array([each.prior.width for each in nuisances.nuisances])


@dataclass(frozen=True, eq=False)
class PriorUnits:
    """A ratio in units in which every prior has width one, as the search has it: nu / width."""

    ratio: DensityRatio
    width: FloatArray

    def __call__(self, z: FloatArray) -> RatioCoefficients:
        """Coefficients of events z (n, d)."""
        linear, quadratic = self.ratio.delta(z)
        limits = self.ratio.limits / self.width[:, None]
        return RatioCoefficients(
            linear * self.width,
            quadratic * np.outer(self.width, self.width),
            self.ratio.names,
            trust=Trust.checked(limits, self.ratio.closure),
        )


def profiled_ratio(run: RunContext) -> tuple[PriorUnits, FloatArray] | None:
    """The run's ratio as a function of events for the search, and its auxiliary measurements, the means of the priors.

    None in a run without systematics.
    """
    if run.config.systematics is None:
        return None
    nuisances = run.config.systematics.nuisance_set
    means = np.array([each.prior.mean for each in nuisances.nuisances])
    width = _widths(nuisances)
    return PriorUnits(DensityRatio.load(run.out / "systematics" / FOLDER), width), means / width
