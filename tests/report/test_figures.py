from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unseen.report import ReportInputs, summary_figure
from unseen.report.figures.latent_corner import mass_levels
from unseen.report.figures.observables import spectrum
from unseen.report.figures.poisson import garwood
from unseen.report.figures.ratio import colour_norm, ratio_ticks
from unseen.report.groups import groups
from unseen.report.planes import best_plane, edges_of, mean_ratio

Make = Callable[..., ReportInputs]


def test_garwood_interval_of_known_counts() -> None:
    below, above = garwood(np.array([0.0, 1.0, 10.0]))
    np.testing.assert_allclose(below, [0.0, 0.827, 3.11], atol=5e-3)
    np.testing.assert_allclose(above, [1.841, 2.300, 4.27], atol=5e-3)


def test_plane_of_the_excess_is_found(make_inputs: Make) -> None:
    inputs = make_inputs(d=4, n_reference=4000, events=False)
    z = inputs.z_reference
    inputs = make_inputs(d=4, n_reference=4000, events=False, f_reference=2.0 * ((z[:, 1] > 1) & (z[:, 3] > 1)))
    plane = best_plane(inputs)
    assert (plane.x, plane.y) == (1, 3)


def test_mean_ratio_is_one_for_flat_f_and_unknown_without_events(make_inputs: Make) -> None:
    inputs = make_inputs(events=False, f_reference=np.zeros(600))
    ratio = mean_ratio(inputs, (0, 1), (edges_of(inputs, 0), edges_of(inputs, 1)))
    assert np.isnan(ratio).any()
    np.testing.assert_allclose(ratio[np.isfinite(ratio)], 1.0)


def test_spectra_conserve_events_and_reweight(make_inputs: Make) -> None:
    inputs = make_inputs(f_reference=np.full(600, np.log(2.0)))
    s = spectrum(inputs, "ht")
    assert s is not None
    assert s.data.sum() == 150
    assert s.reference.sum() == pytest.approx(140.0)
    np.testing.assert_allclose(s.learned, 2 * s.reference)
    np.testing.assert_allclose(sum(height for _, height in s.parts), s.reference)
    mass = spectrum(inputs, "dilepton_mass")
    assert mass is not None
    assert mass.defined < 1


def test_groups_cover_the_reference_once(make_inputs: Make) -> None:
    inputs = make_inputs()
    assert np.sum([g.mask for g in groups(inputs)], axis=0).tolist() == [1] * 600
    assert sum(g.expected for g in groups(inputs)) == pytest.approx(140.0)


@pytest.mark.parametrize("largest", [1.01, 1.4, 3.0, 1e4])
def test_colour_scale_is_symmetric_and_has_ticks_on_both_sides(largest: float) -> None:
    norm = colour_norm(np.array([[1.0, largest, np.nan]]), 1.0)
    assert norm.vmin is not None
    assert norm.vmax is not None
    assert norm.vmin * norm.vmax == pytest.approx(1.0)
    ticks = ratio_ticks(norm)
    assert 1.0 in ticks
    assert 3 <= len(ticks) <= 9
    assert min(ticks) < 1.0 < max(ticks)


def test_mass_levels_of_a_flat_density_are_empty() -> None:
    assert mass_levels(np.ones((3, 3))) == []
    assert mass_levels(np.zeros((3, 3))) == []


@pytest.mark.parametrize("d", [1, 3])
def test_summary_is_one_small_reproducible_picture(d: int, make_inputs: Make, tmp_path: Path) -> None:
    inputs = make_inputs(d=d, events=d > 1)
    first, second = (summary_figure(inputs, tmp_path / name) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < 300_000
    with Image.open(first) as picture:
        assert picture.size == ((1800, 645) if d > 1 else (1200, 645))
