"""Exported graphs give the numbers of the model, for every encoder with each of its choices (pooling, mask).

The older exporter with every choice of inputs. The newer one, which takes seconds for a graph, with one choice of
inputs for each encoder, so that every choice occurs; with all of them for each encoder among the slow tests.
"""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.embed.test_contract import FED, VARIANTS, Settings, encoders, fed, untrained
from tests.embed.toy import toy_events
from unseen.cli import main
from unseen.deploy import onnx as module
from unseen.deploy import to_onnx
from unseen.embed import ENCODERS, Model
from unseen.errors import ExportError, MissingExtraError, SchemaError, UnknownNameError
from unseen.events import Events

EVENTS = toy_events(400, seed=3)
BRIEF = "physics without event features"
# The newer exporter takes seconds for every layer.
SMALL = {"layers": 1, "width": 16, "heads": 2}


def model_of(encoder: str | Settings, inputs: object = "physics") -> Model:
    name = encoder if isinstance(encoder, str) else str(encoder["name"])
    settings = {key: value for key, value in SMALL.items() if key in ENCODERS[name].model_fields and key != "name"}
    return untrained(encoder, inputs, EVENTS, **settings)


def newer() -> Iterator[Any]:
    """Every pair of encoder and inputs for the newer exporter; those that are not needed to cover each are slow."""
    for key, encoder in VARIANTS.items():
        # It takes longest for features of the event, which one encoder is enough to test with.
        first = "physics" if key == "mlp" else BRIEF if key in ENCODERS else "plain"
        for name, inputs in FED.items():
            marks = () if name == first else pytest.mark.slow
            yield pytest.param(encoder, inputs, id=f"{key}-{name}", marks=marks)


def scored(path: Path, events: Events) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"objects": events.objects, "present": events.present})[0])


@fed
@encoders
def test_the_older_exporter_gives_the_numbers_of_the_model(encoder: Settings, inputs: object, tmp_path: Path) -> None:
    check(model_of(encoder, inputs), tmp_path / "model.onnx", "torchscript")


@pytest.mark.parametrize(("encoder", "inputs"), list(newer()))
def test_the_newer_exporter_gives_the_numbers_of_the_model(encoder: Settings, inputs: object, tmp_path: Path) -> None:
    check(model_of(encoder, inputs), tmp_path / "model.onnx", "dynamo")


def check(model: Model, path: Path, exporter: str) -> None:
    done = to_onnx(model, path, exporter)
    assert done.difference < 1e-4
    for n in (1, 5, 400):
        z = scored(path, EVENTS[:n])
        assert z.dtype == np.float32
        np.testing.assert_allclose(z, model.embed(EVENTS[:n]), atol=1e-4, rtol=0)
    garbage = np.where(EVENTS.present[..., None], EVENTS.objects, np.float32(7.0))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    z = session.run(None, {"objects": garbage, "present": EVENTS.present})[0]
    np.testing.assert_array_equal(z, scored(path, EVENTS))


def test_metadata_say_what_the_graph_is(tmp_path: Path) -> None:
    model = model_of("mlp")
    done = to_onnx(model, tmp_path / "model.onnx", "torchscript", events=EVENTS)
    entries = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "model.onnx")).metadata_props}
    assert json.loads(entries["schema"]) == model.schema.model_dump(mode="json")
    assert json.loads(entries["label_names"]) == ["a", "b", "c"]
    assert entries["exporter"] == done.exporter == "torchscript"
    assert {"unseen_version", "torch_version", "inputs", "encoder"} <= entries.keys()
    assert done.n_checked == len(EVENTS)


def test_a_graph_with_other_numbers_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="differs from the model by"):
        to_onnx(model_of("mlp"), tmp_path / "model.onnx", "torchscript", tolerance=-1.0)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_of("mlp")
    # An operation that the older exporter does not know.
    monkeypatch.setattr(type(model.network), "forward", lambda self, objects, present: torch.sinh(objects[:, 0]))
    with pytest.raises(ExportError, match=r"cannot write encoder 'mlp' \(UnsupportedOperatorError.*sinh") as caught:
        to_onnx(model, tmp_path / "model.onnx", "torchscript")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


def test_bad_input_is_named(tmp_path: Path, w_events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("mlp")
    with pytest.raises(UnknownNameError, match="no exporter 'dynam'; did you mean 'dynamo'"):
        to_onnx(model, tmp_path / "model.onnx", "dynam")
    with pytest.raises(SchemaError, match="adc2021"):
        to_onnx(model, tmp_path / "model.onnx", events=w_events)
    with pytest.raises(ExportError, match="two events"):
        to_onnx(model, tmp_path / "model.onnx", events=EVENTS[:1])
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError(name, name=name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"onnxruntime: pip install 'unseen\[deploy\]'"):
        module.to_onnx(model, tmp_path / "model.onnx")


def test_the_command_writes_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_of("mlp")
    model.save(tmp_path / "model")
    out = tmp_path / "model.onnx"
    arguments = ["unseen", "export", str(tmp_path / "model"), "-o", str(out), "--exporter", "torchscript", "--json"]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["path"] == str(out)
    assert summary["difference"] < 1e-4
    np.testing.assert_allclose(scored(out, EVENTS), model.embed(EVENTS), atol=1e-4, rtol=0)
