"""The stages of a run in order: simulate -> train (-> finetune) -> embed -> systematics -> search -> report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unseen.arrays import write_arrays
from unseen.config import Config, load_config, parse_config, to_yaml
from unseen.context import RunContext
from unseen.dealing import training_inputs
from unseen.embed import Ensemble, Model, load_trained, train
from unseen.embed.probes import evaluate_arrays
from unseen.errors import ConfigError, did_you_mean
from unseen.events import Events
from unseen.events.atomic import write_json, write_whole
from unseen.finetune_stage import check_tuning_events, finetune_stage
from unseen.progress import Display
from unseen.report_stage import report_stage, trained_files
from unseen.search import SearchResult
from unseen.search_stage import POOLS, RESULT, search_stage
from unseen.seeds import small_seed
from unseen.sources import check_config, files_hash, simulated, simulation_config
from unseen.stages import digest, locked
from unseen.systematics_stage import systematics_stage
from unseen.workers import check_cluster

__all__ = ["STAGES", "run"]

# A class with fewer events than this is left out of the probe: a third of it is for scoring.
PROBE_MINIMUM = 10
PROBE_MOST = 200_000  # events of a probe; the search for neighbours grows faster than their number


def run(
    config: Config | str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    workers: int | None = None,
    quiet: bool = True,
    until: str = "report",
    cluster: str | None = None,
) -> SearchResult | None:
    """Run the whole pipeline, or the part up to `until`, and return the result (None before the search).

    `config` is a YAML file, a mapping or a Config; `out` and `seed` override it. Stages whose inputs are unchanged are
    skipped; a run that was killed continues where it stopped and gives the same numbers. The run folder then holds
    config.yaml, provenance.json, one folder for each stage, result.json and report.html. `workers` and `cluster` say
    how many processes simulate, and where, as in `unseen.workers.workers`; with a `cluster` its workers throw the
    search's toys, too, to the same numbers.
    """
    settings = _resolve(config, out, seed)
    if until not in STAGES:
        raise ConfigError(f"no stage '{until}'{did_you_mean(until, STAGES)}")
    check_cluster(cluster, workers)
    check_config(settings, pools=until != "simulate")
    with locked(settings.out):
        with write_whole(settings.out / "config.yaml") as temporary:
            temporary.write_text(to_yaml(settings), encoding="utf-8")
        context = RunContext(settings, workers, Display(quiet), cluster)
        for name in tuple(STAGES)[: tuple(STAGES).index(until) + 1]:
            STAGES[name](context)
            write_json(settings.out / "provenance.json", context.provenance())
    if until not in ("search", "report"):
        return None
    return SearchResult.from_json((settings.out / "search" / RESULT).read_text(encoding="utf-8"))


def _resolve(config: Config | str | Path | Mapping[str, Any], out: str | Path | None, seed: int | None) -> Config:
    if isinstance(config, str | Path):
        config = load_config(config)
    elif not isinstance(config, Config):
        config = parse_config(dict(config))
    changes = {key: value for key, value in (("out", out), ("seed", seed)) if value is not None}
    return parse_config(config.model_dump(by_alias=True) | changes, "command line") if changes else config


def simulate_stage(run: RunContext) -> None:
    """Make the events, or note the hashes of the files that hold them."""
    run.hashes["files"] = digest(files_hash(run.config))
    if run.config.files is not None:
        return

    def work(folder: Path) -> None:
        simulated(run.config, folder, run.workers, run.display, run.cluster)

    # The samples check and continue their own shards. The number of threads does not matter to them.
    settings = simulation_config(run.config).described()
    run.stage("simulate", settings, work, ("train/sample.json", "test/sample.json"), keep=True)


def train_stage(run: RunContext) -> None:
    """Learn the embedding from the training events."""
    config = run.config

    def work(folder: Path) -> None:
        check_tuning_events(run)
        with run.display.bar("training") as update:

            def show(done: int, total: int, losses: Mapping[str, float]) -> None:
                update(done, total, f"loss {losses['train_loss']:.3f}")

            seed = small_seed(config.seed, "train")
            train(run.pools[0], config.train, folder, seed=seed, progress=show, say=run.display.say)

    inputs = config.train.model_dump(mode="json") | training_inputs(config)
    run.stage("train", inputs, work, trained_files(config))


def embed_stage(run: RunContext) -> None:
    """Embed every pool, and probe how well the embedding tells the processes apart."""

    def work(folder: Path) -> None:
        model = load_trained(run.model)
        for name in POOLS:
            write_arrays(folder / f"{name}.npz", x=model.embed(run.pools[1][name]))
        probe = _probe(model, Events.concatenate([run.pools[1]["reference"], run.pools[1]["toys"]]), run.config.seed)
        write_json(folder / "probe.json", probe)

    moved = run.config.systematics if run.config.data.nu else None  # pseudo-data at nu
    inputs = {
        "data": run.config.data.model_dump(mode="json", exclude={"auxiliary"}),
        "nuisances": None if moved is None else moved.model_dump(mode="json", include={"nuisances"}),
    }
    run.stage("embed", inputs, work, (*(f"{name}.npz" for name in POOLS), "probe.json"))


def _probe(model: Model | Ensemble, events: Events, seed: int) -> dict[str, Any]:
    """Scores of the linear probe, of nearest neighbours, and measures, over the classes with enough events."""
    events = events[:PROBE_MOST]  # pools are shuffled
    counts = np.bincount(events.label, minlength=len(events.label_names))
    scored = events.of(*(name for name, n in zip(events.label_names, counts, strict=True) if n >= PROBE_MINIMUM))
    names = [name for i, name in enumerate(scored.label_names) if counts[i] >= PROBE_MINIMUM]
    target = np.searchsorted(np.flatnonzero(counts >= PROBE_MINIMUM), scored.label)
    z = model.embed(scored)
    found = evaluate_arrays(z, target, names, probes=("linear", "knn"), seed=small_seed(seed, "probe"))
    scores = {name: result.to_json() for name, result in found.probes.items()}
    return scores["linear"] | {"knn": scores["knn"], "measures": found.measures}


# Extending: one function and one line here; the order is the flow of the data.
STAGES: dict[str, Callable[[RunContext], None]] = {
    "simulate": simulate_stage,
    "train": train_stage,
    "finetune": finetune_stage,
    "embed": embed_stage,
    "systematics": systematics_stage,
    "search": search_stage,
    "report": report_stage,
}
