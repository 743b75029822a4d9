from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.report.systematics.conftest import SHIFTS
from unseen.report.systematics import SystematicsInputs
from unseen.report.systematics.movement import displacement, movement, shown_names, shown_planes, slide, strongest

Make = Callable[..., SystematicsInputs]


def test_the_exact_ratio_predicts_what_the_events_do(make_inputs: Make) -> None:
    """Prediction minus line, in its standard error, has a mean square of one: 120 bins know it to 13 %."""
    inputs = make_inputs(n=20_000)
    found = [slide(inputs, k, k) for k in range(2)]
    pulls = np.concatenate([((each.predicted - each.actual) / each.error).ravel() for each in found])
    assert 0.5 < (pulls**2).mean() < 1.6
    weighted = slide(inputs, 2, 0)  # events stay where they are, and the ratio is their weight
    np.testing.assert_allclose(weighted.predicted, weighted.actual)
    assert weighted.error.max() == 0.0


def test_yields_are_conserved_when_events_only_move(make_inputs: Make) -> None:
    found = slide(make_inputs(), 0, 0)
    np.testing.assert_allclose(found.actual.sum(axis=1), found.nominal.sum())
    assert np.ptp(found.number) <= 1  # equal shares


def test_what_moves_most_comes_first_and_noise_does_not_count(make_inputs: Make) -> None:
    strength = movement(make_inputs())
    assert strength[0].argmax() == 0
    assert strength[0, 0] > 10 * strength[1].max()
    assert strength[0, 1] == strength[0, 2] == 0.0  # nothing moves there
    assert shown_names(make_inputs(), most=1) == [0]


def test_a_yield_bends_no_axis_and_is_shown_only_where_nothing_else_moves(make_inputs: Make) -> None:
    weight_at = make_inputs().weight_at.copy()
    weight_at[2] = np.array([0.5, 2.0])[:, None]
    inputs = make_inputs(weight_at=weight_at)
    assert movement(inputs)[2].min() > movement(inputs)[:2].max()
    assert movement(inputs, shape=True)[2].max() == 0.0
    assert strongest(inputs, [0, 1, 2]) == [0, 1, 2]


def test_displacements_are_those_of_one_standard_deviation(make_inputs: Make) -> None:
    inputs = make_inputs(n=100)
    for k, shift in enumerate(SHIFTS):
        slope, there = displacement(inputs, k)
        np.testing.assert_allclose(slope[:, k], shift)
        assert there.all()
    weight_at = inputs.weight_at.copy()
    weight_at[0, 1, :40] = 0.0  # not selected at +2
    assert displacement(make_inputs(n=100, weight_at=weight_at), 0)[1].sum() == 60


@pytest.mark.parametrize(("d", "planes"), [(1, []), (2, [(0, 1)]), (3, [(0, 1)])])
def test_planes_hold_the_axes_that_move(make_inputs: Make, d: int, planes: list[tuple[int, int]]) -> None:
    assert shown_planes(make_inputs(d=d), [0, 1]) == planes


def test_every_axis_of_four_is_in_a_plane(make_inputs: Make) -> None:
    first, second = shown_planes(make_inputs(d=4), [0, 1])
    assert first == (0, 1)
    assert second == (2, 3)
