"""What stands on the page on systematic uncertainties, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unseen.report.figures.nuisance_densities import density_figure, response_figure
from unseen.report.figures.nuisance_flow import flow_figure
from unseen.report.figures.nuisance_impact import impact_figure
from unseen.report.figures.nuisance_overlap import overlap_figure
from unseen.report.nuisances import closure_table, pull_figure, pull_table
from unseen.report.section import Section
from unseen.report.systematics.inputs import SystematicsInputs
from unseen.report.tables import Table
from unseen.report.verdict import reading
from unseen.report.wording import count, percent, typeset

__all__ = ["likeness", "systematics_sections"]

NO_SIGNALS = (
    "This run has no simulated signal with enough events of its own, so nothing can be said of what signals look like."
)
NOT_RANKED = "No search was made with single parameters frozen; systematics.impact asks for it."


def systematics_sections(inputs: SystematicsInputs) -> list[Section]:
    """Every section of the page; must be called inside `hep_style`."""
    return [_significance(inputs), _pulls(inputs), _densities(inputs), *_flow(inputs), _overlap(inputs), _trust(inputs)]


def likeness(overlap: Mapping[str, Any]) -> str:
    """What a signal looks like in one sentence.

    >>> likeness({"signal": "ato4l", "names": ["jet-scale"], "cosine": [-0.8], "low": [-0.9], "high": [-0.7],
    ...           "looks_like": 0.75, "looks_like_interval": [0.7, 0.8]})
    'ato4l looks 80 % like a downward shift of jet-scale; within their priors all parameters can imitate 75 % of it.'
    """
    best = max(range(len(overlap["names"])), key=lambda i: abs(float(overlap["cosine"][i])))
    cosine, name = float(overlap["cosine"][best]), overlap["names"][best]
    way = "an upward" if cosine > 0 else "a downward"
    together = f"; within their priors all parameters can imitate {percent(float(overlap['looks_like']))} of it"
    if not float(overlap["low"][best]) * float(overlap["high"][best]) > 0:  # the interval holds 0
        return f"{overlap['signal']} looks like no single parameter{together}."
    return f"{overlap['signal']} looks {percent(abs(cosine))} like {way} shift of {name}{together}."


def _significance(inputs: SystematicsInputs) -> Section:
    figure = impact_figure(inputs)
    text = (
        "The same data, searched with every parameter profiled, and with all of them ignored. Where ignoring them "
        "gives the smaller p-value, the data differ from the simulation in a way that the parameters can mimic."
    )
    text += _strongest(inputs) if figure else f" {NOT_RANKED}"
    return Section("significance", "With and without", text, (figure,) if figure else (), (_p_values(inputs),))


def _strongest(inputs: SystematicsInputs) -> str:
    full, *frozen = (reading(row) for row in inputs.impacts)
    name, most = str(inputs.impacts[1]["name"]), frozen[0]
    if full.bound and most.bound:
        return " With so few toys no change of the significance can be seen."
    low, high = inputs.impacts[0].get("z_interval") or (None, None)
    if (low is None or most.z > float(low)) and (high is None or most.z < float(high)):
        return " No parameter frozen alone changes the significance by more than the error that the toys leave."
    return typeset(f" Freezing {name} changes the significance most: from {full.z_words} to {most.z_words}.")


def _p_values(inputs: SystematicsInputs) -> Table:
    result = inputs.result
    cases = [("all profiled", result), ("all ignored", result.get("ignored"))]
    if inputs.impacts:
        full, *frozen = inputs.impacts
        cases += [("all profiled, fewer toys", full), *((f"{row['name']} frozen", row) for row in frozen)]
    rows = []
    for name, found in cases:
        if found:
            read = reading(found)
            said = [typeset(read.p_words[2:]), typeset(read.z_words[2:])]
            toys = count(found["n_toys"]) if found.get("n_toys") else "–"
            rows.append((name, *(words.removeprefix("= ") for words in said), toys))
    return Table(
        "The search under other assumptions. Frozen: held at its auxiliary measurement, the others profiled; in the "
        "order of the change of Z.",
        ("nuisance parameters", "p", "Z", "toys"),
        tuple(rows),
    )


def _pulls(inputs: SystematicsInputs) -> Section:
    figure, table = pull_figure(inputs.result, inputs.true_nu), pull_table(inputs.result)
    return Section(
        "pulls",
        "What the data say of the parameters",
        "Each parameter was known to one standard deviation before; the data were fitted with it.",
        () if figure is None else (figure,),
        () if table is None else (table,),
    )


def _densities(inputs: SystematicsInputs) -> Section:
    return Section(
        "densities",
        "How the embedding moves",
        "An embedding covaries predictably when its densities slide smoothly with a parameter and the learned ratio "
        "says by how much. The ratio was learned from other events than these.",
        tuple(plot for plot in (density_figure(inputs), response_figure(inputs)) if plot),
    )


def _flow(inputs: SystematicsInputs) -> list[Section]:
    figure = flow_figure(inputs)
    if figure is None:
        return []
    text = "The response vector field: which way, and how far, each parameter pushes events in the latent plane."
    return [Section("flow", "Where events go", text, (figure,))]


def _overlap(inputs: SystematicsInputs) -> Section:
    figure = overlap_figure(inputs)
    said = [likeness(row) for row in inputs.overlaps] or [NO_SIGNALS]
    said += inputs.notes
    tables = (_overlaps(inputs),) if inputs.overlaps else ()
    return Section("overlap", "What signals look like", " ".join(said), (figure,) if figure else (), tables)


def _overlaps(inputs: SystematicsInputs) -> Table:
    rows = []
    for row in inputs.overlaps:
        for name, value, low, high in zip(row["names"], row["cosine"], row["low"], row["high"], strict=True):
            rows.append((str(row["signal"]), name, f"{value:.2f}", f"{low:.2f} to {high:.2f}"))
        low, high = row["looks_like_interval"]
        rows.append((str(row["signal"]), "all, within priors", f"{row['looks_like']:.2f}", f"{low:.2f} to {high:.2f}"))
    caption = "The same numbers with intervals of 68 % (bootstrap of the events, for the ratio at hand)."
    return Table(caption, ("signal", "parameter", "cosine", "interval"), tuple(rows), (0, 1))


def _trust(inputs: SystematicsInputs) -> Section:
    closure = closure_table(inputs.result)
    text = (
        "Everything above rests on a learned ratio r(z; ν) of rates. It is tested on held-out events: distorted "
        "ones against nominal ones weighted by r, by the linear statistic of this search's own kernels."
    )
    if closure is None:
        text += " No closure test was recorded."
    return Section("trust", "Can the ratio be trusted?", text, tables=() if closure is None else (closure,))
