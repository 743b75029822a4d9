"""Every optimiser descends; LARS follows its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unseen.embed.optimisers import OPTIMISERS, Lars, LarsConfig


@pytest.mark.parametrize("name", sorted(OPTIMISERS))
def test_every_optimiser_descends_and_continues_from_its_state(name: str) -> None:
    config = OPTIMISERS[name].model_validate({"name": name})
    target = torch.arange(6.0).reshape(2, 3)

    def descend(
        steps: int, state: tuple[torch.Tensor, dict[str, object]] | None
    ) -> tuple[torch.Tensor, dict[str, object]]:
        w = torch.nn.Parameter(torch.ones(2, 3) if state is None else state[0].clone())
        optimiser = config.build([w], 1.0 if name == "lars" else 0.1, 0.0)
        if state is not None:
            optimiser.load_state_dict(state[1])
        for _ in range(steps):
            optimiser.zero_grad()
            (w - target).square().sum().backward()
            optimiser.step()
        return w.detach(), optimiser.state_dict()

    whole = descend(20, None)
    torch.testing.assert_close(descend(10, descend(10, None))[0], whole[0], rtol=0, atol=0)
    assert (whole[0] - target).norm() < (torch.ones(2, 3) - target).norm()


def test_lars_is_algorithm_1() -> None:
    rng = np.random.default_rng(0)
    w0, trust, lr, m, beta = rng.normal(size=(3, 4)), 0.02, 0.5, 0.9, 0.01
    gradients = rng.normal(size=(5, 3, 4))
    parameter = torch.nn.Parameter(torch.tensor(w0))
    optimiser = Lars([parameter], lr=lr, momentum=m, weight_decay=beta, trust=trust)
    w, v = w0.copy(), np.zeros_like(w0)
    for g in gradients:
        lam = trust * np.linalg.norm(w) / (np.linalg.norm(g) + beta * np.linalg.norm(w))
        v = m * v + lr * lam * (g + beta * w)
        w = w - v
        parameter.grad = torch.tensor(g)
        optimiser.step()
    np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-12)


def test_lars_leaves_vectors_to_momentum_and_zero_weights_move() -> None:
    matrix, bias = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.full((2,), 3.0))
    optimiser = LarsConfig().build([matrix, bias], lr=0.1, weight_decay=1.0)
    matrix.grad, bias.grad = torch.ones(2, 2), torch.ones(2)
    optimiser.step()
    torch.testing.assert_close(matrix.detach(), torch.full((2, 2), -0.1))
    torch.testing.assert_close(bias.detach(), torch.full((2,), 2.9))
    adapted = LarsConfig(adapt_vectors=True).build([bias], lr=0.1, weight_decay=1.0)
    assert [len(group["params"]) for group in adapted.param_groups] == [1]
