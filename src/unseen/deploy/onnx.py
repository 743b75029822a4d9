"""A trained model as an ONNX graph: physical objects in, embedding out, checked against the model after writing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unseen.deploy.exporters import EXPORTERS, INPUTS, OUTPUT
from unseen.embed import Model
from unseen.errors import ExportError, MissingExtraError
from unseen.events import Events
from unseen.events.atomic import write_whole
from unseen.registry import lookup
from unseen.seeds import generator

__all__ = ["EXPORTERS", "Export", "to_onnx"]

TOLERANCE = 1e-4
N_CHECKED = 512


@dataclass(frozen=True)
class Export:
    """What was written: the file, the exporter, the operator set, and how the check went.

    difference: largest absolute difference between graph and model over `n_checked` events.
    """

    path: str
    exporter: str
    opset: int
    difference: float
    n_checked: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps`."""
        return asdict(self)


def to_onnx(
    model: Model, path: str | Path, exporter: str = "dynamo", events: Events | None = None, tolerance: float = TOLERANCE
) -> Export:
    """Write the model as one file; one event or more may be fed to it at once.

    Inputs: objects float32 (n, slots, features) in the units of the schema, present bool (n, slots); normalisation and
    physics inputs are inside. Output: z float32 (n, dim). The metadata hold the schema, the names of the training
    labels, the versions and the weights' origin. `exporter`: `dynamo` or `torchscript`.
    After writing, onnxruntime embeds `events` (default: random ones of every multiplicity) and has to agree with the
    model within `tolerance`. Errors: MissingExtraError, UnknownNameError (exporter), SchemaError (events),
    ExportError (no graph, or other numbers; nothing is written then).
    """
    write = lookup(exporter, EXPORTERS, "exporter")
    onnx, onnxruntime = _libraries()
    objects, present = _random_events(model) if events is None else _first_events(model, events)
    # More than one event: an example of one would fix the number at one.
    example = torch.tensor(objects[:3]), torch.tensor(present[:3])
    with write_whole(Path(path)) as temporary:
        try:
            write(model.network.cpu().eval(), example, temporary)
        except Exception as error:  # whatever the exporter cannot do, in a line; the cause is chained
            raise ExportError(
                f"exporter '{exporter}' cannot write encoder '{model.config.encoder.name}' ({type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else 'no message'}); try the other of {sorted(EXPORTERS)}"
            ) from error
        graph = onnx.load(str(temporary))
        onnx.helper.set_model_props(graph, _metadata(model, exporter))
        graph.producer_name = "unseen"
        onnx.checker.check_model(graph)
        temporary.write_bytes(graph.SerializeToString())
        difference = _difference(onnxruntime, temporary, model, objects, present)
        if not difference <= tolerance:
            raise ExportError(
                f"the graph of exporter '{exporter}' differs from the model by {difference:.2g}, more than "
                f"{tolerance:g}; nothing was written. Try the other of {sorted(EXPORTERS)}"
            )
    opset = max(entry.version for entry in graph.opset_import if entry.domain == "")
    return Export(str(path), exporter, opset, difference, len(objects))


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise MissingExtraError(f"export needs {error.name}: pip install 'unseen[deploy]'") from error
    assert onnxscript  # torch's newer exporter imports it
    return onnx, onnxruntime


def _metadata(model: Model, exporter: str) -> dict[str, str]:
    return {
        "schema": model.schema.model_dump_json(),
        "label_names": json.dumps(list(model.label_names)),
        "encoder": model.config.encoder.model_dump_json(),
        "inputs": model.config.inputs.model_dump_json(),
        "dim": str(model.dim),
        "fingerprint": str(model.provenance.get("fingerprint", "")),
        "unseen_version": version("unseen"),
        "torch_version": version("torch"),
        "exporter": exporter,
    }


def _first_events(model: Model, events: Events) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    model.check(events)
    if len(events) < 2:
        raise ExportError(f"a check needs two events or more; {len(events)} were given")
    return events.objects[:N_CHECKED], events.present[:N_CHECKED]


def _random_events(model: Model) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Objects as spread as those of the training sample, in events without any object to full ones."""
    rng, schema = generator(0, "export"), model.schema
    mean, deviation = model.normalisation.per_slot()
    objects = mean + deviation * rng.normal(size=(N_CHECKED, *mean.shape)).astype(np.float32)
    column = model.normalisation.log_column
    if column is not None:
        objects[..., column] = np.expm1(np.maximum(objects[..., column], 0.0))
    share = np.linspace(0.0, 1.0, N_CHECKED)[:, None]
    present = rng.random((N_CHECKED, schema.n_slots)) < share
    order = rng.permutation(N_CHECKED)
    return np.where(present[..., None], objects, np.float32(0))[order], present[order]


def _difference(
    onnxruntime: Any, path: Path, model: Model, objects: NDArray[np.float32], present: NDArray[np.bool_]
) -> float:
    """The largest absolute difference, with all events at once and the first one alone."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected, worst = model.block(objects, present), 0.0
    for n in (len(objects), 1):
        z = session.run([OUTPUT], dict(zip(INPUTS, (objects[:n], present[:n]), strict=True)))[0]
        if z.shape != (n, model.dim):
            return float("inf")
        worst = max(worst, float(np.abs(z - expected[:n]).max(initial=0.0)))
    return worst
