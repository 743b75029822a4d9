"""The systematic terms on embeddings that move in a known way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.embed.fine_tuning.build import NUISANCES, SCHEMA, events
from tests.embed.fine_tuning.test_expand import expanded
from unseen.embed.fine_tuning.heads import HEADS, HeadProblem
from unseen.embed.fine_tuning.proposal import Proposal
from unseen.embed.fine_tuning.rows import PairedRows
from unseen.embed.fine_tuning.terms import METHODS, Term, TermProblem
from unseen.embed.objectives import Problem
from unseen.events.normalisation import Normalisation
from unseen.registry import resolve


@pytest.fixture(scope="module")
def rows() -> PairedRows:
    return expanded(events(1500, seed=4))[0]


def term_of(method: str) -> Term:
    torch.manual_seed(0)
    problem = Problem(2, 2, 0, SCHEMA, Normalisation.fit(events(100, seed=1)))
    scale = Proposal(NUISANCES, 2.0, 0.5).scale
    head = HeadProblem(torch.zeros(2), torch.ones(2), scale, 2)
    return METHODS[method](TermProblem(problem, resolve("polynomial", HEADS, "head"), head))


def moving(rows: PairedRows, size: float, seed: int = 0) -> Tensor:
    """z (rows, 2), the same for rows of one event but for size times nu."""
    place = torch.randn((int(rows.position.max()) + 1, 2), generator=torch.Generator().manual_seed(seed))
    return place[rows.position] + size * rows.nu * (rows.role == 3)[:, None]


def trained(term: Term, z: Tensor, rows: PairedRows, steps: int) -> tuple[float, float]:
    before = float(term(z, rows).detach())
    optimiser = torch.optim.Adam(term.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.autograd.backward(term(z, rows))
        optimiser.step()
    return before, float(term(z, rows).detach())


def test_alignment_is_zero_in_place_and_one_for_strangers(rows: PairedRows) -> None:
    term = term_of("invariant")
    assert float(term(moving(rows, 0.0), rows)) == 0.0
    near, far = (float(term(moving(rows, size), rows)) for size in (0.1, 0.2))
    assert far == pytest.approx(4 * near, rel=1e-4)
    assert float(term(7.0 * moving(rows, 0.1) + 3.0, rows)) == pytest.approx(near, rel=1e-4)
    strangers = torch.where((rows.role == 3)[:, None], moving(rows, 0.0, seed=1), moving(rows, 0.0, seed=2))
    assert float(term(strangers, rows)) == pytest.approx(1.0, abs=0.15)  # 1,000 pairs, weights of spread 0.3


def test_equivariance_reads_nu_from_a_small_change(rows: PairedRows) -> None:
    before, after = trained(term_of("equivariant"), moving(rows, 0.05), rows, steps=150)
    assert after < 0.1 * before
    _, nothing = trained(term_of("equivariant"), moving(rows, 0.0), rows, steps=20)
    assert nothing > after


def test_rs3l_prefers_an_event_beside_itself(rows: PairedRows) -> None:
    term = term_of("rs3l")
    alone = torch.where((rows.role == 3)[:, None], moving(rows, 0.0, seed=1), moving(rows, 0.0, seed=2))
    assert float(term(moving(rows, 0.01), rows).detach()) < float(term(alone, rows).detach())


def test_the_likelihood_learns_what_a_single_step_can_tell(rows: PairedRows) -> None:
    before, after = trained(term_of("covariant"), moving(rows, 0.3), rows, steps=30)
    assert before == 0.0
    assert after < -0.005


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_term_is_finite_without_pairs_and_has_gradients(method: str, rows: PairedRows) -> None:
    term = term_of(method)
    z = moving(rows, 0.3).requires_grad_()
    for parameter in term.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    torch.autograd.backward(term(z, rows))
    assert z.grad is not None
    assert float(z.grad.abs().sum()) > 0
    none = PairedRows(**{name: getattr(rows, name)[:0] for name in rows.__dataclass_fields__})
    assert torch.isfinite(term(z[:0], none))
