"""What every nuisance must satisfy; a new entry in the registry is tested without a new test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from tests.systematics.build import balance, config, events, one, tensors
from unseen.events import ADC2021, Schema, select
from unseen.systematics import NUISANCES, NuisanceSet, Prior, migration

every = pytest.mark.parametrize("name", sorted(NUISANCES))
SHAPES = sorted(n for n in NUISANCES if NUISANCES[n].kind == "shape")
shapes = pytest.mark.parametrize("name", SHAPES)
weights = pytest.mark.parametrize("name", sorted(n for n in NUISANCES if NUISANCES[n].kind != "shape"))
COLUMNS = ("objects", "present", "weight", "label")


@every
def test_zero_is_the_identity_bit_for_bit(name: str) -> None:
    sample = events(300)
    result = one(name).distort(sample, [0.0])
    assert all(np.array_equal(getattr(result, column), getattr(sample, column)) for column in COLUMNS)
    mixed = one(name).distort(sample, np.where(np.arange(300) % 2, 1.5, 0.0)[:, None])
    assert all(np.array_equal(getattr(mixed, column)[::2], getattr(sample, column)[::2]) for column in COLUMNS)
    moved = mixed.weight if NUISANCES[name].kind != "shape" else mixed.objects
    before = sample.weight if NUISANCES[name].kind != "shape" else sample.objects
    assert not np.array_equal(moved, before)


@every
def test_zero_is_the_identity_before_the_thresholds_too(name: str) -> None:
    """Events stored out of order or below threshold, which no row-wise exception may hide."""
    sample = events(100)
    low = sample.replace_objects(sample.objects[:, :, :] * [0.5, 1.0, 1.0], sample.present)
    assert np.array_equal(one(name).distort(low, [0.0]).objects, low.objects)
    tiny = one(name).distort(sample, [1e-6])
    assert np.abs(tiny.objects - sample.objects).max() < 1e-3  # GeV
    assert np.array_equal(tiny.present, sample.present)
    np.testing.assert_allclose(tiny.weight, sample.weight, rtol=1e-5)


@every
def test_a_width_of_the_prior_may_be_the_unit(name: str) -> None:
    """nu = 0.5 in widths of 2 is nu = 1, bit for bit."""
    sample = events(100)
    wide = NuisanceSet([config(name).model_copy(update={"prior": Prior(width=2.0)})]).in_widths()
    here, there = wide.distort(sample, [0.5]), one(name).distort(sample, [1.0])
    assert all(np.array_equal(getattr(here, column), getattr(there, column)) for column in COLUMNS)
    assert here.nu[0] == 0.5


@every
@pytest.mark.parametrize("size", [0, 1, 400])
@pytest.mark.parametrize("value", [-5.0, -1.0, 0.3, 5.0])
def test_a_distortion_gives_events_of_the_schema(name: str, size: int, value: float) -> None:
    sample = events(400)[:size]
    result = one(name).distort(sample, np.full((size, 1), value))
    assert len(result) == size
    assert np.isfinite(result.objects).all()
    assert (result.weight > 0).all()
    assert result.nu.shape == (size, 1)
    assert (result.nu == np.float32(value)).all()
    assert (result.objects[~result.present] == 0).all()
    assert (result.objects[..., 0] >= 0).all()
    assert ((result.objects[..., 2] >= -math.pi) & (result.objects[..., 2] < math.pi)).all()
    assert result.present[:, 0].all()
    for c in ADC2021.collections:
        there, pt = result.has(c.name), result.get(c.name, "pt")
        assert (there[:, 1:] <= there[:, :-1]).all()
        assert (pt[:, 1:] <= pt[:, :-1]).all()
        assert (pt[there] > c.pt_min).all()


@every
def test_one_event_at_a_time_is_the_same(name: str) -> None:
    """The sums over slots are the only place where the size of a batch could enter: rounding only."""
    sample = events(40)
    nu = np.linspace(-2.5, 2.5, 40)[:, None]
    together = one(name).distort(sample, nu)
    for i in range(40):
        alone = one(name).distort(sample[i : i + 1], nu[i])
        assert np.array_equal(alone.present[0], together.present[i])
        np.testing.assert_allclose(alone.objects[0], together.objects[i], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(alone.weight[0], together.weight[i], rtol=1e-6)


@every
def test_tensors_are_events(name: str) -> None:
    sample = events(300)
    nu = np.random.default_rng(3).normal(0, 1.5, (300, 1)).astype(np.float32)
    expected = one(name).distort(sample, nu)
    objects, present, columns = tensors(sample)
    result = one(name).distort_tensors(objects, present, torch.tensor(nu), schema=ADC2021, columns=columns)
    assert np.array_equal(result.objects.numpy(), expected.objects)
    assert np.array_equal(result.present.numpy(), expected.present)
    np.testing.assert_array_equal(sample.weight * result.factor.numpy(), expected.weight)
    assert torch.equal(objects, tensors(sample)[0])
    assert torch.equal(present, tensors(sample)[1])


@every
def test_it_runs_on_the_device_of_the_batch(name: str) -> None:
    """Operations that mix a meta tensor with one of the CPU fail, and so do those that wait for values on a GPU."""
    objects, present, columns = tensors(events(10))
    on_meta = {key: values.to("meta") for key, values in columns.items()}
    result = one(name).distort_tensors(
        objects.to("meta"), present.to("meta"), torch.zeros(10, 1, device="meta"), schema=ADC2021, columns=on_meta
    )
    assert {x.device.type for x in result} == {"meta"}
    assert result.objects.shape == objects.shape


@every
def test_the_derivative_in_nu_is_that_of_finite_differences(name: str) -> None:
    """At nu = 0 and away from it, of the sum of all pt (which moves the MET) and of the weights."""
    sample = events(200)
    objects, present, columns = tensors(sample)

    def total(nu: torch.Tensor) -> torch.Tensor:
        result = one(name).distort_tensors(objects.double(), present, nu, schema=ADC2021, columns=columns)
        return torch.cat([result.objects[..., 0].sum(1), result.factor])

    for value in (0.0, 0.7):
        nu = torch.full((200, 1), value, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(total(nu).sum(), nu)
        step = 1e-6
        difference = (total(nu.detach() + step) - total(nu.detach() - step)) / (2 * step)
        numeric = difference[:200] + difference[200:]
        assert torch.isfinite(slope).all()
        # Where an object crosses a threshold within the step the difference is not a derivative.
        smooth = numeric.abs() < 1e4
        assert smooth.sum() >= 198
        torch.testing.assert_close(slope[smooth, 0], numeric[smooth], rtol=1e-4, atol=1e-5)


@shapes
def test_weights_stay_and_absent_objects_stay_absent(name: str) -> None:
    sample = events(300)
    for value in (-2.0, 2.0):
        result = one(name).distort(sample, [value])
        assert np.array_equal(result.weight, sample.weight)
        for c in ADC2021.collections:
            if name != "soft-pileup" or c.name != "jets":
                assert (result.has(c.name).sum(1) <= sample.has(c.name).sum(1)).all()


@weights
def test_objects_stay_and_weights_are_positive(name: str) -> None:
    sample = events(300)
    for value in (-5.0, 5.0):
        result = one(name).distort(sample, [value])
        assert np.array_equal(result.objects, sample.objects)
        np.testing.assert_allclose(result.weight / sample.weight, one(name).factor(sample, [value]))


@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"unclustered-met", "soft-pileup", "variation"}))
def test_the_met_balances_what_is_measured(name: str) -> None:
    """MET plus objects is what is unclustered: the distortions of objects leave it, without thresholds.

    Left out: those that move what is unclustered, and the one that brings its own MET.
    """
    sample = events(300)
    open_schema = Schema(
        name="open", collections=tuple(c.model_copy(update={"pt_min": 0.0}) for c in ADC2021.collections)
    )
    stored = type(sample).create(open_schema, sample.objects, sample.present)
    result = one(name).distort(stored, [2.0])
    assert not np.array_equal(result.objects[:, 0], stored.objects[:, 0])
    np.testing.assert_allclose(balance(result), balance(stored), atol=1e-3)  # GeV, float32


@every
def test_random_parts_belong_to_the_event_and_the_seed(name: str) -> None:
    sample = events(400)
    order = np.random.default_rng(0).permutation(400)
    first = one(name).distort(sample, [2.0])
    assert one(name).distort(sample[order], [2.0]) == first[order]
    assert one(name).distort(sample, [2.0], seed=0) == first
    other = one(name).distort(sample, [2.0], seed=1)
    assert np.array_equal(other.objects, first.objects) != (name in ("jet-resolution", "soft-pileup"))


@pytest.mark.parametrize("name", ["jet-scale", "electron-scale", "muon-scale", "energy-scale", "variation"])
def test_momenta_rise_with_their_scale(name: str) -> None:
    sample = events(200)
    collection = "jets" if name == "variation" else str(getattr(config(name), "collection", "jets"))
    pts = [one(name).distort(sample, [nu]).get(collection, "pt") for nu in (-2, -1, 0, 1, 2)]
    there = sample.has(collection)
    for low, high in itertools.pairwise(pts):
        assert (high[there] > low[there]).all()


@pytest.mark.parametrize("name", ["lepton-efficiency", "normalisation"])
def test_weights_rise_with_the_rate(name: str) -> None:
    sample = events(200)
    leptons = (sample.has("electrons").sum(1) + sample.has("muons").sum(1)) > 0
    moved = leptons if name == "lepton-efficiency" else np.ones(200, bool)
    factors = [one(name).factor(sample, [nu]) for nu in (-2, -1, 0, 1, 2)]
    for low, high in itertools.pairwise(factors):
        assert (high[moved] > low[moved]).all()


def test_built_in_ones_commute_but_for_pile_up() -> None:
    """All read the nominal event, so their order matters only for jets that pile-up adds and others then scale."""
    sample = events(400)
    names = [each for each in NuisanceSet.builtin().names if each != "soft-pileup"]
    forward, backward = (NuisanceSet([config(each) for each in order]) for order in (names, names[::-1]))
    nu = np.random.default_rng(1).normal(size=(400, len(names)))
    first, second = forward.distort(sample, nu), backward.distort(sample, nu[:, ::-1])
    assert np.array_equal(first.present, second.present)
    np.testing.assert_allclose(first.objects, second.objects, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(first.weight, second.weight, rtol=1e-5)


def test_events_migrate_both_ways_and_are_flagged() -> None:
    sample = events(4000)
    for value, way in ((-2.0, "lost"), (2.0, "gained")):
        result = NuisanceSet.builtin().subset("electron-scale", "muon-scale").distort(sample, [value, value])
        moved = migration(sample, result)
        assert getattr(moved, way).sum() > 20
        assert getattr(moved, "gained" if way == "lost" else "lost").sum() == 0
        assert (moved.acceptance < 1) == (way == "lost")
        flag = result.record["selected"]
        assert np.array_equal(flag, moved.kept | moved.gained)
        assert len(select(result)) == flag.sum()
        assert np.array_equal(select(result).record["source"], sample.record["source"][flag])
