"""What `unseen study` does: from one YAML file to a table of representations, a page and figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from unseen.config import to_yaml
from unseen.events.atomic import write_json, write_whole
from unseen.progress import Display
from unseen.report.study import StudyTable, markdown, rich_table, study_figures, study_tables, write_study_page
from unseen.report.style import hep_style
from unseen.report.wording import duration, number
from unseen.search.validate import check_name
from unseen.simulate.jobs import software
from unseen.stages import locked
from unseen.study.estimate import Cost, estimate
from unseen.study.grid import Entry, entries
from unseen.study.measure import Work
from unseen.study.pools import StudyPools, draw_study_pools
from unseen.study.rows import Row, Values, require_pyarrow
from unseen.study.run import jobs_of, pools_hash, run_entries, write_comparison
from unseen.study.settings import StudyConfig, load_study, parse_study
from unseen.study.trainable import check_trainable, check_trainable_on
from unseen.study.tuning import check_tuning, tune
from unseen.workers import Workers, check_cluster, workers

__all__ = ["StudyOutcome", "cost_lines", "measure_cost", "prepare_study", "print_tables", "run_study"]

DPI = 200
WIDE = 200  # columns where the output goes to a file


@dataclass(frozen=True)
class StudyOutcome:
    """The table of a study, how many of its rows were there before, and where it is."""

    shown: StudyTable
    rows: list[Values]
    kept: int
    folder: Path

    @property
    def failed(self) -> list[str]:
        """The entries that could not be trained or embedded."""
        return [row["name"] for row in self.rows if row.get("failed")]


def prepare_study(
    config: StudyConfig | str | Path | Mapping[str, Any], out: Path | None = None, seed: int | None = None
) -> tuple[StudyConfig, list[Entry]]:
    """Return the settings and the entries of a study, checked in full before any work. Errors: UnseenError."""
    require_pyarrow()
    if isinstance(config, str | Path):
        config = load_study(config)
    elif not isinstance(config, StudyConfig):
        config = parse_study(config)
    changes = {name: value for name, value in (("out", out), ("seed", seed)) if value is not None}
    config = config.model_copy(update=changes)
    found = entries(config)
    check_trainable(config, found)
    check_tuning(config)
    for name in [each for pair in (config.systematics.before.items() if config.systematics else ()) for each in pair]:
        check_name("entry in systematics.before", name, tuple(entry.name for entry in found))
    return config, found


def run_study(
    config: StudyConfig | str | Path | Mapping[str, Any],
    *,
    out: Path | None = None,
    seed: int | None = None,
    worker_count: int | None = None,
    cluster: str | None = None,
    display: Display | None = None,
) -> StudyOutcome:
    """Run a study and write its folder: table.parquet, table.md, study.html, figures, provenance.json.

    Rows that are there are kept, so the same call continues a study that was stopped, and entries can be added.
    On a cluster the folder must be on a file system that all its machines see. Errors: UnseenError.
    """
    settings, listed = prepare_study(config, out, seed)
    check_cluster(cluster, worker_count)
    display = display or Display(quiet=True)
    pools = _drawn(settings, listed)
    folder = settings.out.resolve()
    with locked(folder):
        with write_whole(folder / "config.yaml") as temporary:
            temporary.write_text(to_yaml(settings), encoding="utf-8")
        _say_pools(display, pools)
        with workers(cluster, worker_count, serial=True) as pool:
            rows, kept = _measured(settings, listed, Work(settings, pools, folder), pool, display)
        table = write_comparison(folder, rows, settings)
        _write_provenance(folder, settings, pools, rows)
        shown = StudyTable(settings.name, tuple(table), settings.power.n_data)
        _write_report(folder, shown, to_yaml(settings))
    return StudyOutcome(shown, table, kept, folder)


def print_tables(outcome: StudyOutcome) -> None:
    """Print the tables of a study and where its page is."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    for group in study_tables(outcome.shown):
        console.print(rich_table(outcome.shown, group))
    console.print(f"page: {outcome.folder / 'study.html'}", markup=False, soft_wrap=True)


def measure_cost(
    config: StudyConfig | str | Path | Mapping[str, Any], out: Path | None = None, seed: int | None = None
) -> tuple[list[Entry], Cost]:
    """Return the entries of a study and its cost, from short measurements; nothing is written."""
    settings, listed = prepare_study(config, out, seed)
    return listed, estimate(listed, settings, _drawn(settings, listed))


def _drawn(settings: StudyConfig, listed: Sequence[Entry]) -> StudyPools:
    """Return the events of a study, which all its entries can be trained on. Errors: UnseenError."""
    pools = draw_study_pools(settings)
    check_trainable_on(settings, listed, pools.train)
    return pools


def _measured(
    settings: StudyConfig, listed: list[Entry], work: Work, pool: Workers, display: Display
) -> tuple[list[Row], int]:
    """Return the rows of all entries, the best one of a search among them, and how many were there."""
    if settings.optuna is not None:
        with display.bar("trials") as update:
            key = pools_hash(work.pools) + settings.power.model_dump_json()
            total = settings.optuna.trials
            best = tune(settings, work, key, pool, lambda i, value: update(i + 1, total, f"N_3 {number(value)}"))
        listed = [*listed, best]
    jobs = jobs_of(listed, settings, work.pools)
    kept = 0
    with display.bar("entries") as update:
        done: list[str] = []

        def finished(row: Row, was_there: bool) -> None:
            nonlocal kept
            kept += was_there
            done.append(row.name)
            update(len(done), len(jobs), row.name)
            if row.values.get("failed"):
                display.say(f"{row.name}: {row.values['failed']}")

        rows = run_entries(jobs, work, pool, finished)
    return rows, kept


def _say_pools(display: Display, pools: StudyPools) -> None:
    sizes = {name: len(getattr(pools, name)) for name in ("train", "settings", "reference", "toys")}
    signals = {name: len(events) for name, events in pools.signals.items()}
    display.say("events: " + ", ".join(f"{name} {n}" for name, n in (sizes | signals).items()))


def _write_provenance(folder: Path, settings: StudyConfig, pools: StudyPools, rows: Sequence[Row]) -> None:
    content = {
        "events": pools_hash(pools),
        "seed": settings.seed,
        "software": software() | {"python": platform.python_version()},
        "machine": {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count()},
        "seconds": {row.name: dict(row.seconds) for row in rows},
    }
    write_json(folder / "provenance.json", content)


def _write_report(folder: Path, shown: StudyTable, config_text: str) -> None:
    with write_whole(folder / "table.md") as temporary:
        temporary.write_text(markdown(shown), encoding="utf-8")
    with hep_style("study"):
        for plot in study_figures(shown):
            with write_whole(folder / f"{plot.name}.png") as temporary:
                plot.figure.savefig(temporary, dpi=DPI, format="png")
    write_study_page(shown, config_text, folder / "study.html")


def cost_lines(listed: Sequence[Entry], cost: Cost) -> list[str]:
    """A dry run in words."""
    lines = [f"{entry.name}  ({entry.kind})" for entry in listed]
    lines += [
        f"{cost.entries} entries, {cost.trainings} trainings, about {_grouped(cost.toys)} toys times widths",
        f"about {duration(cost.seconds)} on one core, from short measurements here: training "
        f"{duration(cost.training_seconds)}, toys {duration(cost.toy_seconds)}",
    ]
    if cost.uncounted:
        more = ", ".join(f"{_grouped(n)} {kind}" for kind, n in cost.uncounted.items())
        lines.append(f"not in that time: {more}")
    return lines


def _grouped(n: int) -> str:
    return f"{n:,}".replace(",", " ")
