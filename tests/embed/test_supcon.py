from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss

from tests.embed.toy import toy_batch, toy_problem, toy_settings
from unseen.embed.objectives import supcon_loss
from unseen.events import Events


def naive(projected: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, temperature: float) -> float:
    """L_out of arXiv:2004.11362, Eq. 2, averaged, with weights, written out in float64."""
    z = projected.double() / projected.double().norm(dim=1, keepdim=True)
    w = weight.double() / weight.double().mean()
    total = 0.0
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i and w[a] > 0]
        positives = [p for p in others if target[p] == target[i]]
        if not positives:
            continue
        terms = torch.stack([w[a].log() + z[i] @ z[a] / temperature for a in others])
        log_probabilities = torch.stack([z[i] @ z[p] / temperature for p in positives]) - terms.logsumexp(0)
        share = w[positives] / w[positives].sum()
        total -= float(w[i] * (share * log_probabilities).sum())
    return total / float(w.sum())


def draw(n: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    projected = torch.randn(n, 6, generator=rng)
    weight = torch.rand(n, generator=rng) * 10 ** torch.randn(n, generator=rng)
    return projected, torch.randint(0, classes, (n,), generator=rng), weight


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 0.9, 100.0])
@pytest.mark.parametrize(("n", "classes"), [(2, 2), (7, 3), (40, 4), (40, 30)])
def test_against_the_formula_in_float64(n: int, classes: int, temperature: float) -> None:
    projected, target, weight = draw(n, classes, seed=n + classes)
    weight[0] = 0.0
    for w in (torch.ones(n), weight):
        expected = naive(projected, target, w, temperature)
        # float32 similarities of up to 1 / temperature cancel.
        tolerance = 1e-6 / temperature + 1e-5
        assert float(supcon_loss(projected, target, w, temperature)) == pytest.approx(expected, rel=2e-4, abs=tolerance)


@pytest.mark.parametrize("temperature", [1e-6, 1e-2, 1.0, 1e6])
@pytest.mark.parametrize("kind", ["one", "single class", "no positives", "no weight", "zero vectors", "equal vectors"])
def test_never_nan(kind: str, temperature: float) -> None:
    n = 1 if kind == "one" else 8
    projected, _, _ = draw(n, 1, seed=1)
    target = torch.arange(n) if kind == "no positives" else torch.zeros(n, dtype=torch.long)
    weight = torch.zeros(n) if kind == "no weight" else torch.ones(n)
    if kind == "zero vectors":
        projected = torch.zeros(n, 6)
    if kind == "equal vectors":
        projected = torch.ones(n, 6)
    projected.requires_grad_()
    loss = supcon_loss(projected, target, weight, temperature)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(projected.grad).all()
    if kind in ("one", "no positives", "no weight"):
        assert loss.item() == 0.0
        assert (projected.grad == 0).all()


def test_an_anchor_without_positives_contributes_nothing() -> None:
    projected, _, _ = draw(5, 1, seed=2)
    target = torch.tensor([0, 0, 1, 1, 2])
    per_class = naive(projected, target, torch.ones(5), 0.5)
    assert float(supcon_loss(projected, target, torch.ones(5), 0.5)) == pytest.approx(per_class, rel=1e-5)


def test_the_scale_of_weights_and_vectors_does_not_matter() -> None:
    projected, target, weight = draw(30, 3, seed=3)
    loss = supcon_loss(projected, target, weight, 0.5)
    torch.testing.assert_close(supcon_loss(projected * 7, target, weight * 1e6, 0.5), loss)


def test_views_of_an_event_are_positives_of_it(toy: Events) -> None:
    """Rows come view after view with the class of their event, so every view attracts every other of the class."""
    config = toy_settings(views=["rotate"], n_views=2)
    batch = toy_batch(toy[:9], config)
    assert len(batch) == 18
    objective = config.objective.build(toy_problem(toy, config))
    embedding = torch.randn(18, 4, generator=torch.Generator().manual_seed(1))
    loss = objective(embedding, batch).item()
    both = torch.from_numpy(np.tile(toy.label[:9], 2))
    assert loss == pytest.approx(naive(objective.head(embedding).detach(), both, torch.ones(18), 0.1), rel=1e-4)
    # An event that is alone in its class still has its other view.
    alone = replace(batch, target=batch.instance)
    assert objective(embedding, alone).item() > 0.0


def test_against_pytorch_metric_learning() -> None:
    projected, target, _ = draw(64, 4, seed=7)
    theirs = SupConLoss(temperature=0.3)(projected, target)
    torch.testing.assert_close(supcon_loss(projected, target, torch.ones(64), 0.3), theirs)


def test_weights_that_swamp_each_other_stay_finite() -> None:
    projected, target, _ = draw(8, 2, seed=8)
    projected.requires_grad_()
    weight = torch.logspace(-30, 30, 8)
    loss = supcon_loss(projected, target, weight, 0.1)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(projected.grad).all()


def test_gradient_against_float64() -> None:
    projected, target, weight = draw(12, 3, seed=5)
    projected.requires_grad_()
    supcon_loss(projected, target, weight, 0.3).backward()
    direction = torch.randn(12, 6, generator=torch.Generator().manual_seed(6)).double()
    step = 1e-5
    base = projected.detach().double()
    up = naive(base + step * direction, target, weight, 0.3)
    down = naive(base - step * direction, target, weight, 0.3)
    assert float((projected.grad.double() * direction).sum()) == pytest.approx((up - down) / (2 * step), rel=1e-3)
