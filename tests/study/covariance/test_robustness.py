from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from tests.study.covariance.gaussian import NAMES, at, delta, nominal
from unseen.errors import ConfigError, NotEnoughEventsError, NuisanceError, OverlapError, ShapeError, UnknownNameError
from unseen.search.elsewhere import Other, other_statistics
from unseen.study.covariance import TREATMENTS, Injected, Situation, freeze_nuisances, impacts, moved, robustness

N_DATA, TOYS = 600, 150


@pytest.fixture(scope="module")
def situation() -> Situation:
    return Situation(
        nominal(300, 1),
        nominal(6000, 2),
        nominal(10_000, 3),
        delta,
        N_DATA,
        n_null=400,
        widths=1.0,
        n_centers=30,
        penalty=1e-5,
    )


def test_profiling_stays_true_where_ignoring_does_not(situation: Situation) -> None:
    points = [at(nominal(20_000, 4), 0.0, 0.0), at(nominal(20_000, 5), 2.0, 0.0)]
    z = np.random.default_rng(6).normal(2.5, 0.3, size=(2000, 1))
    bumps = {i: [Injected("bump", moved(point.nu, z), 30)] for i, point in enumerate(points)}
    cells = robustness(situation, points, signals=bumps, n_toys=TOYS, n_signal_toys=50)
    rate = {(cell.treatment, cell.nu[0], cell.signal): cell.rate for cell in cells}
    assert len(cells) == 4 * len(TREATMENTS)
    # 150 toys and 400 of the null: 0.05 +- 0.02, and pools of 20 to 30 times the data.
    assert rate["ignored", 0.0, ""] < 0.12
    assert rate["ignored", 2.0, ""] > 0.6
    assert rate["profiled", 0.0, ""] < 0.12
    assert rate["profiled", 2.0, ""] < 0.12
    # The same bump on the background that a shift of 0.2 has moved: 50 data sets know a power of 0.7 to 0.065.
    assert rate["profiled", 2.0, "bump"] > 0.6
    assert abs(rate["profiled", 2.0, "bump"] - rate["profiled", 0.0, "bump"]) < 3 * np.sqrt(2) * 0.065
    assert rate["marginalised", 0.0, ""] < 0.05
    assert rate["marginalised", 2.0, ""] < rate["ignored", 2.0, ""]
    for cell in cells:
        assert cell.low <= cell.rate <= cell.high
        assert cell.n_null == 400
        assert cell.n_toys == (50 if cell.signal else TOYS)
        assert cell.median_z <= cell.largest_z == pytest.approx(norm.isf(1 / 401))


def test_events_that_null_and_data_share_give_true_rates_from_few(situation: Situation) -> None:
    """9,000 generated events for 5,400 reference and 600 data: 300 toys and 600 of the null know 0.05 to 0.016.

    As many events for the data alone, a pool of 3,000, would raise t by a fifth.
    """
    z = nominal(9000, 30)
    same = np.arange(len(z))
    few = replace(situation, reference=z[:5400], pool=z[5400:], n_null=600, same_event=same)
    cells = robustness(few, [at(z, nu, 0.0) for nu in (-2.0, 0.0, 2.0)], treatments=["profiled"], n_toys=300)
    rates = [cell.rate for cell in cells]
    assert 0.05 - 3 * 0.016 < min(rates) <= max(rates) < 0.05 + 3 * 0.016
    with pytest.raises(ShapeError, match="same_event"):
        robustness(replace(few, same_event=same + 1), [at(z, 0.0, 0.0)], n_toys=10)


@pytest.mark.parametrize("name", TREATMENTS)
def test_every_treatment_is_calibrated_on_its_own_null(name: str, situation: Situation) -> None:
    """Equal seeds give equal bits, and p-values of toys are those of the null."""
    judge = TREATMENTS[name](situation)
    assert judge.null.t.shape == (400, 1)
    assert np.array_equal(TREATMENTS[name](situation).null.t, judge.null.t)
    point = at(nominal(20_000, 7), 0.0, 0.0)
    others = (Other(point.z, N_DATA),)
    first, second = (judge.judge(others, 20, 3, point.nu).p for _ in range(2))
    assert np.array_equal(first, second)
    assert 0.1 < first.mean() < 0.95


