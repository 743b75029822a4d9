"""Every objective against its formula, written out in float64 or in pytorch-metric-learning."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss, VICRegLoss
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from tests.embed.toy import objective_settings, toy_batch, toy_problem
from unseen.embed.data import Batch
from unseen.embed.network import Network
from unseen.embed.objectives import Objective, soft_supcon_loss
from unseen.embed.objectives.barlow import barlow_loss
from unseen.embed.objectives.dino import Dino, follow
from unseen.embed.objectives.vicreg import class_distance, vicreg_loss, view_distance
from unseen.errors import ConfigError, NotFittedError, ShapeError
from unseen.events import Events

EVENTS = 12


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(n: int, seed: int = 1) -> Tensor:
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)) + 0.1


def unit(x: Tensor) -> Tensor:
    return x.double() / x.double().norm(dim=-1, keepdim=True)


def moments(z: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean (k,) and unbiased covariance (k, k) in float64, from numpy."""
    covariance = np.cov(z.double().numpy().T, aweights=w.double().numpy(), ddof=1)
    return (w[:, None] * z).double().sum(dim=0) / w.double().sum(), torch.from_numpy(covariance)


def build(content: str | dict[str, object], toy: Events, n_views: int | None = None) -> tuple[Objective, Batch]:
    """An objective and a weighted batch of 12 events for it."""
    config = objective_settings(content)
    if n_views is not None:
        config = objective_settings(content, n_views=n_views)
    torch.manual_seed(1)
    objective = config.objective.build(toy_problem(toy, config))
    objective.attach(Network.build(config.encoder, toy.schema, toy_problem(toy, config).normalisation))
    return objective, toy_batch(toy[:EVENTS], config, weights(EVENTS).double().numpy())


