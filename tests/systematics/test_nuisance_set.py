"""Sets of nuisances: tables, nuisances of one's own, plain arrays, and what is refused."""

from __future__ import annotations

import json
import pickle
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch

import unseen
from tests.systematics.build import config, events, one
from unseen.errors import (
    ConfigError,
    NonFiniteError,
    NuisanceError,
    NuisanceRangeError,
    SchemaError,
    ShapeError,
    UnknownNameError,
    WeightError,
)
from unseen.events import ADC2021, Collection, Events, Schema
from unseen.systematics import Batch, Nuisance, NuisanceSet, Prior, attach_variation, migration
from unseen.systematics.base import Kind, NuisanceConfig


def rotate(x: np.ndarray, nu: np.ndarray) -> np.ndarray:
    angle = 0.1 * nu
    moved = x.copy()
    moved[:, 0] = np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1]
    moved[:, 1] = np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1]
    return moved


ARRAYS = NuisanceSet(
    [
        Nuisance("rotation", rotate),
        Nuisance("scale", lambda x, nu: x * np.exp(0.05 * nu)[:, None], size=0.05),
        Nuisance("rate", lambda x, nu: 1.1**nu, kind="norm", size=0.1),
    ]
)


def test_plain_arrays_of_any_type() -> None:
    for kind in (np.float32, np.float64):
        x = np.random.default_rng(0).normal(size=(200, 2)).astype(kind)
        nu = ARRAYS.draw(200, np.random.default_rng(1))
        moved = ARRAYS.distort(x, nu)
        assert moved.dtype == kind
        assert np.array_equal(ARRAYS.distort(x, [0, 0, 0]), x)
        length = np.linalg.norm(moved, axis=1) / np.linalg.norm(x, axis=1)
        np.testing.assert_allclose(length, np.exp(0.05 * nu[:, 1]), rtol=1e-5)
        np.testing.assert_allclose(ARRAYS.factor(x, nu), 1.1 ** nu[:, 2].astype(float), rtol=1e-6)
        rows = [ARRAYS.distort(x[i : i + 1], nu[i])[0] for i in range(20)]
        np.testing.assert_allclose(rows, moved[:20], rtol=1e-6)


def test_a_nuisance_of_ones_own_on_events() -> None:
    def shift(batch: Batch, nu: torch.Tensor) -> Batch:
        barrel = batch.get("jets", "eta", nominal=True).abs() < 1.3
        return batch.scale_pt("jets", 0.03 * nu[:, None] * barrel)

    mine = NuisanceSet([Nuisance("barrel-jets", shift, takes="events"), config("muon-scale")])
    sample = events(200)
    moved = mine.distort(sample, mine.nu(barrel_jets=1.0))
    barrel = sample.has("jets") & (np.abs(sample.get("jets", "eta")) < 1.3)
    assert moved.get("jets", "pt").sum() == pytest.approx(
        sample.get("jets", "pt").sum() + np.expm1(0.03) * sample.get("jets", "pt")[barrel].sum(), rel=1e-5
    )
    mine.check(sample)


def test_tables_come_and_go() -> None:
    rows = [
        "jet-scale",
        {"name": "jet-scale", "label": "forward", "forward": 0.1},
        {"name": "normalisation", "size": 0.02},
    ]
    nuisances = NuisanceSet.parse(rows)
    assert nuisances.names == ("jet-scale", "forward", "normalisation")
    written = [each.config.model_dump(mode="json") for each in nuisances.nuisances if each.config]
    assert NuisanceSet.parse(written).table() == nuisances.table()
    assert nuisances.table()[2]["size"] == 0.02
    assert nuisances.table()[2]["kind"] == "norm"
    weights = NuisanceSet.parse(["initial-shower"]).table()  # which a run writes to its folder
    assert json.loads(json.dumps(weights, allow_nan=False))[0]["size"] is None
    with pytest.raises(UnknownNameError, match="did you mean 'jet-scale'"):
        NuisanceSet.parse(["jet-scales"])
    with pytest.raises(ConfigError, match=r"unknown key 'nuisances\.siez'; did you mean 'size'"):
        NuisanceSet.parse([{"name": "jet-scale", "siez": 0.1}])
    assert unseen.NuisanceSet is NuisanceSet


