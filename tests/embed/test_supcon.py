from __future__ import annotations

import pytest
import torch

from unseen.embed.objectives import supcon_loss


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


def test_two_processes_see_the_loss_of_one() -> None:
    projected, target, weight = draw(20, 3, seed=4)
    unit = projected / projected.norm(dim=1, keepdim=True)
    whole = supcon_loss(projected, target, weight, 0.5)
    parts = []
    for rank in (0, 1):
        mine = slice(10 * rank, 10 * rank + 10)

        def gather(x: torch.Tensor) -> torch.Tensor:
            return {torch.int64: target}.get(x.dtype, unit if x.ndim == 2 else weight)

        loss = supcon_loss(projected[mine], target[mine], weight[mine], 0.5, gather=gather, rank=rank)
        parts.append(loss * weight[mine].sum())
    torch.testing.assert_close(sum(parts) / weight.sum(), whole)


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
