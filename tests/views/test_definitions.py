"""What each view does to a distribution, within statistical errors: bounds are five standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.views.build import build, events, seen, tensors
from unseen.errors import ConfigError, SchemaError, UnknownNameError
from unseen.events import ADC2021, Collection, Events, Schema, Selection
from unseen.events.normalisation import Normalisation
from unseen.registry import resolve
from unseen.views import VIEWS, MaskFeaturesConfig, SmearPtConfig, apply_views
from unseen.views.layout import Layout, wrap

N = 20_000
ELECTRONS, JETS = ADC2021.slots("electrons"), ADC2021.slots("jets")
# Thresholds so loose that no view moves an object across them.
OPEN = ADC2021.model_copy(
    update={
        "collections": tuple(c.model_copy(update={"pt_min": 0.0, "abs_eta_max": None}) for c in ADC2021.collections),
        "selection": Selection(),
    }
)


def one_jet(n: int, pt: float) -> Events:
    """n events with a jet of this pt at eta 0, and MET of 50 GeV."""
    objects, present = np.zeros((n, 19, 3)), np.zeros((n, 19), dtype=bool)
    present[:, [0, 9]] = True
    objects[:, 0, 0], objects[:, 9, 0] = 50.0, pt
    objects[:, 9, 2] = np.linspace(-3, 3, n)
    return Events.create(ADC2021, objects, present)


def total(objects: Tensor, present: Tensor) -> Tensor:
    """Transverse momentum of all objects and the MET together, (n, 2)."""
    pt, phi = objects[..., 0] * present, objects[..., 2]
    return torch.stack([(pt * phi.cos()).sum(dim=1), (pt * phi.sin()).sum(dim=1)], dim=1)


def test_rotate_keeps_angles_between_objects() -> None:
    sample = events(2000)
    result = seen("rotate", sample)
    phi, before = result.objects[..., 2], torch.tensor(sample.objects[..., 2])
    turned = wrap(phi - before - torch.atan2(result.parameters[:, 1:], result.parameters[:, :1]))
    assert torch.minimum(turned.abs(), 2 * math.pi - turned.abs())[result.present].max() < 1e-5
    assert result.parameters.mean(dim=0).abs().max() < 5 * math.sqrt(0.5 / 2000)


def test_wrapped_angles_are_in_the_half_open_range() -> None:
    angles = torch.tensor([-math.pi, math.pi, -math.pi - 1e-7, -math.pi - 3e-7, 3 * math.pi, 0.5 - 4 * math.pi])
    wrapped = wrap(angles)
    assert ((wrapped >= -math.pi) & (wrapped < math.pi)).all()
    torch.testing.assert_close(wrapped[-1], torch.tensor(0.5), atol=1e-5, rtol=0)


def test_flip_changes_the_sign_of_eta_in_half_of_the_events() -> None:
    sample = events(N)
    result = seen("flip", sample)
    torch.testing.assert_close(result.objects[..., 1], torch.tensor(sample.objects[..., 1]) * result.parameters)
    assert abs(float((result.parameters < 0).float().mean()) - 0.5) < 5 * math.sqrt(0.25 / N)
    assert not torch.signbit(result.objects[..., 1][result.objects[..., 1] == 0]).any()


@pytest.mark.parametrize("follow", [False, True])
def test_drop_loses_the_share_asked_for_and_never_all(follow: bool) -> None:
    sample = events(N)
    probability = {"electrons": 0.3, "jets": 0.1}
    result = seen({"name": "drop", "probability": probability, "met": follow}, sample)
    several = sample.present[:, 1:].sum(axis=1) > 3  # the last object is spared in few of these
    for name, p in (*probability.items(), ("muons", 0.0)):
        slots = ADC2021.slots(name)
        before, after = sample.present[several][:, slots].sum(), int(result.present[several][:, slots].sum())
        assert abs(1 - after / before - p) <= 5 * math.sqrt(p * (1 - p) / before) + 0.003 * (p > 0)
    assert seen({"name": "drop", "probability": 1.0}, sample).present[:, 1:].sum(dim=1).eq(1).all()
    assert result.present[:, 1:].any(dim=1).all()
    if follow:
        torch.testing.assert_close(total(result.objects, result.present), total(*tensors(sample)), atol=1e-3, rtol=0)
    else:
        torch.testing.assert_close(result.objects[:, 0], torch.tensor(sample.objects[:, 0]), atol=0, rtol=0)


@pytest.mark.parametrize("log_pt", [True, False])
def test_a_masked_number_is_zero_for_the_network(log_pt: bool) -> None:
    sample = events(2000)
    normalisation = Normalisation.fit(events(500, seed=9), log_pt=log_pt)
    objects, present = tensors(sample)
    result = build("mask-features", log_pt)(objects, present, torch.Generator().manual_seed(0))
    masked = (result.objects != objects) & present[..., None]
    x = normalisation.apply(result.objects, result.present)
    assert x[masked].abs().max() < 1e-5
    torch.testing.assert_close(x[~masked], normalisation.apply(objects, present)[~masked])
    assert torch.equal(result.present, present)
    count = int(present[:, 1:].sum()) * 3
    share = float(masked[:, 1:].sum()) / count
    assert abs(share - 0.5) < 5 * math.sqrt(0.25 / count)


def test_masks_can_be_limited() -> None:
    sample = events(500)
    limited = {"name": "mask-features", "probability": 1.0, "collections": ["jets"], "features": ["eta"]}
    result = seen(limited, sample)
    torch.testing.assert_close(result.objects[:, : JETS.start], torch.tensor(sample.objects[:, : JETS.start]))
    torch.testing.assert_close(result.objects[..., [0, 2]], torch.tensor(sample.objects[..., [0, 2]]))
    assert result.objects[:, JETS, 1][result.present[:, JETS]].unique().numel() == 1


@pytest.mark.parametrize("pt", [50.0, 200.0])
def test_smear_pt_has_the_resolution_asked_for(pt: float) -> None:
    settings = {"name": "smear-pt", "resolution": {"jets": {"stochastic": 0.8, "noise": 3.0, "constant": 0.04}}}
    sample = one_jet(N, pt)
    objects, present = tensors(sample)
    result = resolve(settings, VIEWS, "view").build(OPEN)(objects, present, torch.Generator().manual_seed(0))
    ratio = result.objects[:, 9, 0] / pt
    sigma = math.sqrt(0.8**2 / pt + (3.0 / pt) ** 2 + 0.04**2)
    # The relative error of a standard deviation is sqrt((kurtosis - 1) / 4n), here with the kurtosis of the log-normal.
    w = math.log1p(sigma**2)
    kurtosis = math.exp(4 * w) + 2 * math.exp(3 * w) + 3 * math.exp(2 * w) - 3
    assert abs(float(ratio.std()) / sigma - 1) < 5 * math.sqrt((kurtosis - 1) / (4 * N))
    assert abs(float(ratio.mean()) - 1) < 5 * sigma / math.sqrt(N)
    assert abs(float(result.parameters.std()) - 1) < 5 * math.sqrt((kurtosis - 1) / (4 * N))
    torch.testing.assert_close(total(result.objects, result.present), total(objects, present), atol=1e-3, rtol=0)


def test_smear_pt_loses_objects_below_threshold_and_the_met_remembers_them() -> None:
    sample = one_jet(N, 31.0)
    result = seen("smear-pt", sample)
    kept = result.present[:, 9]
    assert 0.3 < float(kept.float().mean()) < 0.7
    assert result.objects[kept, 9, 0].min() > 30.0
    assert (result.objects[~kept, 0] != torch.tensor(sample.objects[:, 0])[~kept]).any(dim=1).all()
    fixed = seen({"name": "smear-pt", "met": False}, sample)
    torch.testing.assert_close(fixed.objects[:, 0], torch.tensor(sample.objects[:, 0]), atol=0, rtol=0)


def test_soft_activity_smears_each_component_of_the_met() -> None:
    sample = one_jet(N, 100.0)
    result = seen({"name": "smear-pt", "resolution": {"jets": {}}, "soft": 6.0}, sample)
    change = total(result.objects, result.present) - total(*tensors(sample))
    np.testing.assert_allclose(change.std(dim=0), 6.0, rtol=5 / math.sqrt(2 * N))
    np.testing.assert_allclose(change.mean(dim=0), 0.0, atol=5 * 6.0 / math.sqrt(N))


def test_smear_angle_has_the_resolution_asked_for() -> None:
    sample = one_jet(N, 40.0)
    settings = {"name": "smear-angle", "resolution": {"jets": {"noise": 1.2, "constant": 0.04}}}
    result = seen(settings, sample)
    eta = result.objects[:, 9, 1]
    phi = wrap(result.objects[:, 9, 2] - torch.tensor(sample.objects[:, 9, 2]))
    sigma = math.hypot(1.2 / 40, 0.04)
    for value in (eta, phi):
        assert abs(float(value.std()) / sigma - 1) < 5 / math.sqrt(2 * N)
        assert abs(float(value.mean())) < 5 * sigma / math.sqrt(N)
    assert abs(float((eta * phi).mean())) < 5 * sigma**2 / math.sqrt(N)
    torch.testing.assert_close(total(result.objects, result.present), total(*tensors(sample)), atol=1e-3, rtol=0)


def test_scale_energy_is_common_to_a_type() -> None:
    sample = events(N)
    objects, present = tensors(sample)
    config = resolve({"name": "scale-energy", "uncertainty": {"jets": 0.05, "muons": 0.01}}, VIEWS, "view")
    result = config.build(OPEN)(objects, present, torch.Generator().manual_seed(0))
    ratio = (result.objects[..., 0] / objects[..., 0]).log()
    for name, sigma, column in (("jets", 0.05, 0), ("muons", 0.01, 1), ("electrons", 0.0, None)):
        slots = ADC2021.slots(name)
        expected = 0.0 if column is None else sigma * result.parameters[:, column, None]
        difference = (ratio[:, slots] - expected)[present[:, slots]]
        assert difference.abs().max() < 1e-5
    np.testing.assert_allclose(result.parameters.std(dim=0), 1.0, rtol=5 / math.sqrt(2 * N))
    torch.testing.assert_close(total(result.objects, result.present), total(objects, present), atol=2e-3, rtol=0)


def test_parameters_of_collections_that_a_schema_lacks_are_zero() -> None:
    view = VIEWS["scale-energy"]().build(ADC2021)
    result = view(*tensors(events(100)), torch.Generator().manual_seed(0))
    np.testing.assert_array_equal((result.parameters == 0).all(dim=0), [False, True, False, True, False])


def test_split_conserves_momentum_and_follows_its_laws() -> None:
    sample = one_jet(N, 400.0)
    result = seen({"name": "split", "probability": 0.7, "z_min": 0.1, "radius": [0.5, 0.9]}, sample)
    split = result.parameters[:, 0] > 0
    assert abs(float(split.float().mean()) - 0.7) < 5 * math.sqrt(0.21 / N)
    assert torch.equal(result.present[:, 10], split)
    torch.testing.assert_close(total(result.objects, result.present), total(*tensors(sample)), atol=1e-3, rtol=0)
    torch.testing.assert_close(result.objects[:, 0], torch.tensor(sample.objects[:, 0]), atol=0, rtol=0)
    hard, soft = result.objects[split, 9], result.objects[split, 10]
    distance = torch.hypot(hard[:, 1] - soft[:, 1], wrap(hard[:, 2] - soft[:, 2]))
    assert distance.min() >= 0.5 - 1e-5
    assert distance.max() <= 0.9 + 1e-5
    # Logarithms are uniform: mean in the middle of the range, variance a twelfth of its square.
    share = soft[:, 0] / (soft[:, 0] + hard[:, 0])
    n = int(split.sum())
    for value, low, high in ((share, 0.1, 0.5), (distance, 0.5, 0.9)):
        u = (value / low).log() / math.log(high / low)
        assert abs(float(u.mean()) - 0.5) < 5 * math.sqrt(1 / 12 / n)
        assert float(u.min()) > -1e-4
        assert float(u.max()) < 1 + 1e-4


def test_split_needs_a_free_slot() -> None:
    sample = events(300)
    full = sample.present.copy()
    full[:, JETS] = True
    objects = sample.objects.copy()
    objects[:, JETS] = np.where(objects[:, JETS] == 0, 1.0, objects[:, JETS])
    objects[:, JETS, 0] = np.linspace(90, 45, 10)
    crowded = sample.replace_objects(objects, full)
    result = seen({"name": "split", "probability": 1.0}, crowded)
    assert (result.parameters == 0).all()
    torch.testing.assert_close(result.objects, torch.tensor(crowded.objects), atol=0, rtol=0)


def test_a_soft_part_below_threshold_is_lost() -> None:
    result = seen({"name": "split", "probability": 1.0, "z_min": 0.05}, one_jet(2000, 55.0))
    # The softer part takes at most 27.5 GeV.
    assert not result.present[:, 10].any()
    assert (result.objects[:, 9, 0][result.present[:, 9]] > 30).all()


def test_crop_removes_what_is_outside() -> None:
    sample = events(N)
    result = seen({"name": "crop", "abs_eta": [1.5, 1.5], "sector": 0.0}, sample)
    several = ((np.abs(sample.objects[..., 1]) < 1.5) & sample.present)[:, 1:].any(axis=1)
    assert (result.objects[several, 1:, 1].abs() < 1.5).all()
    inside = ((np.abs(sample.objects[several, 1:, 1]) < 1.5) & sample.present[several, 1:]).sum(axis=1)
    np.testing.assert_array_equal(result.present[several, 1:].sum(dim=1), inside)
    assert result.present[:, 1:].any(dim=1).all()


def test_a_dead_sector_takes_its_share_of_phi() -> None:
    sample = events(N)
    result = seen({"name": "crop", "abs_eta": None, "sector": 1.0}, sample)
    several = sample.present[:, 1:].sum(axis=1) > 3
    count = sample.present[several, 1:].sum()
    share = 1 - float(result.present[several, 1:].sum()) / count
    # The width is uniform up to 1 rad: objects of one event share it, so the variance of their number is larger.
    assert abs(share - 0.5 / (2 * math.pi)) < 5 * math.sqrt(0.08 * 3 / count)


def test_added_objects_are_uniform_in_number_and_the_met_balances_them() -> None:
    sample = events(N)
    result = seen("add-objects", sample)
    added = (result.present.sum(dim=1) - torch.tensor(sample.present.sum(axis=1))).numpy()
    assert added.min() == 1
    np.testing.assert_allclose(result.parameters[:, 0] * 10, added, atol=1e-5)
    free = (~sample.present[:, ELECTRONS]).sum(axis=1)
    electrons = result.present[:, ELECTRONS].sum(dim=1).numpy() - sample.present[:, ELECTRONS].sum(axis=1)
    four = electrons[free == 4]
    counts = np.bincount(four, minlength=5)
    # Every number is as likely; the one that is added where all numbers are 0 changes that by less than 1 %.
    np.testing.assert_allclose(counts / len(four), 0.2, atol=5 * math.sqrt(0.16 / len(four)) + 0.01)
    torch.testing.assert_close(total(result.objects, result.present), total(*tensors(sample)), atol=5e-3, rtol=0)
    at_most = seen({"name": "add-objects", "most": {"muons": 1}}, sample)
    assert (at_most.present.sum(dim=1) - torch.tensor(sample.present.sum(axis=1))).max() == 1
    assert torch.equal(at_most.present[:, JETS], torch.tensor(sample.present[:, JETS]))


@pytest.mark.parametrize("met", ["fixed", "scaled", "balanced"])
def test_rescale_pt_has_one_factor_for_all_objects(met: str) -> None:
    sample = events(N)
    objects, present = tensors(sample)
    result = seen({"name": "rescale-pt", "factor": [2.0, 4.0], "met": met}, sample)
    factor = result.parameters.exp()
    torch.testing.assert_close(result.objects[:, 1:, 0], objects[:, 1:, 0] * factor, rtol=1e-5, atol=1e-5)
    assert abs(float(factor.mean()) - 3.0) < 5 * math.sqrt(4 / 12 / N)
    if met == "balanced":
        torch.testing.assert_close(total(result.objects, present), total(objects, present), atol=5e-3, rtol=0)
    else:
        expected = objects[:, :1, 0] * (factor if met == "scaled" else 1.0)
        torch.testing.assert_close(result.objects[:, :1, 0], expected, rtol=1e-5, atol=1e-5)


def test_shift_met_moves_nothing_else() -> None:
    sample = events(N)
    objects, _ = tensors(sample)
    result = seen("shift-met", sample)
    torch.testing.assert_close(result.objects[:, :1, 0], objects[:, :1, 0] * result.parameters.exp())
    torch.testing.assert_close(result.objects[:, 1:], objects[:, 1:], atol=0, rtol=0)
    torch.testing.assert_close(result.objects[:, 0, 1:], objects[:, 0, 1:], atol=0, rtol=0)
    factor = result.parameters.exp()
    assert abs(float(factor.mean()) - 2.75) < 5 * math.sqrt(4.5**2 / 12 / N)


def test_one_of_applies_one_view_to_every_event() -> None:
    sample = events(N)
    result = seen({"name": "one-of", "views": ["shift-met", {"name": "flip", "probability": 1.0}]}, sample)
    shifted, flipped = result.parameters[:, 0] != 0, result.parameters[:, 1] != 0
    assert torch.equal(shifted, ~flipped)
    assert abs(float(flipped.float().mean()) - 0.5) < 5 * math.sqrt(0.25 / N)
    torch.testing.assert_close(result.objects[shifted, 1:], torch.tensor(sample.objects)[shifted, 1:])
    torch.testing.assert_close(result.objects[flipped, :, 1], -torch.tensor(sample.objects)[flipped, :, 1])


def test_views_follow_each_other() -> None:
    chain = [build(name) for name in ("rotate", "smear-pt", "flip")]
    result = apply_views(chain, *tensors(events(50)), torch.Generator().manual_seed(0))
    assert result.parameters.shape == (50, 4)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ("rotat", UnknownNameError, "no view 'rotat'; did you mean 'rotate'"),
        ({"name": "smear-pt", "resolution": {"jet": {}}}, SchemaError, "no objects 'jet'.*did you mean 'jets'"),
        ({"name": "smear-pt", "resolution": {"met": {}}}, SchemaError, "no objects 'met'"),
        ({"name": "drop", "probability": {}}, SchemaError, "nothing to do"),
        ({"name": "split", "collection": "taus"}, SchemaError, "no objects 'taus'"),
        ({"name": "mask-features", "collections": ["jet"]}, SchemaError, "did you mean 'jets'"),
        ({"name": "mask-features", "features": ["mass"]}, SchemaError, "no feature 'mass'"),
        ({"name": "add-objects", "most": {"photons": 1}}, SchemaError, "no objects 'photons'"),
        ({"name": "split", "radius": [1.0, 0.4]}, ValueError, "rising range"),
        ({"name": "crop", "abs_eta": [3.0, 2.0]}, ValueError, "rising range"),
        ({"name": "shift-met", "factor": [0.0, 2.0]}, ValueError, "rising range"),
        ({"name": "one-of", "views": []}, ValueError, "at least 1"),
        ({"name": "one-of", "views": ["rotate", "resimulate"]}, ValueError, "'resimulate' cannot be inside 'one-of'"),
        ({"name": "drop", "probability": {"jets": 2.0}}, ValueError, "less than or equal to 1"),
    ],
)
def test_wrong_settings_are_named(settings: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build(settings)


def test_a_schema_may_lack_met_leptons_or_thresholds() -> None:
    bare = Schema(name="bare", collections=(Collection(name="jets", slots=3, type=1),))
    objects = torch.tensor([[[50.0, 1.0, 0.5], [30.0, -1.0, 2.0], [0.0, 0.0, 0.0]]]).repeat(10, 1, 1)
    present = objects[..., 0] > 0
    for name in sorted(VIEWS.keys() - {"mask-features", "shift-met", "one-of", "decay-taus", "kick-met"}):
        result = VIEWS[name]().build(bare)(objects, present, torch.Generator().manual_seed(0))
        assert torch.isfinite(result.objects).all()
    with pytest.raises(SchemaError, match="no collection 'met'"):
        VIEWS["shift-met"]().build(bare)
    with pytest.raises(ConfigError, match="normalisation"):
        MaskFeaturesConfig().build(bare)
    leptons = Schema(name="odd", collections=(Collection(name="tracks", slots=3, type=1),))
    with pytest.raises(SchemaError, match="nothing to do in schema 'odd'"):
        SmearPtConfig().build(leptons)


def test_thresholds_are_the_tighter_of_acceptance_and_selection() -> None:
    layout = Layout(ADC2021)
    assert layout.pt_min[JETS].unique().tolist() == [30.0]
    assert layout.pt_min[ELECTRONS].unique().tolist() == [3.0]
    assert layout.eta_max[ADC2021.slots("muons")].unique().tolist() == pytest.approx([2.1])
    assert layout.eta_max[0] == math.inf