def test_the_built_in_set_adapts_to_a_schema() -> None:
    assert len(NuisanceSet.builtin()) == 8
    muons = Schema(name="muons", collections=(Collection(name="muons", slots=2, type=1),))
    names = NuisanceSet.builtin(muons).names
    assert names == ("muon-scale", "lepton-efficiency", "normalisation")
    sample = Events.create(muons, [[[30.0, 0.1, 0.2], [20.0, 2.0, 1.0]]], [[True, True]])
    assert NuisanceSet.builtin(muons).distort(sample, [1, 1, 1]).get("muons", "pt")[0, 0] == pytest.approx(30.6)
    with pytest.raises(SchemaError, match="'jet-scale' acts on jets"):
        NuisanceSet.builtin().distort(sample, np.zeros(8))


def test_priors_draw_and_pull() -> None:
    wide = NuisanceSet.parse([{"name": "normalisation", "prior": {"mean": 1.0, "width": 2.0}}, "jet-scale"])
    nu = wide.draw(20_000, np.random.default_rng(0))
    assert np.abs(nu.mean(0) - [1, 0]).max() < 4 * 2 / np.sqrt(20_000)
    assert np.abs(wide.pull(nu).std(0) - 1).max() < 4 / np.sqrt(40_000)
    assert np.array_equal(nu, wide.draw(20_000, np.random.default_rng(0)))


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_priors_without_width_are_refused(width: float) -> None:
    with pytest.raises(NuisanceError, match="width above 0"):
        NuisanceSet.parse([{"name": "jet-scale", "prior": {"width": width}}])
    with pytest.raises(NuisanceError, match="width above 0"):
        Prior(width=width)


def test_names_and_kinds_are_checked() -> None:
    with pytest.raises(NuisanceError, match="2 nuisances are called 'jet-scale'"):
        NuisanceSet.parse(["jet-scale", {"name": "jet-scale", "size": 0.1}])
    with pytest.raises(NuisanceError, match="needs a name"):
        Nuisance("", rotate)
    with pytest.raises(NuisanceError, match="did you mean 'rate'"):
        ARRAYS.nu(rata=1.0)
    with pytest.raises(NuisanceError, match="no nuisance 'rotations'"):
        ARRAYS.subset("rotations")
    with pytest.raises(NuisanceError, match="acts on plain arrays"):
        ARRAYS.distort(events(3), [1, 0, 0])
    with pytest.raises(NuisanceError, match="acts on events"):
        NuisanceSet.builtin().distort(np.zeros((3, 2)), np.ones(8))


def test_nu_is_checked() -> None:
    sample = events(10)
    for wrong in (np.zeros(3), np.zeros((10, 3)), np.zeros((9, 1)), np.zeros((10, 1, 1)), 0.5):
        with pytest.raises(ShapeError, match=r"10 events and 1 nuisances \(jet-scale\)"):
            one("jet-scale").distort(sample, wrong)
    with pytest.raises(ShapeError, match="expected"):
        one("jet-scale").distort_tensors(
            torch.zeros(4, 19, 3), torch.zeros(4, 19) > 0, torch.zeros(3, 1), schema=ADC2021
        )
    with pytest.raises(NonFiniteError, match="'jet-scale', row 0, is nan"):
        one("jet-scale").distort(sample, [np.nan])
    with pytest.raises(NuisanceRangeError, match=r"is 5\.5, more than 5 prior widths"):
        one("jet-scale").distort(sample, [5.5])
    assert len(one("jet-scale").distort(sample, [5.5], limit=6)) == 10
    moved = one("jet-scale").distort(sample, [1.0])
    with pytest.raises(NuisanceError, match="distorted before"):
        one("jet-scale").distort(moved, [1.0])


