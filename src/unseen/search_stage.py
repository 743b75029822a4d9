"""The stage of a run that tests the data, with other assumptions beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unseen.arrays import FloatArray, read_arrays, write_arrays
from unseen.context import RunContext
from unseen.errors import NotEnoughEventsError, UnseenError
from unseen.events.atomic import write_json
from unseen.search import KernelTest, Null, Runner, SearchResult
from unseen.searching import calibrate, kernel_test, other_normalisation, own_columns, toy_workers
from unseen.seeds import small_seed
from unseen.study.covariance.impact import Held, hold
from unseen.study.covariance.moved import Delta
from unseen.systematics import DensityRatio
from unseen.systematics_stage import profiled_ratio

__all__ = ["IMPACT", "POOLS", "RESULT", "result_content", "search_stage"]

RESULT = "result.json"
POOLS = ("settings", "reference", "toys", "data")
IMPACT = "impact.json"
BESIDE = {"beside": "beside.json", "ignored": "ignored.json"}


@dataclass(frozen=True)
class _Assumed:
    """What one search of a run takes for granted, and its toys; without a `ratio` nothing but the yield is profiled."""

    normalisation: str
    n_toys: int
    ratio: Delta | None = None
    auxiliary: FloatArray | None = None
    name: str = ""
    held: Held | None = None


def search_stage(run: RunContext) -> None:
    """Test the data as asked for; beside it with the other normalisation, and with the systematics ignored."""
    config = run.config.search

    def work(folder: Path) -> None:
        z = {name: read_arrays(run.out / "embed" / f"{name}.npz")["x"] for name in POOLS}
        ratio, auxiliary = profiled_ratio(run) or (None, None)
        normalisation, beside = config.normalisation, config.n_toys_beside
        other = other_normalisation(config)
        searches = {"beside": _Assumed(other, beside, ratio, auxiliary, f"{other} normalisation")}
        if ratio is not None:
            searches["ignored"] = _Assumed(normalisation, beside, name="systematics ignored")
        with toy_workers(run.cluster, run.workers) as runner:
            found = {name: _search_beside(run, z, assumed, runner) for name, assumed in searches.items()}
            main = _Assumed(normalisation, config.n_toys, ratio, auxiliary, f"{normalisation} normalisation")
            test, result, null = _search(run, z, main, runner)
            impact = _impact(run, z, ratio, auxiliary, runner)
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
        for name, content in found.items():
            write_json(folder / BESIDE[name], content)
        if run.config.systematics is not None:
            write_json(folder / IMPACT, impact)

    inputs: dict[str, Any] = {"search": config.model_dump(mode="json"), "expected": run.config.pools.expected}
    files = [BESIDE["beside"]]
    if run.config.systematics is not None:
        inputs["systematics"] = run.config.systematics.model_dump(mode="json")
        inputs["auxiliary"] = run.config.data.auxiliary
        files += [BESIDE["ignored"], IMPACT]
    run.stage("search", inputs, work, (RESULT, *files, "null.npz", "test.npz"))
    write_json(run.out / RESULT, result_content(run))


def _search_beside(
    run: RunContext, z: Mapping[str, FloatArray], assumed: _Assumed, runner: Runner | None
) -> dict[str, Any] | None:
    """A search with other assumptions; None where the pool cannot supply as many data events as there are."""
    try:
        result = _search(run, z, assumed, runner)[1]
    except NotEnoughEventsError as error:
        run.display.say(f"no search with {assumed.name}: {error}")
        return None
    content: dict[str, Any] = json.loads(result.to_json())
    return content


def _search(
    run: RunContext, z: Mapping[str, FloatArray], assumed: _Assumed, runner: Runner | None
) -> tuple[KernelTest, SearchResult, Null]:
    config, seed, systematics, held = run.config.search, run.config.seed, run.config.systematics, assumed.held
    weights = held.pool_weights if held else None
    test = kernel_test(config, small_seed(seed, "search"), assumed.normalisation, own_columns(run.config))
    test.fit(
        z["reference"],
        held.weights if held else None,
        expected=run.config.pools.expected * (held.rate if held else 1.0),
        settings=z["settings"],
        ratio=assumed.ratio,
        accept_failed_closure=systematics is not None and systematics.closure.accept_failed,
    )
    with run.display.bar(f"toys ({assumed.name})") as update:
        null = calibrate(
            test,
            config,
            z["toys"],
            z["data"],
            small_seed(seed, "toys"),
            n_toys=assumed.n_toys,
            reference="auto" if weights is not None else config.toy_reference,
            weights=weights,
            progress=lambda done, total: update(done, total, ""),
            runner=runner,
        )
    return test, test.search(z["data"], auxiliary=assumed.auxiliary), null


def _impact(
    run: RunContext,
    z: Mapping[str, FloatArray],
    ratio: DensityRatio | None,
    auxiliary: FloatArray | None,
    runner: Runner | None,
) -> list[dict[str, Any]]:
    """The search with each nuisance parameter frozen in turn, by falling change of Z, after the one with all profiled.

    All with the same few toys; empty where nobody asked, or where one of them failed.
    """
    config, systematics = run.config.search, run.config.systematics
    if ratio is None or auxiliary is None or systematics is None or not systematics.ranks_impact:
        return []
    n = config.n_toys_beside
    rows: list[dict[str, Any]] = []
    try:
        full = _search(run, z, _Assumed(config.normalisation, n, ratio, auxiliary, "all profiled"), runner)[1]
        for name, measured in zip(ratio.names, auxiliary.tolist(), strict=True):
            held = hold(ratio, z["reference"], z["toys"], {name: measured})
            left = auxiliary[list(held.left)] if held.left else None
            frozen = _Assumed(config.normalisation, n, held.ratio, left, f"{name} frozen", held)
            found = _search(run, z, frozen, runner)[1]
            rows.append(_impact_row(name, found, full, n))
    except UnseenError as error:  # the search itself stands without it
        run.display.say(f"no search with single nuisance parameters frozen: {error}")
        return []
    rows.sort(key=lambda row: -abs(row["dz"]))
    return [_impact_row("", full, full, n), *rows]


def _impact_row(name: str, found: SearchResult, full: SearchResult, n_toys: int) -> dict[str, Any]:
    numbers = {"p_value": found.p_value, "z": found.z, "z_interval": found.z_interval, "dz": found.z - full.z}
    return {"name": name, "n_toys": n_toys, **numbers}


def result_content(run: RunContext) -> dict[str, Any]:
    """`result.json`: the search's result, those with other assumptions, and the truth about pseudo-data."""
    result: dict[str, Any] = json.loads((run.out / "search" / RESULT).read_text(encoding="utf-8"))
    signal, files = run.config.data.signal, [name for name in BESIDE if name == "beside" or run.config.systematics]
    beside = {name: json.loads((run.out / "search" / BESIDE[name]).read_text(encoding="utf-8")) for name in files}
    return result | {
        **beside,
        "true_nu": run.config.data.nu or None,
        "hidden_signal": signal.model_dump() if signal else None,
        "probe": json.loads((run.out / "embed" / "probe.json").read_text(encoding="utf-8")),
    }
