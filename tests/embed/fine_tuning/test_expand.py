from __future__ import annotations

import numpy as np
import torch

from tests.embed.fine_tuning.build import NUISANCES, SCHEMA, events
from unseen.embed import TrainingConfig
from unseen.embed.data import epoch_order
from unseen.embed.fine_tuning.expand import PairedExpansion
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.sample import Prepared, prepare
from unseen.events import Events, select
from unseen.seeds import generator
from unseen.systematics import NuisanceSet, migration


def expanded(sample: Events, seed: int = 1, **changes: object) -> tuple[PairedRows, Prepared]:
    config = TrainingConfig.parse({"device": "cpu", "validation_fraction": 0.0, "balance": "natural", **changes})
    made = prepare(sample, NUISANCES, config, seed=0)
    proposal = Proposal(NUISANCES, 2.0, 0.5)
    expand = PairedExpansion(config.expansion(SCHEMA), NUISANCES, proposal, SCHEMA, sample.label_names, made.side)
    batch = made.table.batch(np.arange(len(sample)))
    return expand(batch, torch.Generator().manual_seed(seed)), made


def test_rows_are_the_events_that_pass_as_distorting_and_selecting_gives_them() -> None:
    sample = events(500, seed=4)
    rows, _ = expanded(sample)
    nominal, shifted = rows.nominal(), rows.shifted()
    expected = select(sample)
    np.testing.assert_array_equal(rows.objects[nominal], expected.objects)
    np.testing.assert_array_equal(rows.instance[nominal], expected.record["source"])
    nu = np.zeros((len(sample), 2), np.float32)
    nu[rows.position[nominal]], nu[rows.position[shifted]] = rows.nu[nominal], rows.nu[shifted]
    moved = NUISANCES.distort(sample, nu, seed=1)
    after = select(moved)
    np.testing.assert_array_equal(rows.objects[shifted], after.objects)
    np.testing.assert_array_equal(rows.present[shifted], after.present)
    np.testing.assert_array_equal(rows.instance[shifted], after.record["source"])
    change = migration(sample, moved)
    assert change.lost.any()
    assert change.gained.any()
    # Rates of both classes are the weights before the selection, per nominal event.
    total = expected.weight.sum()
    np.testing.assert_allclose(rows.rate[nominal], expected.weight / total, rtol=1e-5)
    np.testing.assert_allclose(rows.rate[shifted], after.weight / total, rtol=1e-5)
    np.testing.assert_array_equal(rows.process[shifted], after.label)


def test_pairs_are_the_same_event_before_and_after() -> None:
    rows, _ = expanded(events(300, seed=4))
    before, after = rows.pairs()
    assert 0 < len(before) < min(len(rows.nominal()), len(rows.shifted()))
    assert torch.equal(rows.instance[before], rows.instance[after])
    assert torch.equal(rows.nu[before], rows.nu[after])


def test_views_of_stage_a_stay_out_of_the_ratio() -> None:
    sample = events(300, seed=4)
    alone, _ = expanded(sample)
    viewed, _ = expanded(sample, objective="ntxent", views=["rotate"])
    n = len(alone.nominal())
    assert torch.equal(viewed.objects[viewed.nominal()], alone.objects[alone.nominal()])
    assert torch.equal(viewed.objects[viewed.shifted()], alone.objects[alone.shifted()])
    assert len(alone.contrast()) == n
    assert len(viewed.contrast()) == 2 * n
    assert float(viewed.rate[viewed.contrast()].abs().sum()) == 0.0


def test_a_sampler_of_equal_classes_leaves_the_rates_of_the_sample() -> None:
    sample = events(2000, seed=4)
    config = TrainingConfig.parse({"device": "cpu", "validation_fraction": 0.1})
    made = prepare(sample, NUISANCES, config, seed=0)
    rate = made.side.rate.numpy()
    for rows in (made.fit, made.held):
        order = epoch_order(made.table.target[rows], "sampler", 0.0, generator(0, "order"))
        drawn = np.bincount(sample.label[rows][order], rate[rows][order])
        natural = np.bincount(sample.label[rows], made.relative[rows])
        # An epoch shows each event of a class equally often, up to one: 1 / draws of the rarer events of a class.
        np.testing.assert_allclose(drawn, natural, rtol=0.05)
    assert made.relative[made.passes].sum() / len(sample) == 1.0


def test_the_proposal_is_broad_on_axes_and_in_combinations() -> None:
    nuisances = NuisanceSet.parse(["jet-scale", "unclustered-met", {"name": "normalisation", "prior": {"mean": 0.5}}])
    proposal = Proposal(nuisances, 3.0, 0.4)
    nu = proposal(20_000, torch.Generator().manual_seed(0))
    assert torch.equal(nu, proposal(20_000, torch.Generator().manual_seed(0)))
    alone = (nu == 0).sum(dim=1) == 2
    assert abs(float(alone.double().mean()) - 0.4) < 4 * np.sqrt(0.4 * 0.6 / 20_000)
    np.testing.assert_allclose(proposal.limits, [(-3, 3), (-3, 3), (-2.5, 3.5)])
    for column, (low, high) in enumerate(proposal.limits):
        assert low <= float(nu[:, column].min())
        assert float(nu[:, column].max()) <= high
        single = nu[alone, column]
        single = single[single != 0]
        # Uniform of half width 3: a deviation of sqrt(3); a Gaussian of width 1.5 cut at two: 0.88 of it.
        assert abs(float(single.std()) - np.sqrt(3)) < 0.1
        assert abs(float(nu[~alone, column].std()) - 0.880 * 1.5) < 0.05
    together = torch.corrcoef(nu[~alone].T)
    assert float((together - torch.eye(3)).abs().max()) < 5 / np.sqrt(12_000)