def test_what_is_not_the_identity_or_not_finite_is_refused() -> None:
    x = np.ones((50, 2))
    bad = [
        (Nuisance("offset", lambda x, nu: x + 0.01 + nu[:, None]), NuisanceError, "'offset' is not the identity"),
        (Nuisance("log", lambda x, nu: x * (1 + nu[:, None] * np.inf)), NonFiniteError, "'log' makes values"),
        (Nuisance("poles", lambda x, nu: np.where(nu[:, None] > 0, np.inf, x)), NonFiniteError, "'poles' makes values"),
        (Nuisance("sum", lambda x, nu: x.sum(1)), ShapeError, "'sum' turns values of shape"),
    ]
    for nuisance, error, words in bad:
        with pytest.raises(error, match=words), np.errstate(invalid="ignore"):
            NuisanceSet([nuisance]).distort(x, [1.0])
    rates = [
        (Nuisance("two", lambda x, nu: 2.0 + nu, kind="norm"), NuisanceError, "'two' is not the identity"),
        (
            Nuisance("line", lambda x, nu: 1 - nu, kind="weight"),
            WeightError,
            "'line' gives weights that are not positive",
        ),
    ]
    for nuisance, error, words in rates:
        with pytest.raises(error, match=words):
            NuisanceSet([nuisance]).factor(x, [1.0])


def test_a_change_at_zero_is_found_wherever_it_is() -> None:
    """In the second half of the rows only, too."""
    late = Nuisance("late", lambda x, nu: x + 0.1 * (x >= 500.0))
    with pytest.raises(NuisanceError, match="'late' is not the identity at nu = 0: values of event 5"):
        NuisanceSet([late]).distort(np.arange(1000.0)[:, None], [1.0])


def test_a_row_of_the_users_own_is_checked_like_a_function() -> None:
    class Offset(NuisanceConfig):
        """Jets are 10 % off even at nu = 0."""

        name: Literal["offset"] = "offset"

        def distort(self, batch: Batch, nu: torch.Tensor) -> Batch:
            return batch.scale_pt("jets", 0.1 * (nu[:, None] + 1.0))

    class Moving(Offset):
        """Weights that move jets."""

        kind: ClassVar[Kind] = "weight"

        def distort(self, batch: Batch, nu: torch.Tensor) -> Batch:
            return batch.scale_pt("jets", 0.1 * nu[:, None])

    with pytest.raises(NuisanceError, match="'offset' is not the identity"):
        NuisanceSet([Offset()]).distort(events(50), [1.0])
    with pytest.raises(NuisanceError, match="'offset' is of the kind 'weight' and changes objects"):
        NuisanceSet([Moving()]).distort(events(50), [1.0])


def test_a_table_may_say_the_kind_that_the_name_decides() -> None:
    said = NuisanceSet.parse([{"name": "jet-scale", "kind": "shape"}, {"name": "normalisation", "kind": "norm"}])
    assert said.names == ("jet-scale", "normalisation")
    with pytest.raises(ConfigError, match="is of the kind 'shape', not 'norm'"):
        NuisanceSet.parse([{"name": "jet-scale", "kind": "norm"}])


def test_the_same_on_events() -> None:
    def offset(batch: Batch, nu: torch.Tensor) -> Batch:
        return batch.scale_pt("jets", 0.1 + nu[:, None])

    def poles(batch: Batch, nu: torch.Tensor) -> Batch:
        return batch.scale_pt("jets", torch.where(nu > 0, torch.inf, 0.0)[:, None])

    sample = events(50)
    with pytest.raises(NuisanceError, match="'offset' is not the identity at nu = 0: objects"):
        NuisanceSet([Nuisance("offset", offset, takes="events")]).distort(sample, [1.0])
    poled = NuisanceSet([config("muon-scale"), Nuisance("poles", poles, takes="events")])
    with pytest.raises(NonFiniteError, match="'poles' makes objects of event"):
        poled.distort(sample, [1.0, 1.0])
    with pytest.raises(NonFiniteError, match="'poles'"):
        poled.check(sample)
    nothing = Nuisance("nothing", lambda batch, nu: None, takes="events")
    with pytest.raises(NuisanceError, match="'nothing' returned NoneType"):
        NuisanceSet([nothing]).distort(sample, [1.0])


def test_columns_from_files_are_checked() -> None:
    sample = events(20)
    bare = Events.create(sample.schema, sample.objects, sample.present, record={"source": np.arange(20)})
    with pytest.raises(NuisanceError, match="'initial-shower' needs the column 'isr_up'"):
        one("initial-shower").distort(bare, [1.0])
    with pytest.raises(NuisanceError, match="up 'x' without down"):
        NuisanceSet.parse([{"name": "weights", "up": "x"}])
    with pytest.raises(NuisanceError, match="up 'x' without down"):
        NuisanceSet.parse([{"name": "variation", "label": "jes", "up": "x"}])
    short = NuisanceSet.parse([{"name": "weights", "up": "jes_up", "symmetric": True}])
    with pytest.raises(ShapeError, match=r"column 'jes_up' .* expected \(20,\)"):
        short.distort(sample, [1.0])
    for value, error in ((0.0, WeightError), (-0.5, WeightError), (np.nan, NonFiniteError)):
        ratio = np.ones(20)
        ratio[3] = value
        wrong = Events.create(sample.schema, sample.objects, sample.present, record={"w": ratio})
        with pytest.raises(error, match="event 3"):
            NuisanceSet.parse([{"name": "weights", "up": "w", "symmetric": True}]).distort(wrong, [1.0])


