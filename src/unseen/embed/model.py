"""A trained embedding: what `train` returns and `unseen.load` opens. Weights and plain JSON, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from unseen.embed.network import Network
from unseen.embed.settings import TrainingConfig
from unseen.errors import ConfigError, CorruptFileError, MissingFileError, NonFiniteError
from unseen.events import Events, Schema
from unseen.events.atomic import file_hash, write_json, write_whole
from unseen.events.normalisation import Normalisation

__all__ = ["Model"]

FORMAT_VERSION = 1
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
# Every forward pass has this many rows (the last is padded), so that an event's embedding does not depend on the
# events around it: matrix products of another shape may round differently.
ROWS_PER_PASS = 1024


@dataclass(frozen=True, eq=False)
class Model:
    """A trained encoder with everything needed to use it: settings, schema, normalisation, classes, provenance."""

    network: Network
    config: TrainingConfig
    schema: Schema
    normalisation: Normalisation
    label_names: tuple[str, ...]
    seed: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """Numbers per event."""
        return self.config.encoder.dim

    def embed(self, events: Events, batch_size: int = 65536, device: str = "cpu") -> NDArray[np.float32]:
        """The embedding of every event, float32 (n, dim).

        `batch_size` bounds the memory; it and the order and number of the events do not change a bit of the result.
        Errors: SchemaError (other slots or features), NonFiniteError.
        """
        self.normalisation.check(events.schema)
        step = max(1, batch_size // ROWS_PER_PASS) * ROWS_PER_PASS
        slices = [events[i : i + step] for i in range(0, len(events), step)]
        return self.joined([self.block(part.objects, part.present, device) for part in slices])

    def joined(self, blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """The embeddings of consecutive blocks as one, (n, dim); NonFiniteError names the first event at fault."""
        z = np.concatenate(blocks) if blocks else np.zeros((0, self.dim), dtype=np.float32)
        if not np.isfinite(z).all():
            row = int(np.argmin(np.isfinite(z).all(axis=1)))
            raise NonFiniteError(f"the embedding of event {row} is not finite: an object of it is beyond float32")
        return z

    def block(self, x: NDArray[np.float32], there: NDArray[np.bool_], device: str = "cpu") -> NDArray[np.float32]:
        """The embedding (n, dim) of objects (n, slots, features) and which of them are present, (n, slots)."""
        n, network = len(x), self.network.to(device).eval()
        objects, present = _padded(torch.tensor(x), n).to(device), _padded(torch.tensor(there), n).to(device)
        with torch.inference_mode():
            starts = range(0, len(objects), ROWS_PER_PASS)
            passes = [network(objects[i : i + ROWS_PER_PASS], present[i : i + ROWS_PER_PASS]) for i in starts]
        z: NDArray[np.float32] = torch.cat(passes)[:n].float().cpu().numpy()
        return z

    def save(self, folder: str | Path) -> None:
        """Write model.safetensors, then model.json with its hash, each whole or not at all. Errors: DiskSpaceError."""
        folder = Path(folder)
        tensors = {name: value.contiguous().cpu() for name, value in self.network.encoder.state_dict().items()}
        with write_whole(folder / WEIGHTS) as temporary:
            temporary.write_bytes(safetensors.torch.save(tensors))
        content = {
            "format_version": FORMAT_VERSION,
            "weights_sha256": file_hash(folder / WEIGHTS),
            "config": self.config.model_dump(mode="json"),
            "schema": self.schema.model_dump(mode="json"),
            "normalisation": self.normalisation.model_dump(mode="json"),
            "label_names": list(self.label_names),
            "seed": self.seed,
            "provenance": dict(self.provenance),
        }
        write_json(folder / DESCRIPTION, content)

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """Open a model folder; nothing in it can run code.

        Errors: MissingFileError, CorruptFileError (damaged, or files of two different models), NonFiniteError
        (weights), UnknownNameError (an encoder that this version does not have).
        """
        folder = Path(folder)
        content = _description(folder)
        weights = folder / WEIGHTS
        if not weights.is_file():
            raise MissingFileError(f"{folder} is not a complete model: it has no {WEIGHTS}")
        try:
            if file_hash(weights) != content["weights_sha256"]:
                raise CorruptFileError(f"{weights} does not match the hash in {DESCRIPTION}; copy or train it again")
            config = TrainingConfig.parse(content["config"], origin=str(folder / DESCRIPTION))
            schema = Schema.parse(content["schema"], origin=str(folder / DESCRIPTION))
            normalisation = Normalisation.parse(content["normalisation"], origin=str(folder / DESCRIPTION))
            names, seed = tuple(map(str, content["label_names"])), int(content["seed"])
            provenance = dict(content["provenance"])
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise CorruptFileError(f"{folder / DESCRIPTION} is damaged ({error!r}); copy or train it again") from error
        normalisation.check(schema)
        network = Network(normalisation, config.encoder.build(schema))
        _load_weights(network, weights)
        return cls(network, config, schema, normalisation, names, seed, provenance)


def _padded(x: Tensor, n: int) -> Tensor:
    missing = -n % ROWS_PER_PASS
    return torch.cat([x, x.new_zeros((missing, *x.shape[1:]))])


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise MissingFileError(f"{folder} is not a model: it has no {DESCRIPTION} (was the training finished?)")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{path} is not valid JSON ({error}); copy or train the model again") from error
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        raise CorruptFileError(f"{path} is not a model description of format {FORMAT_VERSION}")
    return content


def _load_weights(network: Network, path: Path) -> None:
    try:
        tensors = safetensors.torch.load(path.read_bytes())
        network.encoder.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise CorruptFileError(f"{path} does not hold the weights of this encoder ({error})") from error
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise NonFiniteError(f"{path}: weight '{name}' is not finite; train the model again")
