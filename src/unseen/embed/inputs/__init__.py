"""What an encoder is fed. Extending is one file and one line in `INPUTS`."""

from unseen.embed.inputs.base import Features, Fed, Inputs, InputsConfig
from unseen.embed.inputs.learn import learn_scaling, plain_scaling, scaled_inputs
from unseen.embed.inputs.physics import PhysicsConfig, PhysicsInputs
from unseen.embed.inputs.plain import PlainConfig, PlainInputs
from unseen.embed.inputs.scaling import Scaling

__all__ = [
    "INPUTS",
    "Features",
    "Fed",
    "Inputs",
    "InputsConfig",
    "PhysicsConfig",
    "PhysicsInputs",
    "PlainConfig",
    "PlainInputs",
    "Scaling",
    "learn_scaling",
    "plain_scaling",
    "scaled_inputs",
]

INPUTS: dict[str, type[InputsConfig]] = {"plain": PlainConfig, "physics": PhysicsConfig}
