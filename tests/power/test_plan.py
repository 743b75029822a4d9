"""What a study computes: seeds that stay, nulls that are shared, and the numbers of events of every toy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.power.problems import N, pseudo_data, recorded, rival
from unseen.errors import ConfigError
from unseen.power import KernelCandidate, Scan
from unseen.power.plan import Chunk, Sample, chunks, samples

SCAN = Scan(("bump", "ring"), (0, 10, 20), n_toys=30, n_null=50, seed=1, chunk=10)


@pytest.fixture(scope="module")
def candidates() -> dict[str, Any]:
    return {"kernel": KernelCandidate(pseudo_data()), "mmd": rival("mmd")}


def planned(scan: Scan, candidates: dict[str, Any], *, nulls: bool = True) -> list[Chunk]:
    return list(chunks(scan, candidates, dict.fromkeys(candidates, nulls)))


def test_all_tests_and_columns_see_the_same_seeds(candidates: dict[str, Any]) -> None:
    assert {name: candidate.columns for name, candidate in candidates.items()} == {"kernel": 2, "mmd": 1}
    seeds: dict[tuple[str, int], dict[tuple[Sample, int], int]] = {}
    for chunk in planned(SCAN, candidates):
        seeds.setdefault((chunk.test, chunk.column), {})[chunk.sample, chunk.index] = chunk.seed
    assert list(seeds) == [("kernel", 0), ("kernel", 1), ("mmd", 0)]
    first, *others = seeds.values()
    assert all(other == first for other in others)
    assert len(set(first.values())) == len(first) == 5 + 2 * 3 * 3


def test_a_longer_scan_extends_a_shorter_one(candidates: dict[str, Any]) -> None:
    short = set(planned(SCAN, candidates))
    assert short < set(planned(replace(SCAN, n_toys=45, n_null=90), candidates))
    assert short < set(planned(replace(SCAN, injections=(5, 0, 10, 40, 20)), candidates))
    assert short < set(planned(replace(SCAN, signals=("bump", "other", "ring")), candidates))
    assert short.isdisjoint(planned(replace(SCAN, seed=2), candidates))


def test_a_chunk_that_is_not_full_keeps_its_seed(candidates: dict[str, Any]) -> None:
    for n in (41, 50):
        last = [chunk for chunk in planned(replace(SCAN, n_null=n), candidates) if chunk.sample.signal is None][4]
        assert (last.index, last.n_toys) == (4, n - 40)
    assert last.seed == planned(replace(SCAN, n_null=41), candidates)[4].seed


def test_the_null_is_thrown_once_for_all_signals_and_only_where_it_is_needed() -> None:
    assert samples(SCAN, True)[0] == (Sample(None, 0, None), 50)
    assert [sample.signal for sample, _ in samples(SCAN, True)] == [None, *["bump"] * 3, *["ring"] * 3]
    assert {n for sample, n in samples(SCAN, True) if sample.signal} == {30}
    assert samples(SCAN, False) == samples(SCAN, True)[1:]


def test_a_test_of_shape_has_a_null_for_every_injection_and_toys_of_fixed_size() -> None:
    scan = replace(SCAN, fixed_data=80)
    for n in scan.injections:
        null, data = scan.null(n), scan.with_signal("bump", n)
        assert (null, data) == (Sample(None, 0, 80 + n), Sample("bump", n, 80))
        of_null = recorded(20, 5, None, 0, null.n_data)
        of_data = recorded(20, 5, "bump", data.n_signal, data.n_data)
        np.testing.assert_array_equal(of_null[:, :3], [[400, 80 + n, 0]] * 20)
        np.testing.assert_array_equal(of_data[:, :3], [[400, 80 + n, n]] * 20)
    assert [sample.n_data for sample, _ in samples(scan, True)] == [80, 90, 100, *[80] * 6]
    names = [sample.name for sample, _ in samples(scan, True)]
    assert len(set(names)) == len(names)


def test_a_thrown_yield_has_the_expected_mean_and_the_signal_on_top() -> None:
    n_toys = 400
    toys = recorded(n_toys, 7, "ring", 20, None)
    background = toys[:, 1] - 20
    assert abs(background.mean() - N) < 4 * np.sqrt(N / n_toys)
    assert abs(background.var() / N - 1) < 4 * np.sqrt(2 / n_toys)
    assert set(toys[:, 2]) == {20}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signals": ()}, "at least one signal"),
        ({"injections": ()}, "one number of signal events"),
        ({"injections": (0, -5)}, r"different and not negative, got \(0, -5\)"),
        ({"injections": (0, 5, 5)}, r"different and not negative, got \(0, 5, 5\)"),
        ({"n_toys": 0}, "n_toys is 0"),
        ({"n_null": 0}, "n_null 0"),
    ],
)
def test_scans_that_cannot_be_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SCAN, **changes)
