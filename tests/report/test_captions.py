"""What the figures and tables show and say, against numbers worked out here from the same inputs."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tests.report.conftest import RESULT, toy_events
from unseen.events.observables import OBSERVABLES
from unseen.report import ReportInputs, tables, verdict
from unseen.report.figures import latent, null, observables
from unseen.report.figures.corner import corner
from unseen.report.figures.latent_corner import mass_levels
from unseen.report.figures.observables import draw_counts, draw_ratio, observable_plots, spectrum
from unseen.report.figures.poisson import garwood
from unseen.report.figures.ratio import ratio_map
from unseen.report.figures.training import curves, training_curves
from unseen.report.groups import groups
from unseen.report.page import _numbers
from unseen.report.planes import best_column, cells, edges_of, frame, mean_ratio
from unseen.report.sections import sections
from unseen.report.style import PROCESS_COLOURS, hep_style
from unseen.report.verdict import context, reading

Make = Callable[..., ReportInputs]


@pytest.fixture(scope="module")
def weighted(make_inputs: Make) -> ReportInputs:
    """Weights, f and kinematics that all differ from event to event."""
    rng = np.random.default_rng(8)
    weight = rng.uniform(0.1, 2.0, 600)
    return make_inputs(
        weight_reference=weight * 140.0 / weight.sum(),
        f_reference=rng.normal(0, 0.5, 600),
        f_data=rng.normal(0, 1, 150),
    )


def bins_of(inputs: ReportInputs, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges with the outermost bins open, and the finite values of reference and data as they are."""
    edges = OBSERVABLES[name].edges.copy()
    edges[0], edges[-1] = -np.inf, np.inf
    assert inputs.reference is not None
    assert inputs.data is not None
    return edges, OBSERVABLES[name].values(inputs.reference), OBSERVABLES[name].values(inputs.data)


