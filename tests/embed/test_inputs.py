"""Physics inputs: the axis without jumps, the features an analyst computes, the scale of the training sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.embed.toy import SCHEMA
from unseen.embed.inputs import PhysicsConfig, Scaling, learn_scaling, scaled_inputs
from unseen.embed.inputs.axis import reference_axis
from unseen.embed.inputs.kinematics import delta_phi, pair_features
from unseen.embed.inputs.physics import PhysicsInputs
from unseen.errors import CorruptFileError, SchemaError, ShapeError
from unseen.events import ADC2021, Collection, Events, Schema
from unseen.events.normalisation import Normalisation
from unseen.events.observables import dilepton_mass, ht, jet_multiplicity, transverse_mass


def built(schema: Schema = ADC2021, **settings: object) -> PhysicsInputs:
    inputs = PhysicsConfig.model_validate(settings).build(schema)
    assert isinstance(inputs, PhysicsInputs)
    return inputs


def event(*objects: tuple[int, float, float, float]) -> tuple[Tensor, Tensor]:
    """One ADC2021 event from (slot, pt, eta, phi)."""
    x, present = torch.zeros(1, 19, 3), torch.zeros(1, 19, dtype=torch.bool)
    for slot, *values in objects:
        x[0, slot], present[0, slot] = torch.tensor(values), True
    return x, present


def columns(kind: str, inputs: PhysicsInputs, events: Events) -> np.ndarray:
    raw = inputs.features(torch.tensor(events.objects), torch.tensor(events.present))
    assert raw.event is not None
    return raw.event.numpy()[:, [name == kind for name in inputs.kinds]]


@pytest.mark.parametrize(
    ("objects", "phi"),
    [
        ([(0, 40, 0, 1.0), (5, 30, 0, 0.5), (9, 90, 0, 2.0)], 0.5),  # the muon, though a jet is harder
        ([(0, 40, 0, 1.0), (9, 90, 0, 2.0)], 2.0),  # the jet
        ([(0, 40, 0, 1.0)], 1.0),  # nothing else
    ],
)
def test_the_axis_is_the_lepton_else_the_object_else_met(
    objects: list[tuple[int, float, float, float]], phi: float
) -> None:
    x, present = event(*objects)
    raw = built().features(x, present).objects[0]
    for slot, _, _, own in objects:
        assert raw[slot, 2:].tolist() == pytest.approx([math.cos(own - phi), math.sin(own - phi)], abs=1e-6)


def test_nothing_jumps_where_two_leptons_are_equally_hard() -> None:
    below, above = (event((1, 40.0, 0, 0.3), (5, 40.0 + step, 0, 2.0))[0] for step in (-1e-3, 1e-3))
    present = event((1, 1, 0, 0), (5, 1, 0, 0))[1]
    one, other = (built().features(x, present).objects for x in (below, above))
    # pt changes by 5e-5 of itself, the weights by 8 times that.
    assert (one - other).abs().max() < 1e-3
    opposite = event((1, 40.0, 0, 0.0), (5, 40.0, 0, math.pi))[0]
    assert built().features(opposite, present).objects[0, 1, 2:].abs().max() < 1e-5


def test_a_much_harder_lepton_is_the_axis() -> None:
    axis = reference_axis(torch.tensor([[80.0, 40.0]]), torch.tensor([[1.0, -2.0]]), torch.ones(1, 2).bool(), 8.0)
    # (1/2)^8 of the other one
    np.testing.assert_allclose(axis[0], [math.cos(1.0), math.sin(1.0)], atol=2**-7)


def test_turning_the_event_changes_no_input(w_events: Events) -> None:
    inputs = built()
    x, present = torch.tensor(w_events.objects), torch.tensor(w_events.present)
    turned = x.clone()
    turned[..., 2] = delta_phi(x[..., 2] + 1.234, torch.zeros(()))
    one, other = inputs.features(x, present), inputs.features(turned, present)
    keep = present[..., None].expand_as(one.objects)
    torch.testing.assert_close(one.objects[keep], other.objects[keep], atol=1e-4, rtol=1e-4)
    assert one.event is not None
    assert one.defined is not None
    assert other.event is not None
    # Masses of forward systems cancel: E^2 - p^2 in float32.
    torch.testing.assert_close(one.event[one.defined], other.event[one.defined], atol=5e-3, rtol=1e-3)


def test_event_features_are_those_of_the_analyst(w_events: Events) -> None:
    inputs = built()
    np.testing.assert_allclose(columns("number of jets", inputs, w_events)[:, 0], jet_multiplicity(w_events))
    np.testing.assert_allclose(columns("sum of pt of jets", inputs, w_events)[:, 0], np.log1p(ht(w_events)), rtol=1e-5)
    one = (w_events.has("electrons").sum(1) + w_events.has("muons").sum(1)) == 1
    mass = columns("transverse mass", inputs, w_events)
    lepton = np.where(w_events.has("electrons")[:, 0], mass[:, 0], mass[:, 2])
    expected = 0.5 * np.log1p(transverse_mass(w_events) ** 2)
    np.testing.assert_allclose(lepton[one], expected[one], rtol=1e-3, atol=1e-3)


def test_the_mass_of_a_pair_is_the_dilepton_mass(two_events: Events) -> None:
    mass = columns("log m of pairs", built(), two_events)
    # electrons 0, 1; muons 2, 3; jets 4, 5, 6: the muons are the pair after 6 + 5 others.
    assert mass[0, 11] == pytest.approx(np.log(dilepton_mass(two_events)[0]), rel=1e-3)
    leptons = columns("log m of leptons", built(), two_events)
    assert leptons[0, 0] == pytest.approx(mass[0, 11], rel=1e-4)


def test_pairs_with_missing_momentum_have_no_eta() -> None:
    lepton, met = torch.tensor([30.0, 2.0, 0.0]), torch.tensor([40.0, 0.0, 1.0])
    log_m, distance = pair_features(lepton, met, torch.tensor(True))
    assert log_m.item() == pytest.approx(0.5 * math.log1p(2 * 30 * 40 * (1 - math.cos(1.0))), rel=1e-5)
    assert distance.item() == pytest.approx(1.0, rel=1e-5)


def test_pair_features_and_their_derivatives_are_finite_for_equal_objects() -> None:
    x = torch.tensor([30.0, 1.0, 2.0], requires_grad=True)
    pair_features(x, x.detach(), torch.tensor(False)).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_what_is_fed_has_zero_mean_and_unit_spread_in_the_training_sample(w_events: Events) -> None:
    config, normalisation = PhysicsConfig(), Normalisation.fit(w_events, log_pt=True)
    scaling = learn_scaling(config, w_events, normalisation, pairs=True)
    inputs = scaled_inputs(config, w_events.schema, True, scaling)
    fed = inputs(torch.tensor(w_events.objects), torch.tensor(w_events.present))
    jets = w_events.schema.slots("jets")
    x = fed.objects[:, jets][fed.present[:, jets]].numpy()
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-4)
    assert fed.event is not None
    number = fed.event[:, inputs.kinds.index("number of jets")].numpy()
    assert (number.mean(), number.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    assert all(value > 0 for value in scaling.pair_scale[1])


def test_scaling_does_not_depend_on_the_blocks(w_events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    normalisation = Normalisation.fit(w_events, log_pt=True)
    whole = learn_scaling(PhysicsConfig(), w_events, normalisation, pairs=True)
    monkeypatch.setattr("unseen.embed.inputs.learn.BLOCK", 37)
    parts = learn_scaling(PhysicsConfig(), w_events, normalisation, pairs=True)
    np.testing.assert_allclose(parts.event_deviation, whole.event_deviation, rtol=1e-9)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parts.pair_scale, whole.pair_scale, rtol=1e-9)


def test_damaged_scalings_are_named() -> None:
    good = Scaling(mean=((0.0,),), deviation=((1.0,),)).model_dump(mode="json")
    for change in ({"deviation": [[0.0]]}, {"mean": [[0.0], [1.0]]}, {"event_mean": [1.0]}, {"other": 1}):
        with pytest.raises(CorruptFileError, match="here"):
            Scaling.parse(good | change, origin="here")
    with pytest.raises(ShapeError, match="inputs of"):
        scaled_inputs(PhysicsConfig(), SCHEMA, True, Scaling.parse(good))


def test_a_layout_without_angles_has_no_physics_inputs() -> None:
    schema = Schema(
        name="flat", collections=(Collection(name="jets", slots=2, type=1),), features=("pt", "x"), units=("GeV", "")
    )
    with pytest.raises(SchemaError, match="no feature 'eta'"):
        PhysicsConfig().build(schema)
