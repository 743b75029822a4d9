"""`vae`: variational autoencoder (arXiv:1312.6114): the embedding must suffice to rebuild the event."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from unseen.embed.data import Batch
from unseen.embed.layers import perceptron
from unseen.embed.objectives.average import weighted_mean
from unseen.embed.objectives.base import Objective, ObjectiveConfig, Problem
from unseen.events.normalisation import normalise

__all__ = ["VAE", "VAEConfig", "divergence", "reconstruction"]

# exp(+-20) is far beyond what an input of unit variance can ask for, and finite when squared.
LARGEST_LOG_VARIANCE = 20.0


class VAEConfig(ObjectiveConfig):
    """Settings of `vae`."""

    name: Literal["vae"] = "vae"
    hidden: tuple[PositiveInt, ...] = Field(default=(48, 64, 96), description="Hidden layers of the decoder.")
    beta: float = Field(default=1.0, ge=0.0, description="Weight of the divergence from the unit Gaussian.")

    def build(self, problem: Problem) -> Objective:
        """The decoder and the head of the variances."""
        return VAE(problem, self)


class VAE(Objective):
    """Negative ELBO, arXiv:1312.6114, Eq. 10, with one noise draw per row, and `beta` before the divergence.

    The embedding is the mean of the posterior q(z | event); the logarithm of its variance is linear in the embedding,
    by a head of this objective, so that the encoder stays what every other objective trains. The decoder rebuilds the
    normalised features of the objects that are present, as Gaussians of unit variance, and which objects are present.
    Noise comes from torch's current generator, which training seeds every epoch.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, problem: Problem, config: VAEConfig):
        super().__init__()
        mean, deviation = problem.normalisation.per_slot()
        self.register_buffer("mean", torch.from_numpy(mean), persistent=False)
        self.register_buffer("deviation", torch.from_numpy(deviation), persistent=False)
        self.log_column = problem.normalisation.log_column
        self.beta = config.beta
        self.slots, self.features = problem.schema.n_slots, problem.schema.n_features
        self.log_variance = nn.Linear(problem.dim, problem.dim)
        self.decoder = perceptron(problem.dim, config.hidden, self.slots * (self.features + 1))

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean of reconstruction plus beta times divergence, in nats."""
        log_variance = self.log_variance(embedding).clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)
        z = embedding + (0.5 * log_variance).exp() * torch.randn_like(embedding)
        output = self.decoder(z).unflatten(1, (self.slots, self.features + 1))
        x = normalise(batch.objects, batch.present, self.mean, self.deviation, self.log_column)
        loss = reconstruction(output, x, batch.present) + self.beta * divergence(embedding, log_variance)
        return weighted_mean(loss, batch.weight)


def reconstruction(output: Tensor, x: Tensor, present: Tensor) -> Tensor:
    """-log p(event | z) up to a constant, (b,): half the squared error of what is present, and the entropy of presence.

    Decoder `output` (b, slots, features + 1), the last the logit of being present; normalised `x` (b, slots, features),
    `present` (b, slots).
    """
    square = (output[..., :-1] - x).square().sum(dim=2)
    presence = binary_cross_entropy_with_logits(output[..., -1], present.to(x.dtype), reduction="none")
    return (0.5 * torch.where(present, square, 0.0) + presence).sum(dim=1)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)), (b,), for (b, d) each: arXiv:1312.6114, appendix B."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1)