def test_data_of_a_pool_like_the_null_give_its_statistics(situation: Situation) -> None:
    pseudo = TREATMENTS["ignored"](situation).pseudo
    t = other_statistics(pseudo, 0, (Other(nominal(20_000, 8), N_DATA),), 400, 1)
    null = pseudo.statistics(0, 400, 1)
    assert abs(t.mean() - null.mean()) < 0.35 * null.std()  # toys 0.07, the pools' own fluctuation about 0.1


def test_the_same_events_at_nu_are_data_without_a_pool_of_their_own(situation: Situation) -> None:
    """Reference and data at nu from 7,500 generated events, of which each toy uses 6,600: still the null's statistics.

    Half of the events are selected at nu = 0 only or at nu only: they have no partner.
    """
    few = replace(situation, reference=nominal(5000, 20), pool=nominal(2500, 21))
    pseudo = TREATMENTS["profiled"](few).pseudo
    union = np.concatenate([few.reference, few.pool])
    rows = np.arange(len(union))
    owner = np.where(rows % 2 == 0, rows, -1)
    fresh = np.where((owner < 0)[:, None], nominal(len(union), 22), union)
    points = [at(fresh, nu, 0.0) for nu in (-2.0, 2.0)]
    null = pseudo.statistics(0, 400, 1)
    for point in points:
        other = Other(point.z, N_DATA * point.rate, point.weights, delta, owner)
        t = other_statistics(pseudo, 0, (other,), 200, 2, point.nu)
        assert abs(t.mean() - null.mean()) < 0.3 * null.std()  # toys 0.09
        assert 0.8 < t.std() / null.std() < 1.25
    with pytest.raises(ShapeError, match="same_event"):
        other_statistics(pseudo, 0, (replace(other, same_event=owner[1:]),), 10, 1, point.nu)
    with pytest.raises(OverlapError, match="two events"):
        other_statistics(pseudo, 0, (replace(other, same_event=np.zeros_like(owner)),), 10, 1, point.nu)


def test_a_pool_that_is_too_small_is_told_a_size_that_is_enough(situation: Situation) -> None:
    pseudo = TREATMENTS["ignored"](situation).pseudo
    z = nominal(20_000, 8)
    weights = np.where(np.arange(len(z)) % 2, 1.0, 0.5)  # three quarters are accepted
    with pytest.raises(NotEnoughEventsError, match="data events") as told:
        other_statistics(pseudo, 0, (Other(z[:800], N_DATA, weights[:800]),), 20, 1)
    enough = int(str(told.value).split("enlarge it to about ")[1].split()[0])
    with pytest.raises(NotEnoughEventsError):
        other_statistics(pseudo, 0, (Other(z[: 4 * enough // 5], N_DATA, weights[: 4 * enough // 5]),), 20, 1)
    found = other_statistics(pseudo, 0, (Other(z[:enough], N_DATA, weights[:enough]),), 20, 1)
    assert np.isfinite(found).all()


def test_bad_input_is_named(situation: Situation) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'profiled'"):
        robustness(situation, [], treatments=["profile"])
    with pytest.raises(OverlapError, match="pool for toys"):
        robustness(situation, [moved((0.0, 0.0), situation.pool)], n_toys=10)
    pseudo = TREATMENTS["profiled"](situation).pseudo
    with pytest.raises(ConfigError, match="at which nu"):
        other_statistics(pseudo, 0, (Other(nominal(5000, 9), N_DATA, ratio=delta),), 10, 1)


def test_the_parameter_that_explains_the_data_has_the_largest_impact(situation: Situation) -> None:
    found = impacts(situation, nominal(N_DATA, 10) + 0.25)
    assert [row.name for row in found][:2] == ["", "shift"]
    assert found[1].dz > 0.5
    assert found[1].p_value < found[0].p_value
    assert found[1].pull is not None
    assert found[1].pull > 1.0


def test_a_frozen_parameter_leaves_the_ratio_of_the_others() -> None:
    z = nominal(50, 11)
    free = freeze_nuisances(delta, NAMES, {"shift": 1.5})
    assert free.names == ("rate",)
    whole = delta(z)
    change = whole.log_ratio([1.5, 0.7]) - whole.log_ratio([1.5, 0.0])
    assert free(z).log_ratio([0.7]) == pytest.approx(change)
    with pytest.raises(NuisanceError, match="did you mean 'shift'"):
        freeze_nuisances(delta, NAMES, {"shft": 1.0})
