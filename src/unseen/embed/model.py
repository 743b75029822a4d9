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

from unseen.embed.inputs import Scaling, plain_scaling
from unseen.embed.network import Network
from unseen.embed.passes import ROWS_PER_PASS, passes, run_passes
from unseen.embed.settings import TrainingConfig
from unseen.errors import ConfigError, CorruptFileError, MissingFileError, NonFiniteError, ShapeError
from unseen.events import Events, Schema
from unseen.events.alike import check_alike
from unseen.events.atomic import file_hash, write_whole
from unseen.events.normalisation import Normalisation
from unseen.events.sealed import check_seal, write_sealed_json

__all__ = ["Model"]

# Version 1 had plain inputs only, and no key "scaling"; 1 and 2 had no hash of the description.
FORMAT_VERSION = 3
READABLE = (1, 2, FORMAT_VERSION)
SEALED = 3
WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained encoder with everything needed to use it: settings, schema, normalisation, classes, provenance.

    `scaling` is that of what the encoder is fed; None: that of `plain` inputs, the normalisation.
    """

    network: Network
    config: TrainingConfig
    schema: Schema
    normalisation: Normalisation
    label_names: tuple[str, ...]
    seed: int
    provenance: Mapping[str, Any] = field(default_factory=dict)
    scaling: Scaling | None = None

    @property
    def dim(self) -> int:
        """Numbers per event."""
        return self.config.encoder.dim

    def check(self, events: Events) -> None:
        """SchemaError unless the events have slots, features, units and object thresholds as those of the training."""
        self.normalisation.check(events.schema)
        check_alike(self.schema, events)

    def embed(self, events: Events, batch_size: int = 65536, device: str = "cpu") -> NDArray[np.float32]:
        """The embedding of every event, float32 (n, dim).

        `batch_size` bounds the memory; it and the order and number of the events do not change a bit of the result.
        Errors: SchemaError (as `check`), NonFiniteError.
        """
        self.check(events)
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
        network = self.network.to(device).eval()
        objects, present = torch.tensor(x).to(device), torch.tensor(there).to(device)
        z = np.empty((len(x), self.dim), dtype=np.float32)

        def work(one: tuple[NDArray[np.int64], int]) -> None:
            rows, count = one
            index = torch.from_numpy(rows).to(device)
            with torch.inference_mode():
                z[rows[:count]] = network(objects[index], present[index])[:count].float().cpu().numpy()

        run_passes(work, passes(there, self.config.encoder.by_multiplicity))
        return z

    def save(self, folder: str | Path) -> None:
        """Write model.safetensors, then model.json with its hash and that of its own content. Errors: DiskSpaceError.

        Each is written whole or not at all.
        """
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
            "scaling": (self.scaling or plain_scaling(self.normalisation)).model_dump(mode="json"),
            "label_names": list(self.label_names),
            "seed": self.seed,
            "provenance": dict(self.provenance),
        }
        write_sealed_json(folder / DESCRIPTION, content)

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """Open a model folder; nothing in it can run code. Both files are verified by their hashes.

        Descriptions of the formats 1 and 2 have no hash of their own and are taken as they are; `save` adds one.
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
            stored = content["scaling"] if content["format_version"] > 1 else plain_scaling(normalisation)
            scaling = Scaling.parse(stored, origin=str(folder / DESCRIPTION))
            names, seed = tuple(map(str, content["label_names"])), int(content["seed"])
            provenance = dict(content["provenance"])
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise CorruptFileError(f"{folder / DESCRIPTION} is damaged ({error!r}); copy or train it again") from error
        normalisation.check(schema)
        network = _network(config, schema, normalisation, scaling, folder / DESCRIPTION)
        _load_weights(network, weights)
        return cls(network, config, schema, normalisation, names, seed, provenance, scaling)


def _network(
    config: TrainingConfig, schema: Schema, normalisation: Normalisation, scaling: Scaling, path: Path
) -> Network:
    try:
        return Network.build(config.encoder, schema, normalisation, config.inputs, scaling)
    except ShapeError as error:
        raise CorruptFileError(f"{path} does not fit together ({error}); copy or train it again") from error


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if (folder / "ensemble.json").is_file() and not path.is_file():
        members = sorted(member.parent.name for member in folder.glob(f"*/{DESCRIPTION}"))
        raise MissingFileError(
            f"{folder} holds several models ({', '.join(members) or 'none finished'}) and one is needed here: name its "
            f"folder, e.g. {folder / (members or ['seed-0'])[0]}; unseen.load opens all of them"
        )
    if not path.is_file():
        raise MissingFileError(f"{folder} is not a model: it has no {DESCRIPTION} (was the training finished?)")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{path} is not valid JSON ({error}); copy or train the model again") from error
    if not isinstance(content, dict) or content.get("format_version") not in READABLE:
        raise CorruptFileError(
            f"{path} is not a model description of format {' or '.join(map(str, READABLE))}; "
            "was it written by a newer version of unseen?"
        )
    check_seal(content, path, content["format_version"] >= SEALED, "copy or train the model again")
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
