"""Stage B with re-simulated partners: they pass the selection, and `rs3l` has them beside the distorted copies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.embed.fine_tuning.build import NUISANCES, SCHEMA, events, settings, stage_a
from unseen.embed import Model, TrainingConfig, fine_tune
from unseen.embed.data import Batches
from unseen.embed.fine_tuning.expand import PairedExpansion
from unseen.embed.fine_tuning.heads import PolynomialConfig
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.fine_tuning.refit import head_problem
from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.sample import prepare
from unseen.embed.fine_tuning.terms import METHODS, TermProblem
from unseen.embed.objectives import Problem
from unseen.errors import NotEnoughEventsError, SchemaError
from unseen.events import Events
from unseen.events.normalisation import Normalisation
from unseen.events.selection import passes, remove_objects

VIEWS = {"objective": "ntxent", "views": ["resimulate"]}


def copies(n: int, seed: int) -> Events:
    """n stored events in random order, three rows of each generated event; some of them fail the selection."""
    sample = events(n, seed)
    source = np.random.default_rng(seed).permutation(np.arange(n) // 3)
    return replace(sample, record={"source": source})


def expanded(sample: Events, seed: int = 1, **changes: object) -> PairedRows:
    """All events as one batch of stage B."""
    config = TrainingConfig.parse({"device": "cpu", "validation_fraction": 0.0, "balance": "natural", **changes})
    made = prepare(sample, NUISANCES, config, seed=0)
    expand = PairedExpansion(
        config.expansion(SCHEMA), NUISANCES, Proposal(NUISANCES, 2.0, 0.5), SCHEMA, sample.label_names, made.side
    )
    batch = next(iter(Batches(made.sides[0], np.arange(len(sample)), len(sample), seed=seed)))
    return expand(batch, torch.Generator().manual_seed(seed))


def chosen(sample: Events) -> tuple[Events, np.ndarray]:
    """The events without objects that fail their cut, and which of them pass."""
    tidy = remove_objects(sample, SCHEMA.selection.objects)
    return tidy, passes(tidy, SCHEMA.selection)


def test_partners_pass_the_selection_and_have_it_applied() -> None:
    sample = copies(600, seed=4)
    rows = expanded(sample, **VIEWS)
    tidy, passing = chosen(sample)
    partner, nominal = rows.resimulated(), rows.nominal()
    assert torch.equal(rows.instance[partner], rows.instance[nominal])
    assert torch.equal(rows.position[partner], rows.position[nominal])
    source, alone = sample.record["source"], 0
    for row, event in zip(partner.tolist(), rows.instance[nominal].tolist(), strict=True):
        others = [i for i in np.flatnonzero(passing & (source == source[event])) if i != event]
        alone += not others
        assert any(np.array_equal(rows.objects[row], tidy.objects[i]) for i in others or [event])
    # The selection takes about two thirds of these events: all of this happens.
    assert 0 < alone < len(partner) / 2
    assert not passing.all()
    assert (np.asarray(tidy.present) != np.asarray(sample.present)).any()


def test_the_event_itself_is_encoded_once_and_partners_stay_out_of_the_ratio() -> None:
    sample = copies(300, seed=4)
    rows, without = expanded(sample, **VIEWS), expanded(sample)
    n = len(without.nominal())
    assert len(rows) == len(without) + n
    assert len(rows.contrast()) == 2 * n
    for kind in ("nominal", "shifted"):
        mine, theirs = getattr(rows, kind)(), getattr(without, kind)()
        assert torch.equal(rows.objects[mine], without.objects[theirs])
        assert torch.equal(rows.rate[mine], without.rate[theirs])
        assert torch.equal(rows.nu[mine], without.nu[theirs])
    assert float(rows.rate[rows.resimulated()].abs().sum()) == 0.0
    turned = expanded(sample, objective="ntxent", views=["resimulate", "rotate"])
    assert len(turned) == len(rows) + n  # the first view is turned, so the nominal event comes on top
    assert torch.equal(turned.objects[turned.nominal()], without.objects[without.nominal()])


def term(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    normalisation = Normalisation.fit(events(200, seed=1))
    head = head_problem(torch.randn(50, 2), Proposal(NUISANCES, 2.0, 0.5).scale, 2)
    return METHODS[name](TermProblem(Problem(2, 2, 0, SCHEMA, normalisation), PolynomialConfig(), head))


def test_rs3l_has_distorted_and_resimulated_positives() -> None:
    sample = copies(300, seed=4)
    rows = expanded(sample, **VIEWS)
    z = torch.randn(len(rows), 2, generator=torch.Generator().manual_seed(1), requires_grad=True)
    before, after = rows.pairs()
    loss = term("rs3l")
    loss(z, rows).backward()
    assert z.grad is not None
    touched = z.grad.abs().sum(dim=1) > 0
    paired = torch.isin(rows.position, rows.position[before])
    expected = torch.zeros(len(rows), dtype=torch.bool)
    expected[before], expected[after] = True, True
    expected[rows.resimulated()] = paired[rows.resimulated()]
    assert torch.equal(touched, expected)
    assert int(touched.sum()) == 3 * len(before)
    # A partner that moves to its event lowers the loss, as a distorted copy does.
    far = float(loss(z, rows).detach())
    nearer = z.detach().clone()
    partner = rows.resimulated()
    nearer[partner] = nearer[rows.nominal()]
    assert float(loss(nearer, rows).detach()) < far


@pytest.fixture(scope="module")
def tuned_from(tmp_path_factory: pytest.TempPathFactory) -> tuple[Events, Model]:
    sample = copies(1500, seed=2)
    return sample, stage_a(sample, tmp_path_factory.mktemp("stage-a"), **VIEWS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_takes_partners_and_continues_with_them(
    method: str, tuned_from: tuple[Events, Model], tmp_path: Path
) -> None:
    sample, model = tuned_from

    def stop(done: int, total: int, values: object) -> None:
        raise InterruptedError

    whole = fine_tune(model, sample, NUISANCES, settings(method=method), tmp_path / "whole", seed=1)
    assert np.isfinite([entry["val_contrastive"] for entry in whole.history]).all()
    with pytest.raises(InterruptedError):
        fine_tune(model, sample, NUISANCES, settings(method=method), tmp_path / "cut", seed=1, progress=stop)
    again = fine_tune(model, sample, NUISANCES, settings(method=method), tmp_path / "cut", seed=1)
    np.testing.assert_array_equal(again.model.embed(sample), whole.model.embed(sample))


def test_events_without_partners_that_pass_are_refused(tuned_from: tuple[Events, Model], tmp_path: Path) -> None:
    sample, model = tuned_from
    with pytest.raises(SchemaError, match='no record "source"'):
        fine_tune(model, replace(sample, record={}), NUISANCES, settings(), tmp_path, seed=1)
    passing = chosen(sample)[1]
    _, first = np.unique(sample.record["source"][passing], return_index=True)
    kept = np.sort(np.concatenate([np.flatnonzero(passing)[first], np.flatnonzero(~passing)]))
    with pytest.raises(NotEnoughEventsError, match=r"none of .* another row of the same generated event"):
        fine_tune(model, sample[kept], NUISANCES, settings(), tmp_path, seed=1)
    assert not list(tmp_path.iterdir())
