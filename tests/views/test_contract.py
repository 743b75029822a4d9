"""What every view must satisfy; a new entry in the registry is tested without a new test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.views.build import build, events, seen, tensors
from unseen.embed.data import Batch
from unseen.embed.expand import Expansion
from unseen.embed.labels import Labelling
from unseen.events import ADC2021
from unseen.views import VIEWS
from unseen.views.layout import Layout

views = pytest.mark.parametrize("name", sorted(VIEWS))


@views
@pytest.mark.parametrize("size", [0, 1, 500])
def test_a_view_gives_events_of_the_schema(name: str, size: int) -> None:
    sample = events(500)[:size]
    objects, present = tensors(sample)
    result = seen(name, sample, seed=3)
    torch.testing.assert_close(objects, tensors(sample)[0], rtol=0, atol=0)
    assert torch.equal(present, tensors(sample)[1])
    assert result.objects.shape == objects.shape
    assert result.objects.dtype == torch.float32
    assert result.present.shape == present.shape
    assert result.present.dtype == torch.bool
    assert result.parameters.shape == (size, VIEWS[name]().n_parameters)
    assert result.parameters.dtype == torch.float32
    assert torch.isfinite(result.objects).all()
    assert torch.isfinite(result.parameters).all()
    assert (result.objects[~result.present] == 0).all()
    phi = result.objects[..., 2]
    assert ((phi >= -math.pi) & (phi < math.pi)).all()
    assert (result.objects[..., 0] >= 0).all()
    assert result.present[:, 0].all()
    layout = Layout(ADC2021)
    for slots in layout.collections.values():
        there, pt = result.present[:, slots], result.objects[:, slots, 0]
        # Objects that are there come first.
        assert (there[:, 1:] <= there[:, :-1]).all()
        if VIEWS[name].sorts:
            assert (pt[:, 1:] <= pt[:, :-1]).all()
    if VIEWS[name].sorts:
        visible = result.present & layout.visible
        above = (result.objects[..., 0] > layout.pt_min) & (result.objects[..., 1].abs() < layout.eta_max)
        assert above[visible].all()


@views
def test_the_input_is_not_changed(name: str) -> None:
    objects, present = tensors(events(200))
    before = objects.clone(), present.clone()
    result = build(name)(objects, present, torch.Generator().manual_seed(0))
    assert torch.equal(objects, before[0])
    assert torch.equal(present, before[1])
    # A view whose partners are drawn with the batch changes nothing by itself: tests/embed/test_partners.py.
    assert torch.equal(result.objects, objects) == VIEWS[name].partners


@views
def test_the_generator_is_the_only_randomness(name: str) -> None:
    sample = events(200)
    torch.manual_seed(1)
    first = seen(name, sample, seed=5)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again, other = seen(name, sample, seed=5), seen(name, sample, seed=6)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(first.objects, other.objects) == VIEWS[name].partners


@views
def test_garbage_in_absent_slots_never_matters(name: str) -> None:
    objects, present = tensors(events(200))
    garbage = torch.where(present[..., None], objects, 1e3)
    view = build(name)
    clean, dirty = (view(x, present, torch.Generator().manual_seed(1)) for x in (objects, garbage))
    assert torch.equal(clean.present, dirty.present)
    torch.testing.assert_close(clean.objects[clean.present], dirty.objects[clean.present], rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(name for name in VIEWS if not VIEWS[name].mixes))
def test_events_do_not_see_each_other(name: str) -> None:
    sample = events(100)
    changed = sample.objects.copy()
    changed[50:] *= 1.5
    other = sample.replace_objects(changed, sample.present)
    first, second = seen(name, sample, seed=2), seen(name, other, seed=2)
    assert all(torch.equal(a[:50], b[:50]) for a, b in zip(first, second, strict=True))


@views
def test_an_event_without_objects_stays_finite(name: str) -> None:
    sample = events(50)
    present = np.zeros_like(sample.present)
    for met in (False, True):
        present[:, 0] = met
        result = seen(name, sample.replace_objects(sample.objects, present))
        assert torch.isfinite(result.objects).all()
        assert torch.isfinite(result.parameters).all()


@views
def test_a_view_changes_no_label(name: str) -> None:
    sample = events(60)
    target = np.arange(60) % 3
    batch = Batch.of(sample, Labelling(target, ("a", "b", "c")), np.arange(60.0))
    if VIEWS[name].partners:
        batch = replace(batch, partner_objects=batch.objects[:, None], partner_present=batch.present[:, None])
    view = build(name)
    rows = Expansion([view], 2, [], VIEWS[name]().n_parameters)(batch, torch.Generator().manual_seed(0))
    assert torch.equal(rows.target, batch.target.repeat(2))
    assert torch.equal(rows.instance, batch.instance.repeat(2))
    assert torch.equal(rows.weight, batch.weight.repeat(2))
    assert torch.equal(rows.levels, batch.levels.repeat(2, 1))


@views
def test_a_view_runs_on_the_device_of_the_batch_and_has_no_weights(name: str) -> None:
    view = build(name)
    assert view.state_dict() == {}
    # Operations that mix a meta tensor with one of the CPU fail, and so do those that wait for values on a GPU.
    objects, present = (x.to("meta") for x in tensors(events(10)))
    result = view.to("meta")(objects, present, torch.Generator())
    assert {x.device.type for x in result} == {"meta"}
    assert result.objects.shape == objects.shape


@views
def test_settings_survive_json(name: str) -> None:
    config = VIEWS[name]()
    assert VIEWS[name].model_validate(config.model_dump(mode="json")) == config
