"""What a profiled search says of its nuisance parameters, in words, as a table and as a figure of pulls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from unseen.report.plot import Plot
from unseen.report.section import Section
from unseen.report.style import DATA, LEARNED, PROCESS_COLOURS, WIDTH, new_figure
from unseen.report.tables import Table
from unseen.report.verdict import Reading, reading
from unseen.report.wording import count, number, typeset

__all__ = ["closure_table", "ignored", "nuisance_section", "nuisances", "pull_figure", "pull_table", "said"]

ROW_HEIGHT = 0.34
LEAST_RANGE = 2.5  # of the figure's axis, in standard deviations of the prior


def nuisances(result: Mapping[str, Any]) -> str:
    """Fitted nuisance parameters in one sentence; empty where none were profiled.

    >>> nuisances({"nu_hat": [1.02], "nu_error": [0.31], "checks": {"nuisances": {"names": ["jet-scale"]}}})
    'Nuisance parameters, in standard deviations of their priors: jet-scale 1.02 +- 0.31.'
    """
    fitted = [
        f"{row['name']} {row['nu_hat']:.2f} +- {row['nu_error']:.2f}{_pull(row['pull'])}" for row in _rows(result)
    ]
    return f"Nuisance parameters, in standard deviations of their priors: {'; '.join(fitted)}." if fitted else ""


def ignored(result: Mapping[str, Any]) -> str:
    """The same search with the systematics ignored in one sentence; empty where it was not made.

    >>> ignored({"ignored": {"n_toys": 200, "p_value": 0.43, "z": 0.176}})
    'With the systematic uncertainties ignored (200 toys): p = 0.43, Z = 0.2.'
    """
    other = result.get("ignored")
    if not other:
        return ""
    toys = f" ({count(other['n_toys'])} toys)" if other.get("n_toys") else ""
    return f"With the systematic uncertainties ignored{toys}: {said(reading(other))}."


def nuisance_section(result: Mapping[str, Any], link: tuple[str, str] | None = None) -> Section | None:
    """Pulls, and the p-value with the systematics profiled and ignored; None where nothing was profiled.

    `link`: address and words of a page that says more.
    """
    figure, table = pull_figure(result), pull_table(result)
    if figure is None or table is None:
        return None
    text = (
        "The search fitted these nuisance parameters while it looked for what they do not explain. "
        f"With them: {said(reading(result))}. {ignored(result)} Where ignoring them gives the smaller p-value, the "
        "data differ from the simulation in a way that these parameters can mimic."
    )
    tables = (table, closure_table(result))
    return Section(
        "nuisances", "Systematic uncertainties", typeset(text), (figure,), tuple(t for t in tables if t), link=link
    )


def said(read: Reading) -> str:
    """p and Z in words, or why they cannot be quoted."""
    return "; ".join(read.problems) or f"{read.p_words}, {read.z_words}"


def closure_table(result: Mapping[str, Any]) -> Table | None:
    """How far the density ratio behind the fit is to be trusted, at every value of nu where it was tested."""
    checked = ((result.get("checks") or {}).get("nuisances") or {}).get("ratio") or {}
    closure = checked.get("closure") or {}
    if not closure.get("nu") or not closure.get("shift"):
        return None
    names = [row["name"] for row in _rows(result)]
    rows = tuple(
        (
            ", ".join(f"{name} {number(value)}" for name, value in zip(names, nu, strict=False) if value) or "nominal",
            f"{shift:.2f} ± {error:.2f}",
            f"{without:.2f}",
        )
        for nu, shift, error, without in zip(
            closure["nu"],
            closure["shift"],
            closure["error"],
            closure.get("unweighted") or [math.nan] * len(closure["nu"]),
            strict=True,
        )
    )
    caption = (
        "Closure of the density ratio on held-out events: the mean of the statistic between events at these values and "
        f"nominal ones weighted by the ratio, above its null, in standard deviations of the null. Limit: "
        f"{number(float(closure.get('limit', math.nan)))}. Without: the same without the ratio."
    )
    return Table(caption, ("at", "shift", "without"), rows)


def pull_table(result: Mapping[str, Any]) -> Table | None:
    """Fitted value, error and pull of every nuisance parameter."""
    rows = tuple(
        (
            str(row["name"]),
            f"{row['auxiliary']:.2f}",
            f"{row['nu_hat']:.2f} ± {row['nu_error']:.2f}",
            "–" if row["pull"] is None else f"{row['pull']:.1f}",
        )
        for row in _rows(result)
    )
    caption = (
        "Nuisance parameters in standard deviations of their priors, fitted with nothing but the reference. Measured: "
        "the auxiliary measurement. Pull: how far the data moved it, over the standard deviation that this has when "
        "the simulation is right."
    )
    return Table(caption, ("parameter", "measured", "fitted", "pull"), rows) if rows else None


def pull_figure(result: Mapping[str, Any], true_nu: Mapping[str, float] | None = None) -> Plot | None:
    """Fitted values with errors over the priors; `true_nu`, in their widths, where the data are pseudo-data."""
    rows = _rows(result)
    if not rows:
        return None
    figure = new_figure(ROW_HEIGHT * len(rows) + 0.9, WIDTH)
    axis = figure.subplots()
    axis.axvspan(-1, 1, color=PROCESS_COLOURS[5], alpha=0.4, lw=0)
    axis.axvline(0, color=PROCESS_COLOURS[6], lw=1)
    places = range(len(rows))
    values, errors = ([float(row[name]) for row in rows] for name in ("nu_hat", "nu_error"))
    axis.errorbar(values, places, xerr=errors, fmt="o", color=LEARNED, capsize=3)
    truth = {i: true_nu[row["name"]] for i, row in enumerate(rows) if true_nu and row["name"] in true_nu}
    axis.plot(list(truth.values()), list(truth), "D", mfc="none", mec=DATA, ms=8)
    extremes = [
        *(abs(v) + 1.1 * e for v, e in zip(values, errors, strict=True)),
        *(1.1 * abs(v) for v in truth.values()),
    ]
    reach = max(LEAST_RANGE, *extremes)
    axis.set_xlim(-reach, reach)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_yticks(list(places), [str(row["name"]) for row in rows])
    axis.minorticks_off()
    axis.set_xlabel("standard deviations of the prior")
    alt = " ".join(f"{row['name']}: {row['nu_hat']:.2f} ± {row['nu_error']:.2f}." for row in rows)
    caption = (
        "Band: what was known of each nuisance parameter before. Points: what the data say of it, with 68 % errors. A "
        "point far outside the band explains something that looks like it: a detector, or a signal."
    )
    if truth:
        caption += " Diamonds: the truth of these pseudo-data, which the search did not see."
    return Plot("pulls", figure, alt, caption)


def _rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name, auxiliary measurement, fitted value, error and pull (or None) of every parameter."""
    found = (result.get("checks") or {}).get("nuisances") or {}
    values, errors = result.get("nu_hat") or (), result.get("nu_error") or ()
    n = len(values)
    names = found.get("names") or [f"nu_{i + 1}" for i in range(n)]
    pulls, measured = found.get("pull") or [None] * n, found.get("auxiliary") or [0.0] * n
    return [
        {"name": name, "nu_hat": value, "nu_error": error, "pull": pull, "auxiliary": a}
        for name, value, error, pull, a in zip(names, values, errors, pulls, measured, strict=True)
    ]


def _pull(pull: float | None) -> str:
    return "" if pull is None or not math.isfinite(pull) else f" (pull {pull:.1f})"