def counted(values: np.ndarray, edges: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """A histogram made bin by bin, NaN left out."""
    weights = np.ones(len(values)) if weights is None else weights
    return np.array([weights[(values >= a) & (values < b)].sum() for a, b in pairwise(edges)])


@pytest.mark.parametrize("name", list(OBSERVABLES))
def test_spectra_are_histograms_with_weights_times_exp_f(name: str, weighted: ReportInputs) -> None:
    s = spectrum(weighted, name)
    assert s is not None
    edges, reference, data = bins_of(weighted, name)
    w, f = weighted.weight_reference, weighted.f_reference
    np.testing.assert_allclose(s.reference, counted(reference, edges, w))
    np.testing.assert_allclose(s.learned, counted(reference, edges, w * np.exp(f)))
    np.testing.assert_allclose(s.variance, counted(reference, edges, w**2))
    np.testing.assert_array_equal(s.data, counted(data, edges))
    assert s.defined == pytest.approx(np.isfinite(data).mean())
    assert weighted.reference is not None
    for group, height in s.parts:
        mine = weighted.reference.label == weighted.reference.label_names.index(group.name)
        np.testing.assert_allclose(height, counted(reference[mine], edges, w[mine]))


def test_error_bars_enclose_the_counts_with_the_stated_probability() -> None:
    """Garwood: P(N <= n | upper) = P(N >= n | lower) = half of what is left out."""
    counts = np.array([0.0, 1.0, 2.0, 7.0, 40.0, 900.0])
    below, above = garwood(counts)
    tail = (1 - 0.6826894921370859) / 2
    np.testing.assert_allclose(stats.poisson.cdf(counts, counts + above), tail, rtol=1e-9)
    np.testing.assert_allclose(stats.poisson.sf(counts[1:] - 1, (counts - below)[1:]), tail, rtol=1e-9)
    assert below[0] == 0


def test_drawn_error_bars_belong_to_the_drawn_points(weighted: ReportInputs) -> None:
    s = spectrum(weighted, "met")
    assert s is not None
    with hep_style():
        top, bottom = Figure().subplots(2)
        draw_counts(top, s)
        draw_ratio(bottom, s)
    below, above = garwood(s.data)
    seen = (s.data > 0) | (s.reference > 0)
    bars = top.containers[-1]
    np.testing.assert_allclose(bars[0].get_ydata(), s.data[seen])
    drawn = np.array(bars[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(drawn, np.stack([s.data - below, s.data + above], axis=1)[seen])
    usable = s.reference > 0
    drawn = np.array(bottom.containers[-1][2][0].get_segments())[:, :, 1]
    expected = np.stack([s.data - below, s.data + above], axis=1)[usable] / s.reference[usable, None]
    np.testing.assert_allclose(drawn, expected)


def hand_made(data: list[float], reference: list[float], learned: list[float] | None = None) -> observables.Spectrum:
    edges = np.linspace(0, 10 * len(data), len(data) + 1)
    r = np.array(reference)
    return observables.Spectrum(
        "met", "Missing pt", edges, [], r, r / 10, np.array(learned or reference), np.array(data), 1.0
    )


def test_data_where_nothing_is_simulated_are_marked_in_the_ratio() -> None:
    with hep_style():
        axis = Figure().subplots()
        draw_ratio(axis, hand_made([5.0, 30.0, 2.0, 0.0], [5.0, 3.0, 0.0, 0.0]))
    triangles = next(line for line in axis.lines if line.get_marker() == "^")
    assert list(triangles.get_xdata()) == [15.0, 25.0]


def test_a_low_count_is_not_cut_off_by_a_logarithmic_axis() -> None:
    with hep_style():
        axis = Figure().subplots()
        observables._scale(axis, hand_made([4000.0, 1.0], [4000.0, 8.0]))
    assert axis.get_yscale() == "log"
    assert axis.get_ylim()[0] < 1.0 < 4000.0 < axis.get_ylim()[1]


@pytest.mark.parametrize("data", [[3.0, 2.0], [4000.0, 2.0]])
def test_error_bars_end_inside_the_axis(data: list[float]) -> None:
    s = hand_made(data, [1.0, 2.0])
    with hep_style():
        axis = Figure().subplots()
        observables._scale(axis, s)
    assert axis.get_ylim()[1] > (s.data + garwood(s.data)[1]).max()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([9.0, 3.0, 3.0, 3.0], "Largest excess, below 10: 9 events where 3.0 are simulated."),
        ([3.0, 9.0, 4.0, 3.0], "Largest excess, from 10 to 20: 9 events where 3.0 are simulated."),
        ([3.0, 3.0, 3.0, 9.0], "Largest excess, above 30: 9 events where 3.0 are simulated."),
        ([3.0, 2.0, 0.0, 1.0], "No bin holds more data than simulation."),
    ],
)
def test_captions_name_the_bin_of_the_largest_excess(data: list[float], words: str) -> None:
    s = hand_made(data, [3.0] * 4)
    assert observables._caption(s) == f"Missing pt. {words}"
    assert ("Largest excess" in observables._alt(s)) == words.startswith("Largest")


def test_observable_captions_agree_with_the_inputs(weighted: ReportInputs) -> None:
    with hep_style():
        plots = {plot.name.removeprefix("observable-"): plot for plot in observable_plots(weighted)}
    assert set(plots) == set(OBSERVABLES)
    edges, reference, data = bins_of(weighted, "jet_multiplicity")
    observed, simulated = counted(data, edges), counted(reference, edges, weighted.weight_reference)
    found = re.search(r"at (\d)(?: or more)?: (\d+) events where ([\d.]+) are", plots["jet_multiplicity"].caption)
    assert found is not None
    jets = int(found[1])
    assert (int(found[2]), float(found[3])) == (observed[jets], pytest.approx(simulated[jets], abs=0.05))
    edges, reference, data = bins_of(weighted, "dilepton_mass")
    alt, caption = plots["dilepton_mass"].alt, plots["dilepton_mass"].caption
    assert f"{np.isfinite(data).sum()} data events" in alt
    total = weighted.weight_reference[np.isfinite(reference)].sum()
    simulated_words = re.search(r"([\d.]+) simulated", alt)
    assert simulated_words is not None
    assert float(simulated_words[1]) == pytest.approx(total, abs=0.5)
    assert f"Defined for {100 * np.isfinite(data).mean():.2g} % of the data" in caption


def test_the_map_holds_the_weighted_mean_of_exp_f_in_every_bin(weighted: ReportInputs) -> None:
    edges = (np.array([-3.0, 0.0, 3.0]), np.array([-3.0, 0.5, 3.0]))
    ratio = mean_ratio(weighted, (0, 1), edges)
    z, w, f = weighted.z_reference, weighted.weight_reference, weighted.f_reference
    for i, j in np.ndindex(2, 2):
        inside = (z[:, 0] >= edges[0][i]) & (z[:, 0] < edges[0][i + 1])
        inside &= (z[:, 1] >= edges[1][j]) & (z[:, 1] < edges[1][j + 1])
        assert ratio[i, j] == pytest.approx(np.average(np.exp(f[inside]), weights=w[inside]))
    many = int(((z[:, 0] < 0) & (z[:, 1] < 0.5) & (z.min(axis=1) >= -3)).sum())
    assert np.isnan(mean_ratio(weighted, (0, 1), edges, at_least=many + 1)[0, 0])


def test_the_ratio_map_says_its_extremes_and_marks_the_most_anomalous(make_inputs: Make) -> None:
    step = np.where(make_inputs(events=False).z_reference[:, 0] > 0, np.log(3.0), np.log(0.5))
    inputs = make_inputs(events=False, f_reference=step, axis_names=("mass", "charge"))
    with hep_style():
        plot = ratio_map(inputs)
        line = ratio_map(make_inputs(d=1, events=False, f_reference=np.full(600, np.log(2.0))))
    assert "smallest 0.5, largest 3" in plot.alt
    assert "20 circles" in plot.alt
    assert "mass and charge" in plot.caption
    circles = plot.figure.axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(circles, inputs.z_data[np.argsort(-inputs.f_data, kind="stable")[:20]], rtol=1e-6)
    assert "smallest 2, largest 2" in line.alt


def test_bins_frames_and_the_best_column(make_inputs: Make) -> None:
    edges = np.array([0.0, 1.0, 2.0])
    assert cells(np.array([-5.0, 0.0, 0.5, 1.0, 2.0, 9.0]), edges).tolist() == [0, 0, 0, 1, 1, 1]
    z = make_inputs(d=3, events=False).z_reference
    inputs = make_inputs(d=3, events=False, f_reference=2.0 * (z[:, 2] > 1))
    assert best_column(inputs) == 2
    low, high = frame(inputs, 2)
    both = np.concatenate([inputs.z_reference[:, 2], inputs.z_data[:, 2]])
    assert np.mean((both > low) & (both < high)) > 0.99
    assert edges_of(inputs, 2, 10)[[0, -1]] == pytest.approx([low, high])


def test_null_panels_show_the_toys_and_count_those_beyond_the_data(make_inputs: Make) -> None:
    rng = np.random.default_rng(3)
    toys = rng.chisquare(20, size=(200, 2))
    toys[:5, 0] = np.nan
    result = RESULT | {"t": [24.0, 31.0]}
    inputs = make_inputs(
        events=False, null_t=toys, result=result, null_combined=rng.exponential(size=200), combined=2.5
    )
    combined, first, second = null.panels(inputs)
    assert (combined.title, combined.observed, len(combined.toys)) == ("all widths combined", 2.5, 200)
    assert combined.axis == r"$-\ln$ smallest p"
    assert (first.title, second.title) == ("width 0.5, p = 0.30", "width 2, p = 0.010, used for f")
    assert (first.observed, second.observed, len(first.toys)) == (24.0, 31.0, 195)
    with hep_style():
        words = null.null_distribution(inputs).alt
    assert inputs.null_combined is not None
    reached = [
        (values >= at).sum() for values, at in ((inputs.null_combined, 2.5), (toys[:, 0], 24.0), (toys[:, 1], 31))
    ]
    assert [int(n) for n in re.findall(r"reached by (\d+) toys", words)] == reached
    assert null.main_panel(inputs).title == "all widths combined"
    assert null.main_panel(make_inputs(events=False)).title.startswith("width 2")


def test_with_one_width_the_statistic_is_not_called_a_combination(make_inputs: Make) -> None:
    toys = np.random.default_rng(0).chisquare(20, size=(200, 1))
    result = RESULT | {"t": [24.0], "widths": [1.0], "p_per_width": [0.2], "best_width": 0}
    inputs = make_inputs(events=False, n_widths=1, null_t=toys, result=result, null_combined=toys[:, 0], combined=24.0)
    (only,) = null.panels(inputs)
    assert (only.axis, only.observed, null.main_panel(inputs).axis) == ("t", 24.0, "t")
    assert "combined" not in context(result)


@pytest.mark.parametrize(("observed", "side"), [(1e5, 1), (-1e5, -1)])
def test_an_observed_value_far_from_the_toys_leaves_them_readable(observed: float, side: int) -> None:
    toys = np.random.default_rng(0).normal(size=300)
    with hep_style():
        axis = Figure().subplots()
        null.draw_null(axis, null.Panel(toys, observed, "t", ""))
    low, high = axis.get_xlim()
    span = toys.max() - toys.min()
    assert high - low < 2 * span
    assert (high > toys.max() + 0.1 * span) == (side > 0)
    assert (low < toys.min() - 0.1 * span) == (side < 0)
    assert any(f"{observed:,.0f}" in text.get_text() for text in axis.texts)


def test_the_histogram_of_the_toys_holds_them_all() -> None:
    toys = np.random.default_rng(1).exponential(size=500)
    counts = np.histogram(toys, null._edges(toys))[0]
    assert counts.sum() == 500
    assert np.histogram(np.ones(7), null._edges(np.ones(7)))[0].sum() == 7


def test_the_latent_scatter_counts_processes_data_and_signal(weighted: ReportInputs) -> None:
    with hep_style():
        plot = latent.latent_scatter(weighted)
    assert weighted.data is not None
    assert weighted.reference is not None
    signal = int((weighted.data.label == weighted.data.label_names.index("ato4l")).sum())
    assert f"150 data events, of which {signal} are the hidden signal ato4l" in plot.alt
    for name, expected in re.findall(r"(\w+) \(([\d.]+) expected\)", plot.alt):
        mine = weighted.reference.label == weighted.reference.label_names.index(name)
        assert float(expected) == pytest.approx(weighted.weight_reference[mine].sum(), abs=0.06)
    assert "Red circles mark" in plot.caption
    left, right = plot.figure.axes[:2]
    assert sum(len(c.get_offsets()) for c in left.collections) == 150
    assert [len(c.get_offsets()) for c in right.collections] == [150 - signal, signal]


def test_simulation_is_drawn_in_proportion_to_its_weight(make_inputs: Make) -> None:
    weight = np.where(np.arange(4000) < 2000, 3.0, 1.0)
    weight[3000:] = 0.0
    inputs = make_inputs(n_reference=4000, events=False, weight_reference=weight)
    rows = latent._sample(inputs, 400)
    assert len(np.unique(rows)) == 400
    assert rows.max() < 3000
    heavy = int((rows < 2000).sum())
    assert stats.binomtest(heavy, 400, 6000 / 7000).pvalue > 1e-4
    np.testing.assert_array_equal(rows, latent._sample(inputs, 400))


def test_thinned_data_are_said_to_be_thinned(make_inputs: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent, "MOST_POINTS", 100)
    with hep_style():
        plot = latent.latent_scatter(make_inputs(events=False))
    assert "Left: 100 reference events" in plot.caption
    assert "Right: 100 of the 150 data events." in plot.caption
    assert [len(axis.collections[-1].get_offsets()) for axis in plot.figure.axes[:2]] == [100, 100]


def test_captions_speak_of_truth_only_where_something_is_marked(make_inputs: Make) -> None:
    rng = np.random.default_rng(0)
    none = toy_events(150, rng, ("w", "qcd"))
    with hep_style():
        assert "hidden signal" not in latent.latent_scatter(make_inputs(data=none)).caption
        assert "red line" in latent.latent_scatter(make_inputs(d=1)).caption
        assert "Red circles" not in latent.latent_scatter(make_inputs(d=1)).caption


def test_one_latent_axis_is_a_histogram_of_everything_in_the_frame(make_inputs: Make) -> None:
    inputs = make_inputs(d=1)
    with hep_style():
        axis = latent.latent_scatter(inputs).figure.axes[0]
    edges = edges_of(inputs, 0)
    drawn = axis.containers[-1][0].get_ydata()
    np.testing.assert_array_equal(drawn, np.histogram(inputs.z_data[:, 0], edges)[0])


def test_the_corner_gives_the_medians_of_every_process(weighted: ReportInputs) -> None:
    with hep_style():
        plot = corner(weighted)
    for group in groups(weighted):
        middle = np.median(weighted.z_reference[group.mask], axis=0)
        assert f"{group.name} ({middle[0]:.2g}, {middle[1]:.2g})" in plot.alt
    with hep_style():
        assert "first 8 of 9 axes" in corner(ten(weighted)).caption


def ten(inputs: ReportInputs) -> ReportInputs:
    rng = np.random.default_rng(0)
    f = {"f_reference": np.zeros(50), "f_data": np.zeros(40), "weight_reference": np.ones(50)}
    z = {"z_reference": rng.normal(size=(50, 9)), "z_data": rng.normal(size=(40, 9))}
    return ReportInputs(title="nine", result=inputs.result, null_t=inputs.null_t, **f, **z)


def test_mass_levels_hold_the_stated_shares() -> None:
    x = np.linspace(-4, 4, 81)
    density = np.exp(-(x[:, None] ** 2 + x**2) / 2)
    outer, inner = mass_levels(density, (0.9, 0.5))
    for level, mass in ((outer, 0.9), (inner, 0.5)):
        assert density[density >= level].sum() / density.sum() == pytest.approx(mass, abs=0.02)
        assert level == pytest.approx(1 - mass, abs=0.02)  # a Gaussian in two dimensions


def test_small_processes_beyond_the_colours_are_one_group(make_inputs: Make) -> None:
    names = tuple(f"p{i}" for i in range(11))
    reference = toy_events(600, np.random.default_rng(0), names)
    inputs = make_inputs(reference=reference)
    found = groups(inputs)
    assert len(found) == len(PROCESS_COLOURS)
    assert found[-1].name == "other"
    expected = [g.expected for g in found[:-1]]
    assert expected == sorted(expected, reverse=True)
    assert np.sum([g.mask for g in found], axis=0).tolist() == [1] * 600
    smallest = min(expected)
    for code in np.unique(reference.label[found[-1].mask]):
        assert inputs.weight_reference[reference.label == code].sum() <= smallest + 1e-9


def test_training_curves_skip_what_was_not_measured(make_inputs: Make) -> None:
    history = {"epoch": [2, 4, 6], "train_loss": [3.0, 2.0, 1.5], "val_loss": [None, 2.5, float("nan")]}
    lines = curves(history)
    assert [v.tolist() for v in lines["train_loss"]] == [[2, 4, 6], [3.0, 2.0, 1.5]]
    assert [v.tolist() for v in lines["val_loss"]] == [[4], [2.5]]
    assert curves({"train_loss": [5.0, 4.0]})["train_loss"][0].tolist() == [1, 2]
    with hep_style():
        plot = training_curves(make_inputs(history=history))
        assert training_curves(make_inputs(history={"train_loss": [None]})) is None
    assert plot is not None
    assert "training loss from 3 to 1.5 in 3 epochs, validation loss from 2.5 to 2.5 in 1 epochs" in plot.alt


def test_the_table_of_events_holds_their_values(weighted: ReportInputs) -> None:
    table = tables.anomalous_events(weighted)
    assert weighted.data is not None
    rows = np.argsort(-weighted.f_data)[:20]
    cells_of = {name: [row[i] for row in table.rows] for i, name in enumerate(table.head)}
    assert [int(row) for row in cells_of["row"]] == rows.tolist()
    np.testing.assert_allclose([float(v) for v in cells_of["f"]], weighted.f_data[rows], atol=0.0051)
    np.testing.assert_allclose([float(v) for v in cells_of["exp f"]], np.exp(weighted.f_data[rows]), atol=0.0051)
    met = OBSERVABLES["met"].values(weighted.data)[rows]
    np.testing.assert_allclose([float(v) for v in cells_of["missing pt"]], met, atol=0.051)
    assert [int(v) for v in cells_of["jets"]] == OBSERVABLES["jet_multiplicity"].values(weighted.data)[rows].tolist()
    assert cells_of["truth"] == [weighted.data.label_names[code] for code in weighted.data.label[rows]]
    mass = OBSERVABLES["dilepton_mass"].values(weighted.data)[rows]
    assert [cell == "–" for cell in cells_of["dilepton mass"]] == np.isnan(mass).tolist()


def test_tables_of_widths_checks_and_durations_hold_the_result(make_inputs: Make) -> None:
    widths = tables.widths(RESULT)
    assert widths is not None
    assert widths.rows == (("0.5", "40.00", "0.30"), ("2", "21.00", "0.010"))
    assert "ranks the widths" in widths.caption
    assert tables.widths({"t": [3.0, None]}) == tables.Table(
        widths.caption, widths.head, (("1", "3.00", "–"), ("2", "–", "–"))
    )
    assert tables.widths({}) is None
    checks = tables.checks(RESULT | {"converged": False, "checks": {"null_moments": {"passed": True, "chi2": 1.25}}})
    assert checks is not None
    assert checks.rows == (("fit converged", "failed"), ("null moments", "passed (chi2: 1.25)"))
    times = tables.durations(make_inputs(events=False, durations={"train": 61.0, "search": 4.0}))
    assert times is not None
    assert times.rows == (("train", "1 min 1 s"), ("search", "4.0 s"), ("total", "1 min 5 s"))
    nested = tables.mapping("x", {"a": {"b_c": 1, "d": {"e": 0.123456}}})
    assert nested is not None
    assert nested.rows == (("a: b c", "1"), ("a: d: e", "0.1235"))


def test_the_truth_changes_labels_and_nothing_else(make_inputs: Make) -> None:
    """Verdict, context, headline numbers, spectra and ranks are the same whoever knows what was hidden."""
    blind, seen = make_inputs(signal_label=None), make_inputs(signal_label="ato4l")
    assert verdict(blind.result) == verdict(seen.result)
    assert _numbers(blind, reading(blind.result)) == _numbers(seen, reading(seen.result))
    with hep_style():
        first, second = ({s.id: s for s in sections(inputs)} for inputs in (blind, seen))
        assert [p.alt for p in first["physics"].plots] == [p.alt for p in second["physics"].plots]
    assert [p.alt for p in first["test"].plots] == [p.alt for p in second["test"].plots]
    assert first["test"].tables == second["test"].tables
    truthful = second["events"].tables[0]
    assert truthful.head[-1] == "truth"
    assert first["events"].tables[0].head == truthful.head[:-1]
    assert first["events"].tables[0].rows == tuple(row[:-1] for row in truthful.rows)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("0.020", "68 %: 0.011 to 0.029", "2.1", "68 %: 1.9 to 2.3")),
        ({"converged": False}, ("0.020", "not to be quoted", "2.1", "not to be quoted")),
        (
            {"p_value": 1 / 201, "at_resolution": True, "p_interval": [0.0, 0.0092], "z_interval": [2.36, None]},
            ("< 0.0050", "68 %: below 0.0092", "≥ 2.57", "68 %: above 2.4"),
        ),
        ({"z_interval": [0.0, 0.4]}, ("0.020", "68 %: 0.011 to 0.029", "2.1", "68 %: 0.0 to 0.4")),
        ({"p_value": None, "z": None}, ("not available", "not to be quoted", "not available", "not to be quoted")),
    ],
)
def test_headline_numbers(changes: dict[str, Any], expected: tuple[str, ...], make_inputs: Make) -> None:
    inputs = make_inputs(events=False, result=RESULT | changes)
    p, z, resolution, events = _numbers(inputs, reading(inputs.result))
    assert (*p[1:], *z[1:]) == expected
    assert resolution[1:] == ("0.0050", "200 toys")
    assert events[1:] == ("150", "140 ± 12 expected")
