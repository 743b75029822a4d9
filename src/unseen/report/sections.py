"""What stands on the page, in which order."""

from __future__ import annotations

from unseen.report import tables
from unseen.report.figures.corner import corner
from unseen.report.figures.fine_tuning import fine_tuning_figure
from unseen.report.figures.latent import latent_scatter
from unseen.report.figures.null import null_distribution
from unseen.report.figures.observables import observable_plots
from unseen.report.figures.ratio import ratio_map
from unseen.report.figures.training import training_curves
from unseen.report.inputs import ReportInputs
from unseen.report.nuisances import nuisance_section
from unseen.report.section import Section

__all__ = ["Section", "sections"]

NO_EVENTS = "The sample is not one of collision events, so there are no physics observables to show."


def sections(inputs: ReportInputs) -> list[Section]:
    """Every section of the report; must be called inside `hep_style`."""
    profiled = nuisance_section(inputs.result, inputs.systematics_page)
    return [
        _test(inputs),
        *([] if profiled is None else [profiled]),
        Section(
            "where",
            "Where the data differ",
            "The fit gives every event a number f; exp f is how many times more data than simulation it sees there.",
            (latent_scatter(inputs), ratio_map(inputs)),
        ),
        _physics(inputs),
        Section(
            "events",
            "The most anomalous events",
            "Single events prove nothing; they are the place to start looking. Detector faults show up here first.",
            tables=(tables.anomalous_events(inputs),),
        ),
        _embedding(inputs),
        _provenance(inputs),
    ]


def _test(inputs: ReportInputs) -> Section:
    found = (tables.widths(inputs.result), tables.checks(inputs.result))
    return Section(
        "test",
        "The test",
        "The statistic t measures how much better a freely adapted density describes the data than the simulation "
        "does. Its meaning comes from toys: the same test on simulated data without any signal.",
        (null_distribution(inputs),),
        tuple(table for table in found if table is not None),
    )


def _physics(inputs: ReportInputs) -> Section:
    plots = observable_plots(inputs)
    if not plots:
        return Section("physics", "In physics observables", NO_EVENTS)
    text = (
        "Filled: simulation by process; hatched: its statistical uncertainty. Red line: the same simulation reweighted "
        "by exp f, which is what the fit learned from the data. Points: data with 68 % Garwood (exact Poisson) errors. "
        "Where the red line leaves the filled histogram, the excess has a physical face. Below each: the ratio to the "
        "simulation; triangles lie above its range. Events beyond an axis are counted in its outermost bins. Nearly "
        "every histogram has a largest excess, most of them by chance."
    )
    return Section("physics", "In physics observables", text, tuple(plots))


def _embedding(inputs: ReportInputs) -> Section:
    training = training_curves(inputs)
    probe = tables.mapping(
        "Probes: how well simple classifiers (linear, and nearest neighbours under knn) read the processes off "
        "the embedding, and measures of its shape. Good numbers here do not make a search sensitive.",
        inputs.probe,
    )
    text = f"Every event became {inputs.dimensions} number{'s' if inputs.dimensions > 1 else ''}."
    if training is None:
        text += " No training was recorded for this run."
    tuning = fine_tuning_figure(inputs.tuning_history) if inputs.tuning_history else None
    tuned = tables.mapping(
        "Fine-tuning for the nuisance parameters, after the training. The density ratio of the search is another one, "
        "learned on independent events.",
        inputs.tuning,
    )
    if tuning is not None:
        text += " It was trained, and then fine-tuned for the nuisance parameters."
    plots = tuple(plot for plot in (corner(inputs), training, tuning) if plot is not None)
    return Section("embedding", "The embedding", text, plots, tuple(table for table in (tuned, probe) if table))


def _provenance(inputs: ReportInputs) -> Section:
    found = (tables.mapping("Versions, seeds, hashes.", inputs.provenance), tables.durations(inputs))
    return Section(
        "provenance",
        "Provenance",
        "With these the numbers above can be made again.",
        tables=tuple(table for table in found if table is not None),
        folded=inputs.config_text,
    )
