"""A study as tables: on the terminal, as Markdown, and as one HTML page with its figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable

from unseen.events.atomic import write_whole
from unseen.report.figures.study import StudyTable
from unseen.report.figures.study_against_nu import study_against_nu
from unseen.report.figures.study_dimension import study_dimension
from unseen.report.figures.study_robustness import study_robustness
from unseen.report.figures.study_tradeoff import study_tradeoff
from unseen.report.page import environment
from unseen.report.plot import Plot
from unseen.report.sections import Section
from unseen.report.study_covariance import covariance_table
from unseen.report.study_power import power_table
from unseen.report.style import hep_style
from unseen.report.tables import Table
from unseen.report.wording import count, number
from unseen.study.comparison import BASELINES, groups_of

__all__ = ["StudyTable", "markdown", "rich_table", "study_figures", "study_tables", "write_study_page"]

TEMPLATE = "study.html.j2"
UNKNOWN = "–"
LEFT_OUT = "leave_out."
SYSTEMATICS, ROBUSTNESS = "systematics", "robustness"
HEADINGS = {
    "known": "Yield known",
    "free": "Shape only",
    SYSTEMATICS: "Systematic uncertainties",
    ROBUSTNESS: "Type-I error and power under systematic uncertainties",
}
WORDS = {
    SYSTEMATICS: "How predictably embeddings covary with nuisance parameters.",
    ROBUSTNESS: "Whether the search stays true, and what it still sees, where the detector is not the nominal one.",
}
Values = Mapping[str, Any]


def study_tables(table: StudyTable) -> dict[str, Table]:
    """One table for each test, by its name in the columns, and those of covariance and power where it was measured."""
    found = {group: _table(table, group, signals) for group, signals in groups_of(table.rows).items()}
    more = {SYSTEMATICS: covariance_table(table), ROBUSTNESS: power_table(table)}
    return found | {name: part for name, part in more.items() if part is not None}


def _table(table: StudyTable, group: str, signals: list[str]) -> Table:
    left_out = group.startswith(LEFT_OUT)
    head = ["entry", "d", "probe", "balanced", *(f"N_3 {signal}" for signal in signals)]
    head += ["mean", *(f"gain {name}".replace("_", " ") for name in BASELINES)] + ([] if left_out else ["efficiency"])
    shown = [row for row in table.rows if row["kind"] != "ceiling" or f"{group}.{signals[0]}.n3" in row]
    rows = []
    for row in shown:
        cells = [row["name"] + (" (failed)" if row.get("failed") else ""), _plain(row.get("dim"), "{:.0f}")]
        cells += [_plain(row.get(f"probe.{name}"), "{:.3f}") for name in ("accuracy", "balanced_accuracy")]
        cells += [_number(row, f"{group}.{signal}.n3") for signal in signals]
        cells.append(_number(row, f"{group}.n3"))
        cells += [_gain(row, f"{group}.gain_{name}") for name in BASELINES]
        cells += [] if left_out else [_quotient(row, f"{group}.efficiency")]
        rows.append(tuple(cells))
    return Table(_caption(table, group), tuple(head), tuple(rows))


def _caption(table: StudyTable, group: str) -> str:
    what = group.removeprefix(LEFT_OUT)
    words = "yield known" if what == "known" else "shape only" if what == "free" else what
    if group.startswith(LEFT_OUT):
        return (
            f"Processes left out of training and reference and taken as signal ({words}): N_3 with intervals of 68 %, "
            "and geometric means."
        )
    return (
        f"N_3 with intervals of 68 % for {count(table.n_data)} expected background events ({words}), geometric mean "
        "over the signals, mean gains over simple representations, and efficiency against the Neyman-Pearson row."
    )


def _plain(value: Any, form: str) -> str:
    return UNKNOWN if value is None else form.format(value)


def _gain(row: Values, key: str) -> str:
    above = row.get(f"{key}_above")
    return _quotient(row, key) if above is None else f"> {above:.2f}"


def _quotient(row: Values, key: str) -> str:
    value, low, high = (_plain(row.get(f"{key}{end}"), "{:.2f}") for end in ("", "_low", "_high"))
    return value if UNKNOWN in (low, high) else f"{value} ({low} to {high})"


def _number(row: Values, key: str) -> str:
    n, low, high, above = (row.get(f"{key}{end}") for end in ("", "_low", "_high", "_above"))
    if n is None:
        return UNKNOWN if above is None else f"> {count(above)}"
    return number(n) + (f" ({number(low)} to {number(high)})" if low is not None and high is not None else "")


def markdown(table: StudyTable) -> str:
    """The tables as Markdown, with what is unknown and why below them."""
    lines = [f"# {table.title}", ""]
    for part in study_tables(table).values():
        align = ["---" if i in part.text_columns else "---:" for i in range(len(part.head))]
        lines += [part.caption, ""]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (part.head, align)]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in part.rows]
        lines.append("")
    noted = [f"- {name}: {text}" for name, text in _notes(table)]
    return "\n".join([*lines, *(["What is unknown, and why:", "", *noted, ""] if noted else [])])


def rich_table(table: StudyTable, group: str) -> RichTable:
    """The table of one test for the terminal."""
    part = study_tables(table)[group]
    found = RichTable(title=part.caption, title_justify="left")
    for i, name in enumerate(part.head):
        found.add_column(name, justify="left" if i in part.text_columns else "right", no_wrap=i == 0, overflow="fold")
    for row in part.rows:
        found.add_row(*row)
    return found


def study_figures(table: StudyTable) -> list[Plot]:
    """The figures of every test; must be called inside `hep_style`."""
    found = []
    for group, signals in groups_of(table.rows).items():
        for make in (study_dimension, study_tradeoff):
            plot = make(table, group, signals)
            if plot is not None:
                found.append(plot)
    robust = study_robustness(table)
    return found if robust is None else [*found, robust, *study_against_nu(table)]


def write_study_page(table: StudyTable, config_text: str, path: Path) -> None:
    """Write one self-contained HTML page."""
    with hep_style():
        sections = _sections(table, config_text)
        text = (
            environment()
            .get_template(TEMPLATE)
            .render(title=table.title, verdict=_verdict(table), context=_context(table), sections=sections)
        )
    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sections(table: StudyTable, config_text: str) -> list[Section]:
    tables, plots = study_tables(table), study_figures(table)
    sections = []
    for group, part in tables.items():
        name = group.replace(".", "-")
        own = tuple(plot for plot in plots if plot.name in (f"dimension-{name}", f"tradeoff-{name}"))
        if group == ROBUSTNESS:
            own = tuple(plot for plot in plots if plot.name.partition("-")[0] == ROBUSTNESS)
        words = WORDS.get(group, "Lower N_3 is more sensitive.")
        sections.append(Section(name, _heading(group), words, own, (part,)))
    notes = tuple(_notes(table))
    unknown = (Table("Numbers that are unknown, and why.", ("entry", "notes"), notes, (0, 1)),) if notes else ()
    return [*sections, Section("settings", "Settings", "What the study was made of.", (), unknown, config_text)]


def _heading(group: str) -> str:
    what = group.removeprefix(LEFT_OUT)
    words = HEADINGS.get(what, what)
    return f"Left-out processes: {words.lower()}" if group.startswith(LEFT_OUT) else words


def _notes(table: StudyTable) -> list[tuple[str, str]]:
    found = []
    for row in table.rows:
        text = "; ".join(part for part in (row.get("failed"), row.get("notes")) if part)
        if text:
            found.append((row["name"], text))
    return found


def _verdict(table: StudyTable) -> str:
    """The best learned row by the mean N_3 of the first test."""
    group = next(iter(groups_of(table.rows)), "known")
    models = [row for row in table.rows if row["kind"] == "model" and row.get(f"{group}.n3") is not None]
    if not models:
        return "No learned representation has an N_3 for every signal."
    best = min(models, key=lambda row: float(row[f"{group}.n3"]))
    return f"Most sensitive: {best['name']}, with a mean N_3 of {_number(best, f'{group}.n3')}."


def _context(table: StudyTable) -> str:
    kinds = [row["kind"] for row in table.rows]
    return (
        f"{kinds.count('model')} embeddings and {kinds.count('representation')} fixed representations on common events "
        f"and toys; {count(table.n_data)} background events expected."
    )
