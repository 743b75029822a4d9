"""Network and loss as published code writes them, for the baseline of `training.py`; the sizes are those of unseen.

The transformer computes all slots and masks the empty ones (torch.nn.TransformerEncoder); the supervised contrastive
loss builds matrices of masks, logits and log-probabilities for all pairs, as the reference implementation of
arXiv:2004.11362 does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unseen.embed.data import Batch
from unseen.embed.encoders import EncoderConfig
from unseen.embed.encoders.transformer import TransformerConfig
from unseen.embed.inputs import Fed
from unseen.embed.layers import ObjectEmbedding
from unseen.embed.objectives import Objective, SupCon
from unseen.events import Schema

__all__ = ["AllPairs", "AllSlots", "published_encoder", "published_objective"]


class AllSlots(nn.Module):
    """A transformer with a class token over all slots."""

    def __init__(self, schema: Schema, n_features: int, config: TransformerConfig):
        super().__init__()
        self.embed = ObjectEmbedding(schema, n_features, config.width)
        self.token = nn.Parameter(0.02 * torch.randn(config.width))
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, config.feed_forward, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm, self.readout = nn.LayerNorm(config.width), nn.Linear(config.width, config.dim)

    def forward(self, fed: Fed) -> Tensor:
        """The embedding (b, dim)."""
        slots = torch.arange(fed.present.shape[1])
        x = torch.cat([self.token.expand(len(fed.present), 1, -1), self.embed(fed.objects, slots)], dim=1)
        empty = torch.cat([torch.zeros_like(fed.present[:, :1]), ~fed.present], dim=1)
        embedding: Tensor = self.readout(self.norm(self.layers(x, src_key_padding_mask=empty)[:, 0]))
        return embedding


class AllPairs(nn.Module):
    """The supervised contrastive loss on a projection head."""

    def __init__(self, head: nn.Module, temperature: float):
        super().__init__()
        self.head, self.temperature = head, temperature

    def forward(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Embedding (b, dim) -> the mean loss."""
        z = nn.functional.normalize(self.head(embedding), dim=1)
        target = batch.target[:, None]
        others = torch.ones(len(z), len(z)).scatter(1, torch.arange(len(z))[:, None], 0)
        positive = torch.eq(target, target.T).float() * others
        logits = z @ z.T / self.temperature
        logits = logits - logits.max(dim=1, keepdim=True)[0].detach()
        log_probability = logits - torch.log((torch.exp(logits) * others).sum(dim=1, keepdim=True))
        return -((positive * log_probability).sum(dim=1) / positive.sum(dim=1).clamp_min(1.0)).mean()


def published_encoder(config: EncoderConfig, schema: Schema, n_features: int, encoder: nn.Module) -> nn.Module:
    """The counterpart of an encoder: itself, but for the transformer."""
    return AllSlots(schema, n_features, config) if isinstance(config, TransformerConfig) else encoder


def published_objective(objective: Objective) -> nn.Module:
    """The counterpart of an objective: itself, but for `supcon`."""
    return AllPairs(objective.head, objective.temperature) if isinstance(objective, SupCon) else objective
