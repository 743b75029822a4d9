"""Families of anomalies, and the objective that tells known events from each of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from tests.embed.toy import objective_settings, toy_batch, toy_events, toy_problem
from unseen.embed import TrainingConfig
from unseen.embed.families import combinations
from unseen.errors import ConfigError, UnknownNameError
from unseen.events import Events

HARD = {"name": "rescale-pt", "factor": [2.0, 3.0]}


def test_every_combination_but_nothing_is_a_family() -> None:
    config = TrainingConfig.parse(
        {"objective": "exposure", "families": [[[], ["overlay"]], [[], ["rotate"], [HARD, "flip"]]]}
    )
    found = [[view.name for view in chain] for chain in combinations(config.families)]
    assert found == [
        ["rotate"],
        ["rescale-pt", "flip"],
        ["overlay"],
        ["overlay", "rotate"],
        ["overlay", "rescale-pt", "flip"],
    ]


def test_a_copy_of_every_event_is_dealt_among_the_families(toy: Events) -> None:
    config = objective_settings("exposure")
    batch = toy_batch(toy[:100], config)
    assert len(batch) == 200
    assert (batch.family[:100] == -1).all()
    assert batch.anomalous.tolist() == [False] * 100 + [True] * 100
    # Three families: nearly equal parts.
    assert torch.bincount(batch.family[100:]).tolist() == [34, 33, 33]
    torch.testing.assert_close(batch.objects[:100], torch.tensor(toy.objects[:100]), rtol=0, atol=0)
    assert not torch.equal(batch.objects[100:], batch.objects[:100])
    assert torch.equal(batch.instance[100:], batch.instance[:100])


def test_the_loss_is_its_formula(toy: Events) -> None:
    config = objective_settings("exposure")
    weight = np.random.default_rng(1).exponential(size=60)
    batch = toy_batch(toy[:60], config, weight)
    objective = config.objective.build(toy_problem(toy, config))
    embedding = torch.randn(len(batch), 4, generator=torch.Generator().manual_seed(2))
    odds, w = objective.head(embedding).double(), batch.weight.double()
    known, parts = batch.family < 0, []
    for k in range(3):
        mine = batch.family == k
        background = (w[known] * softplus(odds[known, k])).sum() / w[known].sum()
        parts.append(background + (w[mine] * softplus(-odds[mine, k])).sum() / w[mine].sum())
    expected = torch.stack(parts).mean()
    torch.testing.assert_close(objective(embedding, batch).double(), expected, rtol=1e-5, atol=0)


def test_the_minimum_is_the_likelihood_ratio() -> None:
    """Known events from N(0, 1), one family from N(1, 1): log r = x - 1/2."""
    config = objective_settings("exposure", families=[[[], ["rotate"]]])
    sample = toy_events(4000, seed=1)
    batch = toy_batch(sample, config)
    x = torch.randn(len(batch), generator=torch.Generator().manual_seed(3))
    x = x + (batch.family >= 0)
    problem = toy_problem(sample, config.model_copy(update={"encoder": config.encoder.model_copy(update={"dim": 1})}))
    objective = config.objective.build(problem)
    optimiser = torch.optim.LBFGS(objective.parameters(), max_iter=50)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss: torch.Tensor = objective(x[:, None], batch)
        loss.backward()
        return loss

    optimiser.step(closure)
    slope, offset = (float(p.detach().flatten()[0]) for p in objective.head.parameters())
    # The errors of a logistic fit of 2 x 4000 events to unit Gaussians one apart are near 0.03; five of them.
    assert slope == pytest.approx(1.0, abs=0.15)
    assert offset == pytest.approx(-0.5, abs=0.15)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({"objective": "exposure"}, ConfigError, "needs families of anomalies"),
        ({"objective": "exposure", "families": [[[]]]}, ConfigError, "needs families of anomalies"),
        ({"objective": "exposure", "families": [[[], ["overly"]]]}, UnknownNameError, "did you mean 'overlay'"),
        (
            {
                "objective": {"name": "sum", "parts": [{"objective": "exposure"}, {"objective": "anomclr"}]},
                "families": [[[], ["overlay"]]],
                "anomalies": ["rotate"],
                "views": ["rotate"],
            },
            ConfigError,
            "not both",
        ),
    ],
)
def test_wrong_families_are_named(content: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TrainingConfig.parse(content)
