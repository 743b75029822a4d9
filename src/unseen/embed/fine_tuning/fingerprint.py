"""The hash of everything that determines a fine-tuned model."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from unseen.embed.fine_tuning.settings import FineTuneConfig
from unseen.embed.fingerprint import fingerprint_of
from unseen.embed.model import Model
from unseen.events import Events
from unseen.systematics import NuisanceSet

__all__ = ["fine_tuning_fingerprint"]

# Raised when equal settings come to give other numbers, so that what an older version made is not taken for it.
# 2: a step of the last fit has all copies of its events.
REVISION = 2
PROBED = 64  # events that say what a nuisance does, also one that is a user's function


def fine_tuning_fingerprint(
    model: Model, events: Events, nuisances: NuisanceSet, config: FineTuneConfig, seed: int
) -> str:
    """SHA-256 of model, events, nuisances (table, and what they do to some events), settings, seed, REVISION."""
    digest = hashlib.sha256()
    for name, value in model.network.encoder.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.cpu().numpy()).data)
    probe = events[:PROBED]
    for column, nuisance in enumerate(nuisances.nuisances):
        nu = np.zeros(len(nuisances), dtype=np.float32)
        nu[column] = nuisance.prior.mean + nuisance.prior.width
        moved = nuisances.distort(probe, nu)
        for array in (moved.objects, moved.present, moved.weight):
            digest.update(np.ascontiguousarray(array).data)
    content = [
        REVISION,
        fingerprint_of(events, model.config, seed),
        model.schema.model_dump_json(),
        model.normalisation.model_dump_json(),
        json.dumps(nuisances.table(), default=str),
        config.model_dump_json(),
    ]
    digest.update(json.dumps(content).encode())
    return digest.hexdigest()