@pytest.mark.parametrize("name", ["initial-shower", "final-shower", "weights", "variation"])
def test_what_is_at_minus_one_is_said_once(name: str) -> None:
    up = {} if name.endswith("shower") else {"up": "isr_up"}
    with pytest.raises(NuisanceError, match=f"'{name}': up '.sr_up' without down; name the column"):
        NuisanceSet.parse([{"name": name, **up, "down": None}])
    with pytest.raises(NuisanceError, match="set `down: null`, or leave out `symmetric`"):
        NuisanceSet.parse([{"name": name, **up, "down": "isr_down", "symmetric": True}])
    mirrored = NuisanceSet.parse([{"name": name, **up, "down": None, "symmetric": True}])
    assert len(mirrored.columns) == 1


def test_a_process_that_is_not_there_is_left_alone_and_found_by_a_look_before() -> None:
    """Events of a signal are distorted with the set of the background, whose cross sections do not touch them."""
    sample = events(20)
    wrong = NuisanceSet.parse([{"name": "normalisation", "processes": ["ttt"]}])
    np.testing.assert_array_equal(wrong.distort(sample, [2.0]).weight, sample.weight)
    with pytest.raises(NuisanceError, match="'normalisation': no process 'ttt' in these events; did you mean 'tt'"):
        wrong.check(sample)


def test_widths_of_priors_as_the_unit() -> None:
    wide = NuisanceSet.parse([{"name": "normalisation", "prior": {"width": 2.0}}, "jet-scale"])
    assert (wide.unit, wide.in_widths().unit) == (False, True)
    assert wide.in_widths().names == wide.names
    assert wide.in_widths().nuisances[1] is wide.nuisances[1]
    assert (wide.unit_note, wide.in_widths().unit_note) == ({"nu": "in widths of the priors"}, {})
    np.testing.assert_allclose(wide.in_widths().factor(events(5), [1.0, 0.0]), 1.05**2, rtol=1e-6)
    again = pickle.loads(pickle.dumps(wide.in_widths()))  # goes to workers
    np.testing.assert_array_equal(again.factor(events(5), [1.0, 0.0]), wide.in_widths().factor(events(5), [1.0, 0.0]))
    with pytest.raises(NuisanceError, match=r"prior of mean 0 and width 2: .*nuisances\.in_widths"):
        wide.require_unit()
    wide.in_widths().require_unit()
    off = NuisanceSet.parse([{"name": "jet-scale", "prior": {"mean": 1.0, "width": 0.1}}])
    with pytest.raises(NuisanceError, match=r"'jet-scale' has a prior of mean 1, .*data\.auxiliary"):
        off.in_widths()


def test_up_and_down_samples_are_checked() -> None:
    sample = events(20)
    with pytest.raises(NuisanceError, match="'jes': up without down"):
        attach_variation(sample, "jes", up=sample)
    with pytest.raises(NuisanceError, match="5 of 20 events have no partner"):
        attach_variation(sample, "jes", up=sample[:15], symmetric=True)
    with pytest.raises(NuisanceError, match="no partner"):
        attach_variation(sample, "jes", up=sample[:0], symmetric=True)
    twice = Events.concatenate([sample, sample[:1]])
    with pytest.raises(NuisanceError, match="more than once among the varied"):
        attach_variation(sample, "jes", up=twice, symmetric=True)
    bare = Events.create(sample.schema, sample.objects, sample.present)
    with pytest.raises(NuisanceError, match="no record"):
        attach_variation(bare, "jes", up=sample, symmetric=True)


def test_migration_needs_the_same_events() -> None:
    sample = events(20)
    with pytest.raises(ShapeError, match="20 nominal and 19 distorted"):
        migration(sample, sample[1:])
