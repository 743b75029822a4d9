"""The stage of a run that writes its pages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from unseen.arrays import read_arrays
from unseen.config import Config, to_yaml
from unseen.context import RunContext
from unseen.embed import FineTuned
from unseen.embed.ensemble import ENSEMBLE, plan_members
from unseen.events.atomic import write_whole
from unseen.finetune_stage import tuning_said
from unseen.report import ReportInputs, summary_figure, write_report
from unseen.report.systematics import PAGE, SystematicsInputs, write_systematics
from unseen.search_stage import IMPACT, result_content
from unseen.sources import label_of
from unseen.systematics import DensityRatio
from unseen.systematics_response import RESPONSE
from unseen.systematics_stage import FOLDER, OVERLAPS

__all__ = ["report_inputs", "report_stage", "systematics_inputs", "trained_files"]

LINK = (PAGE, "More on the systematic uncertainties: how they move the embedding, and what signals look like")


def report_stage(run: RunContext) -> None:
    """Write the page, its summary as one picture, and a page on systematic uncertainties where there are any."""
    pages = ("report.html",) if run.config.systematics is None else ("report.html", PAGE)

    def work(folder: Path) -> None:
        inputs = report_inputs(run)
        write_report(inputs, folder / "report.html")
        summary_figure(inputs, folder / "summary.png")
        if PAGE in pages:
            write_systematics(systematics_inputs(run), folder / PAGE)

    run.stage("report", {"name": run.config.name}, work, (*pages, "summary.png"))
    (run.out / PAGE).unlink(missing_ok=True)  # of an earlier run with systematics
    for page in pages:
        with write_whole(run.out / page) as temporary:
            shutil.copyfile(run.out / "report" / page, temporary)


def report_inputs(run: RunContext) -> ReportInputs:
    """Collect what the page shows from the files of the earlier stages."""
    arrays = read_arrays(run.out / "search" / "null.npz")
    z = {name: read_arrays(run.out / "embed" / f"{name}.npz")["x"] for name in ("reference", "data")}
    reference, data = run.pools[1]["reference"], run.pools[1]["data"]
    signal = run.config.data.signal
    *_, losses = trained_files(run.config)  # of several models, the last one's
    history = json.loads((run.out / "train" / losses).read_text(encoding="utf-8"))
    tuned = FineTuned.load(run.model) if run.fine_tuned else None
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
        systematics_page=None if run.config.systematics is None else LINK,
        tuning_history=() if tuned is None else tuned.history,
        tuning=None if tuned is None else tuning_said(run.config, tuned),
    )


def systematics_inputs(run: RunContext) -> SystematicsInputs:
    """Collect what the page on systematic uncertainties shows from the files of the earlier stages."""
    section, folder = run.config.systematics, run.out / "systematics"
    assert section is not None
    ratio, arrays = DensityRatio.load(folder / FOLDER), read_arrays(folder / RESPONSE)
    values, z = arrays["values"], arrays["z"]
    log_ratio = [
        [ratio.log_ratio(z, value * row, extrapolate=True) for value in values] for row in np.eye(len(ratio.names))
    ]
    overlaps = json.loads((folder / OVERLAPS).read_text(encoding="utf-8"))
    true = {name: run.config.data.nu.get(name, 0.0) / section.widths[name] for name in ratio.names}
    return SystematicsInputs(
        title=run.config.name,
        result=result_content(run),
        names=ratio.names,
        values=tuple(values.tolist()),
        z=z,
        weight=arrays["weight"],
        z_at=arrays["z_at"],
        weight_at=arrays["weight_at"],
        log_ratio=np.array(log_ratio),
        overlaps=tuple(overlaps["overlaps"]),
        impacts=tuple(json.loads((run.out / "search" / IMPACT).read_text(encoding="utf-8"))),
        notes=tuple(overlaps["notes"]),
        true_nu=true if run.config.data.file is None else {},
    )


def trained_files(config: Config) -> tuple[str, ...]:
    """What the training writes: a model, or several in folders."""
    names = ("model.safetensors", "model.json", "history.json")
    if not config.train.several:
        return names
    members = plan_members(config.train.folds, config.train.ensemble)
    return (ENSEMBLE, *(f"{member.name}/{name}" for member in members for name in names))
