from __future__ import annotations

import numpy as np
import pytest

from tests.study.covariance.gaussian import SHIFT, at, delta, nominal, wrong_delta
from unseen.errors import OverlapError, ShapeError
from unseen.search import KernelTest
from unseen.search.elsewhere import Other, other_statistics
from unseen.search.validate import Floats
from unseen.study.covariance import ClosureFrame, closure, closure_frame, closure_record, moved
from unseen.study.covariance.moved import Delta

N_DATA = 1000
TOYS = 2000


def frame(function: Delta = delta, seed: int = 1, n: int = 20_000) -> ClosureFrame:
    return closure_frame(
        nominal(n, seed),
        function,
        N_DATA,
        settings=nominal(500, 99),
        n_reference=10_000,
        widths=1.0,
        n_centers=30,
        penalty=1e-5,
    )


def test_a_right_ratio_closes_and_errors_say_what_pools_resolve() -> None:
    """Over independent pools shifts scatter around 0 with the errors they quote."""
    points = [closure(frame(seed=i), at(nominal(20_000, 100 + i), 1.0, -1.0)) for i in range(24)]
    pull = [point.weighted.values[0] / point.weighted.errors[0] for point in points]
    assert abs(np.mean(pull)) < 3 / np.sqrt(len(pull))
    assert 0.5 < np.std(pull) < 1.5
    assert all(point.weighted.errors[0] < 0.3 for point in points)  # what the target asks to be resolved
    assert np.mean([point.ignored.values[0] for point in points]) > 1.0


def test_the_same_events_at_zero_leave_smaller_errors_that_are_right() -> None:
    """A difference of two pools at nu = 0 is chance: taken off, shifts scatter around the same value by less."""
    apart, joint = [], []
    for i in range(16):
        made, x = frame(seed=200 + i), nominal(20_000, 300 + i)
        events, zero = at(x, 2.0, 0.0), at(x, 0.0, 0.0)
        apart.append(closure(made, events).weighted.worst)
        joint.append(closure(made, events, at_zero=zero).weighted.worst)
    (_, a_error), (b, b_error) = np.transpose(apart), np.transpose(joint)
    assert b_error.mean() < 0.5 * a_error.mean()
    assert abs(b.mean()) < 4 * b_error.mean() / np.sqrt(len(b))
    assert 0.5 < b.std() / b_error.mean() < 1.7  # 16 pools: 18 %
    wrong, x = frame(wrong_delta), nominal(20_000, 400)
    first, second = (closure(wrong, at(x, 2.0, 0.0), at_zero=z).weighted.worst for z in (None, at(x, 0.0, 0.0)))
    assert first[0] == pytest.approx(second[0], abs=4 * first[1])
    with pytest.raises(ShapeError, match="same events"):
        closure(frame(), at(nominal(20_000, 1000), 1.0, 0.0), at_zero=at(nominal(10_000, 7), 0.0, 0.0))


def test_the_shift_is_the_mean_of_toys() -> None:
    """The expectation in closed form is what pseudo-data sets of the project's own test scatter around."""
    there = nominal(20_000, 4)
    made = frame(seed=3)
    point = closure(made, at(there, 2.0, 0.0))
    test = KernelTest(widths=1.0, n_centers=30, penalty=1e-5, statistic="linear")
    test.fit(made.z[:10_000], expected=N_DATA, settings=nominal(500, 99))
    pseudo = test.pseudo_data(made.z[10_000:], {})
    null = pseudo.statistics(0, TOYS, 1)
    t = other_statistics(pseudo, 0, (Other(there + SHIFT * 2.0, N_DATA),), TOYS, 2)
    found = (t.mean() - null.mean()) / null.std()
    error = np.hypot(t.std(), null.std()) / null.std() / np.sqrt(TOYS)
    assert found == pytest.approx(point.ignored.values[0], abs=4 * error + 0.02 * found)


def test_a_wrong_ratio_does_not_close() -> None:
    point = closure(frame(wrong_delta), at(nominal(20_000, 5), 2.0, 0.0))
    value, error = point.weighted.worst
    assert value > 3 * error
    assert value < point.ignored.worst[0]


def test_rates_come_from_the_same_generated_events() -> None:
    """Half of the events fall below a threshold: the yield is a ratio of acceptances, not a count of another pool."""
    x = nominal(20_000, 6)
    kept = x[:, 0] > 0

    def half(z: Floats) -> tuple[Floats, Floats]:
        return np.full((len(z), 1), np.log(0.5)), np.zeros((len(z), 1, 1))

    events = moved([1.0], x, kept.astype(float), np.ones(len(x)))
    point = closure(frame(half), events)
    assert point.rate == pytest.approx(kept.mean())
    assert point.predicted_rate == pytest.approx(0.5)


def test_auc_beside_it_and_the_record_of_a_ratio() -> None:
    points = [closure(frame(), at(nominal(20_000, 7), nu, 0.0), with_auc=True) for nu in (-2.0, 2.0)]
    for point in points:
        assert point.auc is not None
        assert point.auc_ignored is not None
        assert abs(point.auc[0] - 0.5) < 4 * point.auc[1]
        assert point.auc_ignored[0] > 0.5 + 10 * point.auc_ignored[1]
    record = closure_record(points, N_DATA)
    assert record.nu == ((-2.0, 0.0), (2.0, 0.0))
    assert record.shift == tuple(point.weighted.values[0] for point in points)


def test_pools_must_be_disjoint_and_of_as_many_parameters() -> None:
    x = nominal(20_000, 1)
    with pytest.raises(OverlapError, match="nominal pool"):
        closure(frame(), at(x, 0.0, 0.0))
    with pytest.raises(ShapeError, match="nuisance parameters"):
        closure(frame(), moved([1.0], nominal(20_000, 8)))
