"""The stages of a run in order: simulate -> train -> embed -> search -> report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unseen.arrays import FloatArray, read_arrays, write_arrays
from unseen.config import Config, load_config, parse_config, to_yaml
from unseen.context import RunContext
from unseen.embed import Ensemble, Model, load_trained, train
from unseen.embed.ensemble import ENSEMBLE, plan_members
from unseen.embed.probes import evaluate_arrays
from unseen.errors import ConfigError, NotEnoughEventsError, did_you_mean
from unseen.events import Events
from unseen.events.atomic import write_json, write_whole
from unseen.progress import Display
from unseen.report import ReportInputs, summary_figure, write_report
from unseen.search import KernelTest, Null, Runner, SearchResult
from unseen.searching import calibrate, kernel_test, other_normalisation, toy_workers
from unseen.seeds import small_seed
from unseen.sources import check_config, files_hash, label_of, simulated, simulation_config
from unseen.stages import digest, locked
from unseen.workers import check_cluster

__all__ = ["STAGES", "run"]

RESULT = "result.json"
# A class with fewer events than this is left out of the probe: a third of it is for scoring.
PROBE_MINIMUM = 10
PROBE_MOST = 200_000  # events of a probe; the search for neighbours grows faster than their number
POOLS = ("settings", "reference", "toys", "data")


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
    settings = simulation_config(run.config).model_dump(mode="json")
    run.stage("simulate", settings, work, ("train/sample.json", "test/sample.json"), keep=True)


def train_stage(run: RunContext) -> None:
    """Learn the embedding from the training events."""
    config = run.config

    def work(folder: Path) -> None:
        with run.display.bar("training") as update:

            def show(done: int, total: int, losses: Mapping[str, float]) -> None:
                update(done, total, f"loss {losses['train_loss']:.3f}")

            seed = small_seed(config.seed, "train")
            train(run.pools[0], config.train, folder, seed=seed, progress=show, say=run.display.say)

    inputs = config.train.model_dump(mode="json") | {
        "pools": config.pools.model_dump(mode="json"),
        "select": config.select,
    }
    run.stage("train", inputs, work, _trained_files(config))


def _trained_files(config: Config) -> tuple[str, ...]:
    """What the training writes: a model, or several in folders."""
    names = ("model.safetensors", "model.json", "history.json")
    if not config.train.several:
        return names
    members = plan_members(config.train.folds, config.train.ensemble)
    return (ENSEMBLE, *(f"{member.name}/{name}" for member in members for name in names))


def embed_stage(run: RunContext) -> None:
    """Embed every pool, and probe how well the embedding tells the processes apart."""

    def work(folder: Path) -> None:
        model = load_trained(run.out / "train")
        for name in POOLS:
            write_arrays(folder / f"{name}.npz", x=model.embed(run.pools[1][name]))
        probe = _probe(model, Events.concatenate([run.pools[1]["reference"], run.pools[1]["toys"]]), run.config.seed)
        write_json(folder / "probe.json", probe)

    inputs = {"data": run.config.data.model_dump(mode="json")}
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


def search_stage(run: RunContext) -> None:
    """Test the data, with the normalisation asked for and with the other one beside it."""
    config = run.config.search
    other = other_normalisation(config)

    def work(folder: Path) -> None:
        z = {name: read_arrays(run.out / "embed" / f"{name}.npz")["x"] for name in POOLS}
        with toy_workers(run.cluster, run.workers) as runner:
            beside = _search_beside(run, z, other, runner)
            test, result, null = _search(run, z, config.normalisation, config.n_toys, runner)
        test.save(folder / "test.npz")
        combined, null_combined = null.combined(np.array(result.t))
        write_arrays(
            folder / "null.npz",
            t=null.t,
            combined=combined,
            null_combined=null_combined,
            f_reference=test.score(z["reference"]),
            f_data=test.score(z["data"]),
        )
        write_json(folder / RESULT, json.loads(result.to_json()))
        write_json(folder / "beside.json", beside)

    inputs = {"search": config.model_dump(mode="json"), "expected": run.config.pools.expected}
    run.stage("search", inputs, work, (RESULT, "beside.json", "null.npz", "test.npz"))
    write_json(run.out / RESULT, result_content(run))


def _search_beside(
    run: RunContext, z: Mapping[str, FloatArray], normalisation: str, runner: Runner | None
) -> dict[str, Any] | None:
    """The search with the other normalisation; None where the pool cannot supply as many data events as there are."""
    try:
        result = _search(run, z, normalisation, run.config.search.n_toys_beside, runner)[1]
    except NotEnoughEventsError as error:
        run.display.say(f"no search with {normalisation} normalisation: {error}")
        return None
    content: dict[str, Any] = json.loads(result.to_json())
    return content


def _search(
    run: RunContext, z: Mapping[str, FloatArray], normalisation: str, n_toys: int, runner: Runner | None
) -> tuple[KernelTest, SearchResult, Null]:
    config, seed = run.config.search, run.config.seed
    test = kernel_test(config, small_seed(seed, "search"), normalisation, _embeddings(run.config))
    test.fit(z["reference"], expected=run.config.pools.expected, settings=z["settings"])
    with run.display.bar(f"toys ({normalisation} normalisation)") as update:
        null = calibrate(
            test,
            config,
            z["toys"],
            z["data"],
            small_seed(seed, "toys"),
            n_toys=n_toys,
            reference=config.toy_reference,
            progress=lambda done, total: update(done, total, ""),
            runner=runner,
        )
    return test, test.search(z["data"]), null


def _embeddings(config: Config) -> tuple[int, ...] | None:
    """Columns of every embedding where the training gave several, which share one p-value."""
    train = config.train
    return (train.encoder.dim,) * len(plan_members(train.folds, train.ensemble)) if train.several else None


def result_content(run: RunContext) -> dict[str, Any]:
    """`result.json`: the search's result, the other normalisation beside it, and the hidden signal if there is one."""
    result: dict[str, Any] = json.loads((run.out / "search" / RESULT).read_text(encoding="utf-8"))
    beside = json.loads((run.out / "search" / "beside.json").read_text(encoding="utf-8"))
    signal = run.config.data.signal
    return result | {
        "beside": beside,
        "hidden_signal": signal.model_dump() if signal else None,
        "probe": json.loads((run.out / "embed" / "probe.json").read_text(encoding="utf-8")),
    }