def value(objective: Objective, embedding: Tensor, batch: Batch) -> float:
    return objective(embedding, batch).item()


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("level_weights", [(0.3, 1.0), (0.0, 1.0), (1.0, 1.0), (0.25, 0.5, 1.0)])
def test_soft_supcon_weighs_positives_by_the_deepest_shared_level(
    level_weights: tuple[float, ...], temperature: float
) -> None:
    z, w = draw(30, 6), weights(30)
    fine = torch.randint(0, 12, (30,), generator=torch.Generator().manual_seed(2))
    levels = torch.stack([fine // 4, fine // 2, fine][-len(level_weights) :], dim=1)
    s, total = unit(z) @ unit(z).T / temperature, 0.0
    for i in range(30):
        others = [a for a in range(30) if a != i]
        deepest = [v * (levels[i] == levels[others])[:, level] for level, v in enumerate(level_weights)]
        share = torch.stack(deepest).amax(dim=0).double() * w[others].double()
        if share.sum() > 0:
            normal = (s[i, others] + w[others].double().log() - w.double().mean().log()).logsumexp(0)
            total -= float(w[i] * (share * (s[i, others] - normal)).sum() / share.sum())
    ours = soft_supcon_loss(z, levels, w, level_weights, temperature).item()
    assert ours == pytest.approx(total / float(w.sum()), rel=1e-5)


def test_soft_supcon_needs_a_weight_for_every_level(toy: Events) -> None:
    objective, batch = build({"name": "soft-supcon", "level_weights": [0.5, 1.0]}, toy)
    with pytest.raises(ConfigError, match="2 level_weights for the 1 levels"):
        objective(draw(EVENTS, 4), batch)
    tree = replace(batch, levels=torch.stack([batch.target // 2, batch.target], dim=1))
    plain, _ = build("soft-supcon", toy)
    assert value(objective, draw(EVENTS, 4), tree) == value(plain, draw(EVENTS, 4), tree)


def test_ntxent_against_pytorch_metric_learning(toy: Events) -> None:
    objective, batch = build({"name": "ntxent", "temperature": 0.2}, toy)
    batch = replace(batch, weight=torch.ones(len(batch)))
    embedding = draw(len(batch), 4)
    theirs = NTXentLoss(temperature=0.2)(objective.head(embedding), batch.instance).item()
    assert value(objective, embedding, batch) == pytest.approx(theirs, rel=1e-5)


def test_ntxent_of_weighted_events_and_three_views(toy: Events) -> None:
    objective, batch = build({"name": "ntxent", "temperature": 0.2}, toy, n_views=3)
    embedding = draw(3 * EVENTS, 4)
    s, w = unit(objective.head(embedding).detach()), batch.weight.double() / batch.weight.double().mean()
    s, total = s @ s.T / 0.2, 0.0
    for i in range(3 * EVENTS):
        others = [a for a in range(3 * EVENTS) if a != i]
        normal = (s[i, others] + w[others].log()).logsumexp(0)
        total -= w[i] * np.mean([s[i, p] - normal for p in others if p % EVENTS == i % EVENTS])
    assert value(objective, embedding, batch) == pytest.approx(float(total / w.sum()), rel=1e-5)


def test_vicreg_against_pytorch_metric_learning() -> None:
    """Their variance is averaged over the two views, as in the paper's code and not in its algorithm 1."""
    a, b = draw(40, 5, seed=3), 0.4 * draw(40, 5, seed=4)
    views, ones = torch.stack([a, b]), torch.ones(40)
    ours = vicreg_loss(views, ones, view_distance(views, ones), 25.0, 25.0 / 2, 1.0)
    torch.testing.assert_close(ours, VICRegLoss()(a, ref_emb=b), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_views", [2, 3])
def test_vicreg_of_weighted_events(n_views: int) -> None:
    views, w = 0.8 * draw(n_views, 20, 5), weights(20)
    distance = np.mean([float(w @ (a - b).square().mean(dim=1) / w.sum()) for a, b in permutations(views, 2)])
    variance, covariance = [], []
    for z in views:
        c = moments(z, w)[1]
        variance.append(float((1 - (c.diagonal() + 1e-4).sqrt()).clamp_min(0).mean()))
        covariance.append(float((c - c.diagonal().diag()).square().sum() / 5))
    expected = 3 * distance + 2 * 2 * np.mean(variance) + 2 * 5 * np.mean(covariance)
    ours = vicreg_loss(views, w, view_distance(views, w), 3.0, 2.0, 5.0).item()
    assert ours == pytest.approx(expected, rel=1e-5)


def test_the_distance_to_another_event_of_the_class_is_the_mean_over_partners() -> None:
    z, w = draw(15, 3) + 5.0, weights(15)
    target = torch.tensor([0] * 8 + [1] * 6 + [2])
    total = 0.0
    for i in range(15):
        partners = [p for p in range(15) if p != i and target[p] == target[i]]
        if partners:
            share = w[partners] / w[partners].sum()
            total += float(w[i] * (share * (z[partners] - z[i]).square().mean(dim=1)).sum())
    assert class_distance(z, target, w).item() == pytest.approx(total / float(w.sum()), rel=1e-5)


def test_vicreg_does_not_pull_features_that_tell_no_class_apart_to_a_point() -> None:
    """At the default weights the distance, 25 x 2 sigma^2, must cost less than the hinge, 50 (1 - sigma), gains."""
    target, ones = torch.arange(400) % 4, torch.ones(400)
    losses = []
    for z in (0.02 * draw(400, 52), 0.3 * draw(400, 52)):
        losses.append(vicreg_loss(z[None], ones, class_distance(z, target, ones), 25.0, 25.0, 1.0).item())
    assert losses[1] < losses[0]


def test_supervised_vicreg_needs_classes_and_no_views(toy: Events) -> None:
    config = objective_settings({"name": "vicreg", "pairs": "class"})
    assert (config.objective.needs_classes, config.objective.least_views) == (True, 1)
    objective, batch = build({"name": "vicreg", "pairs": "class"}, toy)
    z = objective.head(draw(EVENTS, 4))
    distance = class_distance(z, batch.target, batch.weight)
    assert value(objective, draw(EVENTS, 4), batch) == vicreg_loss(z[None], batch.weight, distance, 25, 25, 1).item()


@pytest.mark.parametrize("n_views", [2, 3])
def test_barlow(n_views: int) -> None:
    views, w = draw(n_views, 20, 5), weights(20)
    losses = []
    for a, b in permutations([z.double() for z in views], 2):
        a, b = (z - (w[:, None] * z).sum(dim=0) / w.sum() for z in (a, b))
        a, b = (z / ((w[:, None] * z * z).sum(dim=0) / w.sum() + 1e-5).sqrt() for z in (a, b))
        c = a.T @ (w[:, None] * b) / w.sum()
        losses.append(float((1 - c.diagonal()).square().sum() + 0.01 * (c - c.diagonal().diag()).square().sum()))
    assert barlow_loss(views, w, 0.01).item() == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("n_views", [2, 3])
@pytest.mark.parametrize("plus", [False, True])
def test_anomclr(plus: bool, n_views: int, toy: Events) -> None:
    objective, batch = build({"name": "anomclr", "temperature": 0.2, "plus": plus}, toy, n_views)
    embedding = draw(len(batch), 4)
    z = unit(objective.head(embedding).detach()).reshape(n_views + 1, EVENTS, -1)
    w, total = batch.weight[:EVENTS].double() / batch.weight.double().mean(), 0.0
    for v in range(n_views):
        for i in range(EVENTS):
            same = np.mean([z[v, i] @ z[u, i] for u in range(n_views) if u != v])
            loss = -(same - z[v, i] @ z[-1, i]) / 0.2
            if not plus:
                others = [z[v, i] @ z[u, j] / 0.2 + w[j].log() for u in range(n_views) for j in range(EVENTS) if j != i]
                loss += torch.stack(others).logsumexp(0)
            total += float(w[i] * loss)
    assert value(objective, embedding, batch) == pytest.approx(total / (n_views * float(w.sum())), rel=1e-5)


def test_anomclr_asks_for_anomalies(toy: Events) -> None:
    objective, batch = build("anomclr", toy)
    usual = batch.rows(torch.arange(2 * EVENTS))
    with pytest.raises(ShapeError, match="no anomalous copies"):
        objective(draw(2 * EVENTS, 4), usual)
    with pytest.raises(ShapeError, match="not 3 for every event"):
        objective(draw(3 * EVENTS - 1, 4), batch.rows(torch.arange(1, 3 * EVENTS)))


def test_dino(toy: Events) -> None:
    objective, batch = build("dino", toy, n_views=3)
    assert isinstance(objective, Dino)
    objective.centre += 0.1 * draw(256, seed=9)
    embedding, centre, c = draw(len(batch), 4), objective.centre.clone(), objective.config
    network, head = objective.teacher
    outputs = head(network(batch.objects, batch.present)).detach()
    teacher = ((outputs - centre).double() / c.teacher_temperature).softmax(1).reshape(3, EVENTS, -1)
    student = (objective.student(embedding).double() / c.temperature).log_softmax(1).reshape(3, EVENTS, -1)
    w = batch.weight[:EVENTS].double()
    pairs = [-((teacher[u] * student[v]).sum(dim=1) @ w / w.sum()).item() for u, v in permutations(range(3), 2)]
    assert value(objective.eval(), embedding, batch) == pytest.approx(sum(pairs) / 6, rel=1e-5)
    assert torch.equal(objective.centre, centre)
    objective.train()(embedding, batch)
    mean = (batch.weight[:, None] * outputs).sum(dim=0) / batch.weight.sum()
    torch.testing.assert_close(objective.centre, 0.9 * centre + 0.1 * mean)


def test_the_teacher_follows_the_student(toy: Events) -> None:
    objective, batch = build("dino", toy)
    assert isinstance(objective, Dino)
    network = copy.deepcopy(objective.teacher[0])
    before = [p.clone() for p in network.parameters()]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 1.0
    objective.after_step(network)
    for old, new in zip(before, objective.teacher[0].parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.01)
        assert not new.requires_grad
    objective.teacher = None
    with pytest.raises(NotFittedError, match="attach"):
        objective(draw(len(batch), 4), batch)


def test_a_teacher_copies_running_statistics() -> None:
    teacher, student = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    student(draw(5, 2))
    follow(teacher, student, 0.9)
    assert torch.equal(teacher.running_mean, student.running_mean)


def test_equivariant_is_the_error_of_the_parameters(toy: Events) -> None:
    objective, batch = build("equivariant", toy)
    embedding, w = draw(EVENTS, 4), batch.weight.double()
    error = (objective.predictor(embedding).double() - batch.parameters).square().mean(dim=1)
    assert batch.parameters.shape == (EVENTS, 2)
    assert value(objective, embedding, batch) == pytest.approx((w @ error / w.sum()).item(), rel=1e-5)
    config = objective_settings("equivariant")
    with pytest.raises(ConfigError, match="name views with parameters"):
        config.objective.build(replace(toy_problem(toy, config), n_parameters=0))


def test_the_classifier_is_a_weighted_cross_entropy(toy: Events) -> None:
    objective, batch = build("classifier", toy)
    embedding, w = draw(EVENTS, 4), batch.weight.double()
    entropy = -objective.head(embedding).double().log_softmax(1)[torch.arange(EVENTS), batch.target]
    assert value(objective, embedding, batch) == pytest.approx((w @ entropy / w.sum()).item(), rel=1e-5)
    assert [name for name, _ in objective.named_parameters()] == ["head.0.weight", "head.0.bias"]


def test_logit_adjustment_uses_the_classes_seen_in_training(toy: Events) -> None:
    objective, batch = build({"name": "classifier", "adjustment": 0.5}, toy)
    embedding, w = draw(EVENTS, 4), batch.weight.double()
    for _ in range(3):
        objective.train()(embedding, batch)
    counts = 1.0 + 3.0 * torch.zeros(3).double().index_add(0, batch.target, w)
    logits = objective.head(embedding).double() + 0.5 * (counts / counts.sum()).log()
    entropy = -logits.log_softmax(1)[torch.arange(EVENTS), batch.target]
    assert value(objective.eval(), embedding, batch) == pytest.approx((w @ entropy / w.sum()).item(), rel=1e-5)
    torch.testing.assert_close(objective.seen, counts.float())


def test_the_vae_is_the_negative_elbo(toy: Events) -> None:
    objective, batch = build({"name": "vae", "beta": 0.5}, toy)
    embedding, w, config = draw(EVENTS, 4), batch.weight.double(), objective_settings("vae")
    torch.manual_seed(3)
    ours = value(objective, embedding, batch)
    torch.manual_seed(3)
    posterior = Normal(embedding, (0.5 * objective.log_variance(embedding)).exp())
    output = objective.decoder(posterior.rsample()).reshape(EVENTS, 5, 4)
    x = toy_problem(toy, config).normalisation.apply(batch.objects, batch.present)
    features = -Normal(output[..., :3], 1.0).log_prob(x) - 0.5 * math.log(2 * math.pi)
    presence = -Bernoulli(logits=output[..., 3]).log_prob(batch.present.float())
    rebuilt = (features.sum(dim=2) * batch.present + presence).sum(dim=1)
    loss = rebuilt + 0.5 * kl_divergence(posterior, Normal(0.0, 1.0)).sum(dim=1)
    assert ours == pytest.approx((w @ loss.double() / w.sum()).item(), rel=1e-5)


def test_absent_objects_do_not_enter_the_reconstruction(toy: Events) -> None:
    objective, batch = build("vae", toy)
    garbage = torch.where(batch.present[..., None], batch.objects, torch.full_like(batch.objects, 1e3))
    embedding, losses = draw(EVENTS, 4), []
    for objects in (batch.objects, garbage):
        torch.manual_seed(3)
        losses.append(value(objective, embedding, replace(batch, objects=objects)))
    assert losses[0] == losses[1]
