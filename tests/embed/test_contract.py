"""What every encoder and every objective must satisfy; a new entry in a registry is tested without a new test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.embed.toy import objective_settings, toy_batch, toy_problem, toy_settings
from unseen.embed import ENCODERS, OBJECTIVES, Model, TrainingConfig, train
from unseen.embed.encoders import EncoderConfig
from unseen.embed.inputs import INPUTS, learn_scaling
from unseen.embed.network import Network
from unseen.embed.objectives import Problem
from unseen.errors import ConfigError, UnknownNameError
from unseen.events import ADC2021, Events, Schema
from unseen.events.normalisation import Normalisation


def choices(kind: type[EncoderConfig]) -> Iterator[tuple[str, object]]:
    """The settings of an encoder that are a choice among a few, with every value that is not the default."""
    for field, info in kind.model_fields.items():
        values = (False, True) if info.annotation is bool else get_args(info.annotation)
        if field != "name" and (info.annotation is bool or get_origin(info.annotation) is Literal):
            yield from ((field, value) for value in values if value != info.default)


# Every encoder as it is, and with every other choice that it has: no pooling or mask goes untested.
VARIANTS: dict[str, dict[str, object]] = {name: {"name": name} for name in sorted(ENCODERS)}
VARIANTS |= {
    f"{name}, {field} {value}": {"name": name, field: value}
    for name in sorted(ENCODERS)
    for field, value in choices(ENCODERS[name])
}
INVARIANT = {key: variant for key, variant in VARIANTS.items() if ENCODERS[str(variant["name"])].invariant}
encoders = pytest.mark.parametrize("encoder", list(VARIANTS.values()), ids=list(VARIANTS))
objectives = pytest.mark.parametrize("name", sorted(OBJECTIVES))
FED: dict[str, object] = {name: name for name in sorted(INPUTS)}
FED["physics without event features"] = {"name": "physics", "event_features": False}
fed = pytest.mark.parametrize("inputs", list(FED.values()), ids=list(FED))


Settings = dict[str, object]


def network(encoder: str | Settings, inputs: object, events: Events, **settings: object) -> Network:
    """An untrained network with the scaling of the events."""
    return untrained(encoder, inputs, events, **settings).network


def untrained(encoder: str | Settings, inputs: object, events: Events, **settings: object) -> Model:
    named = {"name": encoder} if isinstance(encoder, str) else encoder
    config = toy_settings(encoder={**named, **settings}, inputs=inputs)
    torch.manual_seed(1)
    normalisation = Normalisation.fit(events, log_pt=True)
    scaling = learn_scaling(config.inputs, events, normalisation, config.encoder.needs_pairs)
    module = Network.build(config.encoder, events.schema, normalisation, config.inputs, scaling)
    return Model(module, config, events.schema, normalisation, events.label_names, 1, {}, scaling)


def tensors(events: Events) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(events.objects), torch.tensor(events.present)


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
@fed
@pytest.mark.parametrize("dim", [1, 4, 7])
def test_encoder_shape(encoder: Settings, inputs: object, dim: int, toy: Events) -> None:
    module = network(encoder, inputs, toy, dim=dim)
    x, present = tensors(toy[:100])
    for n in (0, 1, 10):
        assert module(x[:n], present[:n]).shape == (n, dim)


@encoders
@fed
def test_absent_objects_never_matter(encoder: Settings, inputs: object, toy: Events) -> None:
    module = network(encoder, inputs, toy)
    x, present = tensors(toy)
    for nonsense in (1e3, -7.0, float("nan"), float("inf")):
        garbage = torch.where(present[..., None], x, torch.full_like(x, nonsense)).requires_grad_()
        z = module(garbage, present)
        assert torch.equal(module(x, present), z)
        z.sum().backward()
        assert garbage.grad is not None
        assert (garbage.grad[~present] == 0).all()
        assert torch.isfinite(garbage.grad).all()


@encoders
@fed
def test_events_without_objects_and_full_ones_are_finite(encoder: Settings, inputs: object, toy: Events) -> None:
    module = network(encoder, inputs, toy)
    x, present = tensors(toy[:4])
    for there in (torch.zeros_like(present), torch.ones_like(present)):
        filled = torch.where(there[..., None], x + 1, torch.zeros_like(x))
        assert torch.isfinite(module(filled, there)).all()
        assert torch.isfinite(module(torch.zeros_like(x), there)).all()


@pytest.mark.parametrize("encoder", list(INVARIANT.values()), ids=list(INVARIANT))
@fed
def test_the_order_of_objects_of_one_type_does_not_matter(encoder: Settings, inputs: object, toy: Events) -> None:
    module = network(encoder, inputs, toy)
    x, present = tensors(toy)
    order = torch.tensor([0, 3, 1, 4, 2])
    # float32 sums in another order
    torch.testing.assert_close(module(x[:, order], present[:, order]), module(x, present), atol=1e-5, rtol=1e-5)


@encoders
@fed
def test_gradients_reach_every_parameter_of_an_encoder(encoder: Settings, inputs: object, toy: Events) -> None:
    module = network(encoder, inputs, toy)
    module(*tensors(toy)).square().sum().backward()
    for parameter, value in module.named_parameters():
        assert value.grad is not None, parameter
        assert torch.isfinite(value.grad).all(), parameter
        assert value.grad.abs().sum() > 0, parameter


@encoders
def test_a_model_survives_the_disk(encoder: Settings, toy: Events, tmp_path: Path) -> None:
    model = train(toy, toy_settings(encoder=encoder, inputs="physics", epochs=1), tmp_path / "a", seed=3)
    model.save(tmp_path / "b")
    again = Model.load(tmp_path / "b")
    np.testing.assert_array_equal(again.embed(toy), model.embed(toy))
    assert again.config == model.config
    assert again.scaling == model.scaling
    assert again.schema == model.schema
    assert again.label_names == ("a", "b", "c")


@encoders
@fed
def test_an_embedding_does_not_depend_on_its_neighbours(encoder: Settings, inputs: object, toy: Events) -> None:
    model = untrained(encoder, inputs, toy)
    many = Events.concatenate([toy] * 2)
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
    objective.attach(Network.build(config.encoder, toy.schema, problem.normalisation))
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
    objective.attach(Network.build(config.encoder, toy.schema, Normalisation.fit(toy)))
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
    objective.attach(Network.build(config.encoder, toy.schema, Normalisation.fit(toy)))
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
        objective.attach(Network.build(config.encoder, toy.schema, Normalisation.fit(toy)))
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
        ({"inputs": "physic"}, "no inputs 'physic'; did you mean 'physics'"),
        ({"encoder": "mpl"}, "no encoder 'mpl'; did you mean 'mlp'"),
        ({"objective": {"name": "subcon"}}, "no objective 'subcon'; did you mean 'supcon'"),
        ({"labels": "proces"}, "no label encoding 'proces'; did you mean 'process'"),
    ],
)
def test_unknown_names_get_a_suggestion(content: dict[str, object], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        TrainingConfig.parse(content)


def test_every_choice_that_an_encoder_has_is_tested() -> None:
    assert {"mlp, mask_inputs False", "transformer, pooling mean", "pair-transformer, pooling mean"} <= VARIANTS.keys()


@encoders
def test_an_embedding_needs_a_dimension(encoder: Settings) -> None:
    for dim in (0, -1, 1.5):
        with pytest.raises(ConfigError, match="dim"):
            TrainingConfig.parse({"encoder": {**encoder, "dim": dim}})


@pytest.mark.parametrize("name", ["transformer", "pair-transformer"])
def test_mean_pooling_is_the_mean_of_the_present_objects(name: str, toy: Events) -> None:
    """Without layers between: the readout of the mean, whether absent objects are left out or masked."""
    module = network(name, "plain", toy, pooling="mean")
    x, present = tensors(toy)
    fed = module.inputs(x, present)
    encoder = module.encoder
    encoder.layers = torch.nn.ModuleList()
    slots = torch.arange(x.shape[1])
    objects, there = encoder.embed(fed.objects, slots), present[..., None]
    mean = torch.where(there, objects, 0.0).sum(1) / there.sum(1).clamp(min=1)
    # float32 sums in another order
    torch.testing.assert_close(encoder.packed(fed), mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(encoder.masked(fed), mean, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "encoder", [v for v in VARIANTS.values() if "pooling" in ENCODERS[str(v["name"])].model_fields]
)
@fed
def test_leaving_objects_out_and_masking_them_is_the_same(encoder: Settings, inputs: object, toy: Events) -> None:
    module = network(encoder, inputs, toy)
    x, present = tensors(toy)
    fed = module.inputs(x, present)
    torch.testing.assert_close(module.encoder.masked(fed), module.encoder.packed(fed), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "epochs"),
        ({"encoder": {"name": "mlp", "dims": 3}}, "dims"),
        ({"encoder": {"dim": 3}}, "'name' is missing"),
        ({"encoder": {"name": "transformer", "width": 60}}, "width 60 is not a multiple of heads 8"),
        ({"inputs": "physics", "log_pt": False}, "feed log pt"),
        ({"inputs": {"name": "physics", "sharpness": 0}}, "sharpness"),
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