def report_stage(run: RunContext) -> None:
    """Write the page, and its summary as one picture."""

    def work(folder: Path) -> None:
        inputs = report_inputs(run)
        write_report(inputs, folder / "report.html")
        summary_figure(inputs, folder / "summary.png")

    run.stage("report", {"name": run.config.name}, work, ("report.html", "summary.png"))
    page = run.out / "report.html"
    with write_whole(page) as temporary:
        shutil.copyfile(run.out / "report" / "report.html", temporary)


def report_inputs(run: RunContext) -> ReportInputs:
    """Collect what the page shows from the files of the earlier stages."""
    arrays = read_arrays(run.out / "search" / "null.npz")
    z = {name: read_arrays(run.out / "embed" / f"{name}.npz")["x"] for name in ("reference", "data")}
    reference, data = run.pools[1]["reference"], run.pools[1]["data"]
    signal = run.config.data.signal
    *_, losses = _trained_files(run.config)  # of several models, the last one's
    history = json.loads((run.out / "train" / losses).read_text(encoding="utf-8"))
    weight = reference.weight * (run.config.pools.expected / reference.weight.sum())
    return ReportInputs(
        title=run.config.name,
        result=result_content(run),
        null_t=arrays["t"],
        null_combined=arrays["null_combined"],
        combined=float(arrays["combined"]),
        z_reference=z["reference"],
        z_data=z["data"],
        reference=reference,
        data=data,
        weight_reference=weight,
        f_reference=arrays["f_reference"],
        f_data=arrays["f_data"],
        signal_label=label_of(run.config, signal.process) if signal else None,
        history={name: [epoch[name] for epoch in history] for name in history[0]},
        probe=json.loads((run.out / "embed" / "probe.json").read_text(encoding="utf-8")),
        config_text=to_yaml(run.config),
        provenance=run.provenance(),
        durations=run.seconds,
    )


# Extending: one function and one line here; the order is the flow of the data.
STAGES: dict[str, Callable[[RunContext], None]] = {
    "simulate": simulate_stage,
    "train": train_stage,
    "embed": embed_stage,
    "search": search_stage,
    "report": report_stage,
}
