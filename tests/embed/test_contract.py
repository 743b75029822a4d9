"""What every encoder and every objective must satisfy; a new entry in a registry is tested without a new test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.embed.toy import objective_settings, toy_batch, toy_problem, toy_settings
from unseen.embed import ENCODERS, OBJECTIVES, Model, TrainingConfig, train
from unseen.embed.network import Network
from unseen.embed.objectives import Problem
from unseen.errors import ConfigError, UnknownNameError
from unseen.events import ADC2021, Events, Schema
from unseen.events.normalisation import Normalisation

encoders = pytest.mark.parametrize("name", sorted(ENCODERS))
objectives = pytest.mark.parametrize("name", sorted(OBJECTIVES))


def inputs(events: Events) -> tuple[torch.Tensor, torch.Tensor]:
    x = Normalisation.fit(events).apply(events.objects, events.present)
    return torch.tensor(x), torch.tensor(events.present)


def unmeasured(schema: Schema) -> Normalisation:
    """A normalisation that changes nothing."""
    names = tuple(c.name for c in schema.collections)
    return Normalisation(
        collections=names,
        slots=tuple(c.slots for c in schema.collections),
        features=schema.features,
        log_pt=False,
        mean=((0.0,) * schema.n_features,) * len(names),
        deviation=((1.0,) * schema.n_features,) * len(names),
    )


@encoders
@pytest.mark.parametrize("dim", [1, 4, 7])
def test_encoder_shape(name: str, dim: int, toy: Events) -> None:
    module = ENCODERS[name].model_validate({"name": name, "dim": dim}).build(toy.schema)
    for n in (1, 10):
        assert module(*inputs(toy[:100]))[:n].shape == (n, dim)
        x, present = inputs(toy[:100])
        assert module(x[:n], present[:n]).shape == (n, dim)


@encoders
def test_absent_objects_never_matter(name: str, toy: Events) -> None:
    module = ENCODERS[name]().build(toy.schema).eval()
    x, present = inputs(toy)
    garbage = torch.where(present[..., None], x, torch.full_like(x, 1e3))
    assert torch.equal(module(x, present), module(garbage, present))


@encoders
def test_gradients_reach_every_parameter_of_an_encoder(name: str, toy: Events) -> None:
    module = ENCODERS[name]().build(toy.schema)
    module(*inputs(toy)).square().sum().backward()
    for parameter, value in module.named_parameters():
        assert value.grad is not None, parameter
        assert torch.isfinite(value.grad).all(), parameter
        assert value.grad.abs().sum() > 0, parameter


@encoders
def test_a_model_survives_the_disk(name: str, toy: Events, tmp_path: Path) -> None:
    model = train(toy, toy_settings(encoder=name, epochs=1), tmp_path / "a", seed=3)
    model.save(tmp_path / "b")
    again = Model.load(tmp_path / "b")
    np.testing.assert_array_equal(again.embed(toy), model.embed(toy))
    assert again.config == model.config
    assert again.schema == model.schema
    assert again.label_names == ("a", "b", "c")


@encoders
def test_an_embedding_does_not_depend_on_its_neighbours(name: str, toy: Events, tmp_path: Path) -> None:
    model = train(toy, toy_settings(encoder=name, epochs=1), tmp_path, seed=3)
    many = Events.concatenate([toy] * 5)
    z = model.embed(many)
    order = np.random.default_rng(0).permutation(len(many))
    np.testing.assert_array_equal(model.embed(many, batch_size=1024), z)
    np.testing.assert_array_equal(model.embed(many[order]), z[order])
    np.testing.assert_array_equal(np.concatenate([model.embed(many[:7]), model.embed(many[7:])]), z)
    assert model.embed(many[:0]).shape == (0, 4)


@objectives
@pytest.mark.parametrize("size", [1, 2, 50])
def test_an_objective_is_a_finite_scalar_with_gradients(name: str, size: int, toy: Events) -> None:
    config = objective_settings(name)
    problem, batch = toy_problem(toy, config), toy_batch(toy[:size], config)
    objective = config.objective.build(problem)
    objective.attach(Network(problem.normalisation, config.encoder.build(toy.schema)))
    embedding = torch.randn(len(batch), 4, requires_grad=True)
    loss = objective(embedding, batch)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embedding.grad).all()
    for parameter, value in objective.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, parameter
            assert torch.isfinite(value.grad).all(), parameter
            assert size < 50 or value.grad.abs().sum() > 0, parameter


@objectives
@pytest.mark.parametrize("kind", ["no weight", "single class", "zero vectors", "huge vectors", "unequal weights"])
def test_an_objective_stays_finite_on_hard_batches(name: str, kind: str, toy: Events) -> None:
    config = objective_settings(name)
    events = toy[toy.label == 0][:20] if kind == "single class" else toy[:20]
    weight = np.full(20, 0.0 if kind == "no weight" else 1.0)
    if kind == "unequal weights":
        weight = 10.0 ** np.linspace(-30, 30, 20)
    batch = toy_batch(events, config, weight)
    objective = config.objective.build(toy_problem(toy, config))
    objective.attach(Network(Normalisation.fit(toy), config.encoder.build(toy.schema)))
    scale = {"zero vectors": 0.0, "huge vectors": 1e6}.get(kind, 1.0)
    embedding = (scale * torch.randn(len(batch), 4)).requires_grad_()
    loss = objective(embedding, batch)
    loss.backward()
    assert torch.isfinite(loss)
    for gradient in [embedding.grad, *(p.grad for p in objective.parameters() if p.requires_grad)]:
        assert torch.isfinite(gradient).all()


@objectives
@pytest.mark.parametrize("field", ["temperature", "teacher_temperature"])
@pytest.mark.parametrize("temperature", [1e-6, 1e6])
def test_an_objective_stays_finite_at_extreme_temperatures(
    name: str, field: str, temperature: float, toy: Events
) -> None:
    config = objective_settings(name)
    if field not in type(config.objective).model_fields:
        return
    objective = config.objective.model_copy(update={field: temperature}).build(toy_problem(toy, config))
    objective.attach(Network(Normalisation.fit(toy), config.encoder.build(toy.schema)))
    batch = toy_batch(toy[:20], config)
    embedding = torch.randn(len(batch), 4, requires_grad=True)
    loss = objective(embedding, batch)
    loss.backward()
    assert torch.isfinite(loss)
    for gradient in [embedding.grad, *(p.grad for p in objective.parameters() if p.requires_grad)]:
        assert torch.isfinite(gradient).all()


@objectives
def test_the_scale_of_weights_does_not_matter_to_an_objective(name: str, toy: Events) -> None:
    config = objective_settings(name)
    weight = np.random.default_rng(1).exponential(size=30)
    losses = []
    for factor in (1.0, 1e4):
        batch = toy_batch(toy[:30], config, factor * weight)
        torch.manual_seed(1)
        objective = config.objective.build(toy_problem(toy, config)).eval()
        objective.attach(Network(Normalisation.fit(toy), config.encoder.build(toy.schema)))
        embedding = torch.randn(len(batch), 4)
        losses.append(objective(embedding, batch).item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@objectives
def test_every_objective_trains_to_equal_bits_also_when_interrupted(name: str, toy: Events, tmp_path: Path) -> None:
    labels = "process" if OBJECTIVES[name]().needs_classes else "none"
    settings = objective_settings(name, epochs=2, labels=labels)
    model = train(toy, settings, tmp_path / "whole", seed=1)
    assert np.isfinite(model.embed(toy)).all()

    def stop(done: int, total: int, values: object) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        train(toy, settings, tmp_path / "cut", seed=1, progress=stop)
    train(toy, settings, tmp_path / "cut", seed=1)
    for file in ("model.safetensors", "history.json"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"encoder": "mpl"}, "no encoder 'mpl'; did you mean 'mlp'"),
        ({"objective": {"name": "subcon"}}, "no objective 'subcon'; did you mean 'supcon'"),
        ({"labels": "proces"}, "no label encoding 'proces'; did you mean 'process'"),
    ],
)
def test_unknown_names_get_a_suggestion(content: dict[str, object], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        TrainingConfig.parse(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "epochs"),
        ({"encoder": {"name": "mlp", "dims": 3}}, "dims"),
        ({"encoder": {"dim": 3}}, "'name' is missing"),
        ({"early_stopping": 3, "validation_fraction": 0}, "early_stopping needs"),
        ({"labels": "none"}, "needs classes"),
        ({"lr": float("nan")}, "lr"),
    ],
)
def test_wrong_settings_are_named(content: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.parse(content)


def test_settings_are_frozen_and_survive_json() -> None:
    settings = toy_settings(encoder={"name": "mlp", "dim": 3}, objective={"name": "supcon", "temperature": 0.2})
    assert TrainingConfig.parse(settings.model_dump(mode="json")) == settings
    assert settings.model_dump()["encoder"]["hidden"] == (96, 64, 48)
    with pytest.raises(ValidationError):
        settings.epochs = 4


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({}, [16916, 3700]),
        (
            {"encoder": {"name": "mlp", "mask_inputs": False}, "objective": {"name": "supcon", "head_dim": 80}},
            [15092, 5520],
        ),
    ],
)
def test_encoder_and_head_have_the_20600_parameters_of_the_reference(
    settings: dict[str, object], sizes: list[int]
) -> None:
    config = TrainingConfig.parse(settings)
    encoder = config.encoder.build(ADC2021)
    head = config.objective.build(Problem(config.encoder.dim, 4, 0, ADC2021, unmeasured(ADC2021)))
    assert [sum(p.numel() for p in module.parameters()) for module in (encoder, head)] == sizes
