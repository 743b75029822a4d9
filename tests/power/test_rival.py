"""The rivals in a study: the kernel test's toys, columns that belong to their injections, and a known ceiling."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.power.problems import Recorder, pseudo_data, recorded, sample, samples, signals, summary
from tests.rivals.problems import SMALL
from tests.search.problems import Floats
from unseen.errors import NotEnoughEventsError, UnknownNameError
from unseen.power import Scan, ToyStore, power_result, run_scan
from unseen.power.ceiling import ceiling_contender, learned_ceiling
from unseen.power.rival import RivalCandidate, Samples, rival_contender
from unseen.rivals import Ceiling, Points, signal_needed
from unseen.workers.serial import Serial

EXPECTED = 1000.0
BACKGROUND, SIGNAL = stats.norm(0.0, 1.0), stats.norm(2.0, 0.3)


def log_ratio_1d(x: Floats) -> Floats:
    return SIGNAL.logpdf(x[:, 0]) - BACKGROUND.logpdf(x[:, 0])


@pytest.mark.parametrize(("name", "n_signal", "n_data"), [(None, 0, None), ("bump", 20, None), ("ring", 5, 90)])
def test_a_rival_sees_the_toys_of_the_kernel_test(name: str | None, n_signal: int, n_data: int | None) -> None:
    data = pseudo_data(normalisation="free" if n_data else "known")
    n_source = 0 if name is None else len(signals()[name])
    plan = data.simulation.plan(15, 9, n_data, (n_signal, n_source))
    expected = [summary(plan.draw(toy), n_source) for toy in range(15)]
    np.testing.assert_array_equal(recorded(15, 9, name, n_signal, n_data), expected)


def test_batches_do_not_change_toys() -> None:
    own = samples()
    one_by_one = Recorder(120).train(own.settings, np.random.default_rng(0))
    one_by_one.batch = 1
    t = RivalCandidate((one_by_one,), own).statistics(0, 70, 4, "bump", 10, None)
    np.testing.assert_array_equal(t, recorded(70, 4, "bump", 10, None))


@pytest.mark.parametrize("name", [name for name in SMALL if name != "ceiling"])
def test_every_rival_can_be_sent_and_changes_signals(name: str) -> None:
    contender = rival_contender(SMALL[name](), samples())
    candidate = contender.candidate
    assert candidate.columns == 1
    assert contender.calibration == "toys"
    assert contender.needs_null_toys
    t = [candidate.statistics(0, 2, 1, signal, 30, None) for signal in ("bump", "ring")]
    assert t[0].shape == (2, len(contender.readings))
    again = candidate.statistics(0, 2, 1, "bump", 30, None)
    copy = pickle.loads(pickle.dumps(candidate))
    np.testing.assert_array_equal(again, t[0])
    np.testing.assert_array_equal(copy.statistics(0, 2, 1, "bump", 30, None), t[0])
    assert (t[0] != t[1]).any()
    with pytest.raises(UnknownNameError, match="no signal 'rin'; did you mean 'ring'"):
        candidate.statistics(0, 2, 1, "rin", 5, None)
    with pytest.raises(NotEnoughEventsError, match="there are 120"):
        candidate.statistics(0, 2, 1, "ring", 121, None)


def ceilings(injections: tuple[int, ...]) -> dict[str, Ceiling]:
    positive = sorted(n for n in injections if n > 0)
    return {"near": Ceiling(positive, log_ratio_1d), "far": Ceiling(positive, log_ratio_far)}


def log_ratio_far(x: Floats) -> Floats:
    return stats.norm.logpdf(x[:, 0], -2.5, 0.3) - BACKGROUND.logpdf(x[:, 0])


def samples_1d(n_pool: int = 4000) -> Samples:
    rng = np.random.default_rng(5)
    own = {"near": rng.normal(2.0, 0.3, (1500, 1)), "far": rng.normal(-2.5, 0.3, (1500, 1))}
    return Samples(rng.normal(size=(50, 1)), rng.normal(size=(10, 1)), rng.normal(size=(n_pool, 1)), own, EXPECTED)


def test_the_columns_of_a_ceiling_belong_to_its_injections() -> None:
    injections = (40, 0, 20)
    contender = ceiling_contender(ceilings(injections), injections, samples_1d())
    (reading,) = contender.readings
    t = contender.candidate.statistics(0, 5, 1, "near", 20, None)
    assert t.shape == (5, 4)
    for signal, log_ratio in (("near", log_ratio_1d), ("far", log_ratio_far)):
        for injection, n in enumerate(injections):
            alone = Ceiling(n or 20, log_ratio)
            expected = ceiling_contender({signal: alone}, (n,), samples_1d()).candidate
            alone_t = expected.statistics(0, 5, 1, "near", 20, None)
            np.testing.assert_allclose(reading.of(t, signal, injection), alone_t, rtol=1e-9, atol=1e-9)


def test_the_ceiling_of_a_closed_form_is_the_exact_one(tmp_path: Path) -> None:
    """With a pool of 60 N: it does not compare with a reference, so drawing without replacement lowers its spread."""
    points = Points.of_densities(BACKGROUND.pdf, SIGNAL.pdf, -8.0, 8.0)
    exact = signal_needed(points, EXPECTED, 2.0)
    injections = tuple(int(exact * share) for share in (0.0, 0.5, 0.8, 1.2, 1.6))
    contender = ceiling_contender({"near": Ceiling(injections[1:], log_ratio_1d)}, injections, samples_1d(60_000))
    scan = Scan(("near",), injections, n_toys=200, n_null=2000, seed=1)
    toys = run_scan(scan, {"ceiling": contender.candidate}, {"ceiling": True}, ToyStore(tmp_path, {}), Serial())
    curve = power_result(scan, {"ceiling": contender}, toys, {}).curve("ceiling", "near")
    found = curve.crossings[0]
    low, high = found.interval
    assert found.n is not None
    assert low is not None
    assert high is not None
    assert abs(found.n - exact) < 1.5 * (high - low)  # three standard deviations
    assert high - low < 0.3 * exact


def test_a_ceiling_that_learns_needs_events_of_its_own() -> None:
    with pytest.raises(NotEnoughEventsError, match=r"no background events are left .*lower --pool or add events"):
        learned_ceiling(samples(), np.empty((0, 2)), signals(), (0, 10), 1)


def test_a_learned_ceiling_knows_its_signal() -> None:
    """Trained on other events, one signal each; the toys of one signal are far out for its own ceiling."""
    rng = np.random.default_rng(8)
    apart = {"bump": rng.normal([2.5, -2.0], 0.15, (300, 2)), "ring": rng.normal([-2.0, 2.0], 0.5, (300, 2))}
    contender = learned_ceiling(samples(), sample(9, 600), apart, (0, 30), 1)
    (reading,) = contender.readings
    null = contender.candidate.statistics(0, 40, 1, None, 0, None)
    for signal in ("bump", "ring"):
        t = reading.of(contender.candidate.statistics(0, 10, 2, signal, 30, None), signal, 1)
        assert (t > reading.of(null, signal, 1).max()).all()
