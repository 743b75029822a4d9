"""The views that anomalies are made with: overlays, tau decays, invisible particles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.views.build import build, events, tensors
from unseen.errors import SchemaError
from unseen.events import ADC2021, Collection, Schema
from unseen.events.selection import passes
from unseen.views import VIEWS
from unseen.views.layout import Layout
from unseen.views.trigger import Trigger

BARE = Schema(name="bare", collections=(Collection(name="jets", slots=3, type=1),))


def momentum(objects: torch.Tensor) -> torch.Tensor:
    pt, phi = objects[:, 0, 0], objects[:, 0, 2]
    return torch.stack([pt * phi.cos(), pt * phi.sin()], dim=1)


def test_an_overlay_holds_both_events() -> None:
    objects, present = tensors(events(400))
    seen = build("overlay")(objects, present, torch.Generator().manual_seed(1))
    before, after = present.sum(dim=1), seen.present.sum(dim=1)
    assert (after >= before).all()
    slots = Layout(ADC2021).collections["muons"]
    few = before == 2  # the MET and one object: nothing of it can be crowded out
    own = objects[few][:, 1:].amax(dim=(1, 2))
    assert torch.isclose(seen.objects[few][:, 1:, 0], own[:, None]).any(dim=1).all()
    # Every event is a partner once, so all muons are there twice but those beyond four slots: 5 % of Poisson(2).
    total = seen.present[:, slots].sum()
    assert total <= 2 * present[:, slots].sum()
    assert total >= 1.8 * present[:, slots].sum()


def test_the_missing_momenta_of_an_overlay_add_as_vectors() -> None:
    objects, present = tensors(events(4000, seed=2))
    seen = build("overlay")(objects, present, torch.Generator().manual_seed(1))
    square = momentum(objects).square().sum(dim=1)
    # The angle between the two is uniform, so the mean square doubles; the cross term scatters around 0.
    cross = momentum(seen.objects).square().sum(dim=1) - 2 * square.mean()
    assert abs(float(cross.mean())) < 5 * float(cross.std()) / np.sqrt(len(cross))


def test_one_event_is_laid_over_itself() -> None:
    objects, present = tensors(events(1))
    seen = build("overlay")(objects, present, torch.Generator().manual_seed(1))
    assert int(seen.present.sum()) >= int(present.sum())


def test_leptons_of_taus_have_their_spectrum_and_the_momentum_is_kept() -> None:
    objects, present = tensors(events(20_000, seed=3))
    objects[..., 0] *= torch.where(
        Layout(ADC2021).slots_of(["electrons", "muons"]), 100.0, 1.0
    )  # none falls below 3 GeV
    seen = build("decay-taus")(objects, present, torch.Generator().manual_seed(1))
    first = Layout(ADC2021).collections["electrons"].start
    alone = present[:, first] & ~present[:, first + 1] & seen.present[:, first]
    x = (seen.objects[alone, first, 0] / objects[alone, first, 0]).double()
    # dN/dx = (5 - 9 x^2 + 4 x^3) / 3: mean 7/20, and <x^2> = 8/45 from the same integral.
    n = len(x)
    assert abs(float(x.mean()) - 7 / 20) < 5 * float(x.std()) / np.sqrt(n)
    assert abs(float(x.square().mean()) - 8 / 45) < 5 * float(x.square().std()) / np.sqrt(n)
    layout = Layout(ADC2021)
    kept = (seen.present == present).all(dim=1)
    before = layout.momentum(objects, present) + momentum(objects)
    after = layout.momentum(seen.objects, seen.present) + momentum(seen.objects)
    torch.testing.assert_close(before[kept], after[kept], rtol=1e-3, atol=0.5)


def test_a_kick_has_the_asked_size_and_no_direction() -> None:
    objects, present = tensors(events(20_000, seed=4))
    seen = build({"name": "kick-met", "mean": 25.0})(objects, present, torch.Generator().manual_seed(1))
    kick = momentum(seen.objects) - momentum(objects)
    size = kick.norm(dim=1)
    assert abs(float(size.mean()) - 25.0) < 5 * 25.0 / np.sqrt(len(size))
    assert (kick.mean(dim=0).abs() < 5 * kick.std(dim=0) / np.sqrt(len(size))).all()
    torch.testing.assert_close(25.0 * seen.parameters, kick, rtol=1e-3, atol=0.05)
    assert torch.equal(seen.objects[:, 1:], objects[:, 1:])


def test_the_trigger_of_a_batch_is_the_selection_of_events() -> None:
    sample = events(2000, seed=5)
    expected = passes(sample, ADC2021.selection)
    assert 0 < expected.mean() < 1
    assert np.array_equal(Trigger(ADC2021)(*tensors(sample)).numpy(), expected)
    assert Trigger(BARE)(torch.zeros(3, 3, 3), torch.zeros(3, 3, dtype=torch.bool)).all()


@pytest.mark.parametrize("name", ["decay-taus", "kick-met"])
def test_what_a_schema_lacks_is_named(name: str) -> None:
    with pytest.raises(SchemaError, match="bare"):
        VIEWS[name]().build(BARE)
