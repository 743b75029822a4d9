"""Pseudo-data: the toys of a calibration with signal on top, fitted as data are."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
import torch

from tests.power.problems import N, fitted, pseudo_data, recorded, sample, samples, signals, summary
from tests.search.problems import Floats
from unseen.errors import NotEnoughEventsError, OverlapError, ShapeError, UnknownNameError
from unseen.search import PseudoData
from unseen.search.compute import TOLERANCES

SEED = 11


@pytest.fixture(scope="module")
def converged() -> PseudoData:
    return pseudo_data()


def at_all_widths(data: PseudoData, *arguments: object) -> Floats:
    return np.stack([data.statistics(k, *arguments) for k in range(data.n_maps)], axis=1)


@pytest.mark.parametrize(
    ("options", "method", "reference", "n_data"),
    [
        ({}, "toys", "redrawn", None),
        ({}, "toys", "fixed", None),
        ({"statistic": "one_step"}, "toys", "redrawn", None),
        ({"statistic": "linear"}, "linear", "redrawn", None),
        ({"normalisation": "constrained(0.1)"}, "toys", "redrawn", None),
        ({"normalisation": "free"}, "toys", "redrawn", 90),
        ({"precision": "mixed", "rank_tolerance": 0.01}, "toys", "redrawn", None),
    ],
)
def test_background_is_what_a_calibration_throws(
    options: dict[str, object], method: str, reference: str, n_data: int | None
) -> None:
    test, pool = fitted(**options), samples().pool
    null = test.calibrate(pool, method=method, n_toys=40, seed=SEED, reference=reference, n_data=n_data)
    data = test.pseudo_data(pool, signals(), reference=reference)
    np.testing.assert_array_equal(at_all_widths(data, 40, SEED, None, 0, n_data), null.t)


@pytest.mark.parametrize(("statistic", "error"), [("converged", 4.0), ("one_step", 1e-7), ("linear", 1e-9)])
def test_no_events_of_a_signal_are_background(statistic: str, error: float) -> None:
    """The signal's rows take part with weight zero. That changes the rounding, and where an iteration ends.

    It ends at a t known to 2 sqrt(t) delta: `error` is in units of that for the converged fit, else relative.
    """
    data = pseudo_data(statistic=statistic)
    without, none_of = (at_all_widths(data, 30, SEED, name, 0) for name in (None, "bump"))
    exact = statistic != "converged"
    tolerance = error * without if exact else error * np.sqrt(without.max()) * TOLERANCES[torch.float64]
    assert (np.abs(none_of - without) <= tolerance).all()


def test_signal_is_on_top_of_the_same_background(converged: PseudoData) -> None:
    background = recorded(20, SEED, None, 0, None)
    for n_signal in (0, 1, 30):
        toys = recorded(20, SEED, "bump", n_signal, None)
        np.testing.assert_array_equal(toys[:, [0, 3]], background[:, [0, 3]])
        np.testing.assert_array_equal(toys[:, 1], background[:, 1] + n_signal)
        assert set(toys[:, 2]) == {n_signal}
        plan = converged.simulation.plan(20, SEED, None, (n_signal, 120))
        np.testing.assert_array_equal([summary(plan.draw(toy), 120) for toy in range(20)], toys)
    chosen = np.stack([converged.simulation.plan(400, SEED, None, (30, 120)).draw(toy)[-120:] for toy in range(400)])
    each = (chosen < 0).sum(axis=0)  # 400 toys of 30 among 120: binomial, 100 +- 8.7
    assert abs(each - 100).max() < 5 * np.sqrt(400 * 0.25 * 0.75)


@pytest.mark.parametrize("statistic", ["converged", "one_step"])
@pytest.mark.parametrize(
    ("reference", "normalisation"),
    [("redrawn", "known"), ("fixed", "known"), ("redrawn", "constrained(0.1)"), ("redrawn", "free")],
)
def test_t_is_that_of_a_search_in_the_same_events(statistic: str, reference: str, normalisation: str) -> None:
    own, options = samples(), {"statistic": statistic, "normalisation": normalisation}
    data = pseudo_data(reference, **options)
    n_data = 80 if normalisation == "free" else None
    t = at_all_widths(data, 4, SEED, "ring", 25, n_data)
    plan = data.simulation.plan(4, SEED, n_data, (25, len(own.signals["ring"])))
    assert (np.ptp(plan.expected) > 0) == normalisation.startswith("constrained")
    union = np.vstack([own.reference, own.pool, own.signals["ring"]])
    for toy in range(4):
        in_reference, in_data = plan.rows(toy)
        assert np.array_equal(in_reference, np.arange(len(own.reference))) == (reference == "fixed")
        test = fitted(**options).fit(union[in_reference], expected=plan.expected[toy], settings=own.settings)
        expected = test.statistic(union[in_data]).t
        tolerance = {"converged": 10 * np.sqrt(expected.max()) * TOLERANCES[torch.float64], "one_step": 1e-7}[statistic]
        np.testing.assert_allclose(t[toy], expected, rtol=1e-7, atol=tolerance)


def test_the_linear_statistic_is_that_of_a_search() -> None:
    own, data = samples(), pseudo_data(statistic="linear")
    t = at_all_widths(data, 4, SEED, "ring", 25)
    plan = data.simulation.plan(4, SEED, None, (25, 120))
    union = np.vstack([own.reference, own.pool, own.signals["ring"]])
    for toy in range(4):
        in_reference, in_data = plan.rows(toy)
        test = fitted(statistic="linear").fit(union[in_reference], expected=N, settings=own.settings)
        np.testing.assert_allclose(t[toy], test.statistic(union[in_data]).t, rtol=1e-8)


def test_a_signal_raises_t(converged: PseudoData) -> None:
    """At the large width: no centre of the small one is near the signal."""
    t = [converged.statistics(1, 30, SEED, "bump", n) for n in (0, 10, 30)]
    assert (np.diff(t, axis=0) > 0).mean() > 0.9


@pytest.mark.parametrize("what", ["reference", "pool", "settings"])
def test_a_signal_that_was_used_elsewhere_is_refused(what: str) -> None:
    own = samples()
    used = np.vstack([getattr(own, what)[:10], own.signals["bump"]])
    with pytest.raises(OverlapError, match=rf"10 of 130 events of signal 'a' are also in the {what}"):
        fitted().pseudo_data(own.pool, {"bump": own.signals["bump"], "a": used})


def test_signals_are_checked(converged: PseudoData) -> None:
    own = samples()
    with pytest.raises(NotEnoughEventsError, match="with 121 signal events were asked for, there are 120"):
        converged.statistics(0, 5, 1, "bump", 121)
    with pytest.raises(UnknownNameError, match="no signal 'bum'; did you mean 'bump'"):
        converged.statistics(0, 5, 1, "bum", 5)
    with pytest.raises(NotEnoughEventsError, match="there are 0"):
        converged.statistics(0, 5, 1, None, 5)
    with pytest.raises(NotEnoughEventsError, match="the pool has 500 events"):
        converged.statistics(0, 5, 1, "bump", 5, 501)
    with pytest.raises(ShapeError, match="signal 'flat' has 3 features"):
        fitted().pseudo_data(own.pool, {"flat": np.ones((10, 3))})


def test_a_copy_for_another_process_has_the_results_and_not_what_was_computed() -> None:
    data = pseudo_data()
    before = len(pickle.dumps(data))
    t = at_all_widths(data, 20, SEED, "bump", 10)
    assert data._held
    assert data.simulation._held
    packed = pickle.dumps(data)
    assert len(packed) < 1.01 * before
    copy = pickle.loads(packed)
    for held in (copy._held, copy.simulation._held, copy.simulation.fitted._held, copy.simulation.fitted._forms):
        assert not held
    np.testing.assert_array_equal(at_all_widths(copy, 20, SEED, "bump", 10), t)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            found.append(at_all_widths(pseudo_data(), 20, SEED, "bump", 10))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_several_threads_may_use_it_at_once() -> None:
    alone = {(k, name): pseudo_data().statistics(k, 20, SEED, name, 10) for k in (0, 1) for name in signals()}
    shared, found = pseudo_data(), {}

    def work(first: int) -> None:
        for i in range(8):
            k, name = (first + i) % 2, list(signals())[(i // 2) % 2]
            found[first, i, k, name] = shared.statistics(k, 20, SEED, name, 10)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    for (_, _, k, name), t in found.items():
        np.testing.assert_array_equal(t, alone[k, name])


def test_weighted_pools_are_injected_into_as_well() -> None:
    """Weighted reference and pool: background by hit or miss, signal as it is."""
    rng, own = np.random.default_rng(0), samples()
    x, pool = sample(20, 400), sample(21, 1500)
    test = fitted().fit(x, rng.uniform(0.5, 1.0, 400), expected=N, settings=own.settings)
    data = test.pseudo_data(pool, signals(), weights=rng.uniform(0.5, 1.0, 1500))
    plan = data.simulation.plan(10, SEED, None, (15, 120))
    for toy in range(10):
        in_reference, in_data = plan.rows(toy)
        assert len(in_reference) == 400
        assert (in_data >= 1900).sum() == 15
    assert np.isfinite(at_all_widths(data, 10, SEED, "bump", 15)).all()
