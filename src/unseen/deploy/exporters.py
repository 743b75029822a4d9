"""The two ONNX exporters of torch. Extending is one function and one line in `EXPORTERS`."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from unseen.embed.network import Network

__all__ = ["EXPORTERS", "INPUTS", "OUTPUT"]

INPUTS = ("objects", "present")
OUTPUT = "z"
# What the exporters of torch 2.13 say about themselves: nothing that a user could act on, or that the check of the
# written graph would not find.
NOISE = (
    (".*isinstance\\(treespec, LeafSpec\\).*", FutureWarning),
    ("# The axis name: events will not be used.*", UserWarning),
    ("You are using the legacy TorchScript-based ONNX export.*", DeprecationWarning),
    ("The feature will be removed. Please remove usage of this function", DeprecationWarning),
    ("Constant folding - Only steps=1 can be constant folded.*", UserWarning),
)
# torchvision's operators, which nothing here uses, are looked for.
REGISTRATION = "torch.onnx._internal.exporter._registration"

Example = tuple[torch.Tensor, torch.Tensor]


def export_dynamo(network: Network, example: Example, path: Path) -> None:
    """The exporter that is based on torch.export, the default of torch since 2.9."""
    events = torch.export.Dim("events")
    with quiet():
        torch.onnx.export(
            network,
            example,
            path,
            input_names=INPUTS,
            output_names=(OUTPUT,),
            dynamo=True,
            dynamic_shapes={name: {0: events} for name in INPUTS},
            external_data=False,
            verbose=False,
        )


def export_torchscript(network: Network, example: Example, path: Path) -> None:
    """The exporter that traces with TorchScript, for tools that do not read the newer one's graphs yet."""
    with quiet():
        torch.onnx.export(
            network,
            example,
            path,
            input_names=INPUTS,
            output_names=(OUTPUT,),
            dynamo=False,
            dynamic_axes={name: {0: "events"} for name in (*INPUTS, OUTPUT)},
            verbose=False,
        )


EXPORTERS: dict[str, Callable[[Network, Example, Path], None]] = {
    "dynamo": export_dynamo,
    "torchscript": export_torchscript,
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' notices about themselves off the terminal; other warnings are shown."""
    logger = logging.getLogger(REGISTRATION)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        # A failing TorchScript export prints the whole graph.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            for message, category in NOISE:
                warnings.filterwarnings("ignore", message=message, category=category)
            yield
    finally:
        logger.setLevel(level)
