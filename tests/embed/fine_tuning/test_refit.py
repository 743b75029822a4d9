from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.embed.fine_tuning.build import NUISANCES, settings
from tests.embed.fine_tuning.gaussian import PROPOSAL, gaussian
from unseen.embed import Model
from unseen.embed.fine_tuning import fingerprint
from unseen.embed.fine_tuning.expand import Side
from unseen.embed.fine_tuning.heads import HEADS, Head
from unseen.embed.fine_tuning.paired import Paired, pair_events
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.fine_tuning.refit import head_problem, paired_loss, refit_head
from unseen.embed.fine_tuning.settings import RefitConfig
from unseen.errors import NonFiniteError
from unseen.events import Events, select
from unseen.registry import resolve


def made(name: str) -> Head:
    """A head in float64 that says something everywhere."""
    torch.manual_seed(0)
    head = resolve({"name": name, "hidden": [8, 8]}, HEADS, "head").build(
        head_problem(torch.randn(100, 3), PROPOSAL.scale, 2)
    )
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.5)
    return head.double()


def pairs() -> Paired:
    """16 events with 8 copies; rates that float32 divides by 128 without rounding; some 0, one nu of zeros."""
    draw = torch.Generator().manual_seed(1)
    z, at = (torch.randn(shape, generator=draw, dtype=torch.float64) for shape in ((16, 3), (8, 16, 3)))
    rate, rate_at = (torch.randint(3, shape, generator=draw).double() for shape in ((16,), (8, 16)))
    nu = torch.stack([PROPOSAL(16, draw) for _ in range(8)]).double()
    nu[2, 3] = 0.0
    return Paired(z, rate, torch.randint(2, (16,), generator=draw), at, nu, rate_at)


def pair_by_pair(head: Head, paired: Paired) -> Tensor:
    """The same loss as a mean over all pairs, each on its own."""
    total = torch.zeros((), dtype=torch.float64)
    for at, nu, rate_at in zip(paired.at, paired.nu, paired.rate_at, strict=True):
        nominal, moved = (head(z, nu, paired.process) for z in (paired.z, at))
        each = paired.rate * (nn.functional.softplus(nominal) - math.log(2))
        each = each + rate_at * (nn.functional.softplus(-moved) - math.log(2))
        auxiliary = head.auxiliary(paired.z, paired.process, paired.rate)
        total = total + (each.sum() + auxiliary) / (len(paired) * len(paired.at))
    return total


@pytest.mark.parametrize("name", sorted(HEADS))
def test_copies_that_share_their_event_have_the_loss_and_gradient_of_single_pairs(name: str) -> None:
    head, paired = made(name), pairs()
    losses = paired_loss(head, paired), pair_by_pair(head, paired)
    slopes = [torch.autograd.grad(loss, list(head.parameters())) for loss in losses]
    # float64, a few hundred terms of order 1: 1e-16 each.
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
    nominal, moved = head.pairs(paired.z, paired.at, paired.nu, paired.process)
    assert nominal[2, 3] == moved[2, 3] == 0.0
    for own, plain in zip(
        head.pairs(paired.z, paired.at, paired.nu, paired.process),
        Head.pairs(head, paired.z, paired.at, paired.nu, paired.process),
        strict=True,
    ):
        torch.testing.assert_close(own, plain, rtol=1e-12, atol=1e-12)


def test_events_that_pass_nowhere_change_no_loss() -> None:
    head, paired = made("polynomial"), pairs()
    paired.rate[:5] = 0.0
    paired.rate_at[:, :4] = 0.0
    some = paired.counting()
    assert len(some) == 12
    torch.testing.assert_close(paired_loss(head, some) * 12 / 16, paired_loss(head, paired), rtol=1e-6, atol=0.0)


def test_a_last_fit_that_diverges_says_so() -> None:
    fit, held = gaussian(200, 2, seed=1), gaussian(100, 2, seed=2)
    head = resolve({"name": "polynomial", "hidden": [8]}, HEADS, "head").build(head_problem(fit.z, PROPOSAL.scale, 1))
    with pytest.raises(NonFiniteError, match=r"lower refit\.lr"):
        refit_head(head, fit, held, RefitConfig(lr=1e30, batch_size=64), torch.Generator().manual_seed(0))


def test_pairs_are_events_as_they_are_and_at_nu_embedded_where_they_pass(stored: Events, model: Model) -> None:
    side = Side(torch.zeros(len(stored)), torch.tensor(stored.label), {"label": torch.tensor(stored.label)})
    rows, weight = np.arange(0, len(stored), 2), stored.weight.astype(np.float64)
    proposal = Proposal(NUISANCES, 3.0, 0.5)
    found = pair_events(model, stored, rows, weight, side, NUISANCES, proposal, 3, 7, "cpu")
    again = pair_events(model, stored, rows, weight, side, NUISANCES, proposal, 3, 7, "cpu")
    torch.testing.assert_close(found.at, again.at, rtol=0, atol=0)
    assert found.at.shape == (3, len(rows), model.dim)
    nominal = stored[rows]
    np.testing.assert_array_equal(found.z[found.rate > 0].numpy(), model.embed(select(nominal)))
    assert not found.z[found.rate == 0].any()
    assert not found.at[found.rate_at == 0].any()
    for at, nu, rate_at in zip(found.at, found.nu, found.rate_at, strict=True):
        # The parameters of these nuisances draw nothing, so the seed of a copy does not matter.
        moved = NUISANCES.distort(nominal, nu.numpy())
        z = model.embed(select(moved))
        assert len(z) == int((rate_at > 0).sum())
        np.testing.assert_allclose(at[rate_at > 0].numpy(), z, rtol=1e-4, atol=1e-5)


def test_a_fine_tuning_of_an_older_revision_is_not_taken_for_the_new(
    stored: Events, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> str:
        return fingerprint.fine_tuning_fingerprint(model, stored, NUISANCES, settings(), 1)

    now = found()
    assert now == found()
    monkeypatch.setattr(fingerprint, "REVISION", fingerprint.REVISION - 1)
    assert found() != now
