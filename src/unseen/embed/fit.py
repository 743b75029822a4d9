"""Run Lightning on a network and an objective, from a checkpoint where there is one."""

from __future__ import annotations

import contextlib
import logging
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from unseen.embed.data import Batch, Batches, epoch_order
from unseen.embed.expand import Expansion
from unseen.embed.loop import Bookkeeping, EpochBatches, TrainingModule
from unseen.embed.objectives import Objective
from unseen.errors import ConfigError, CorruptFileError
from unseen.seeds import generator

__all__ = ["fit_network"]

PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed"}


def fit_network(
    network: nn.Module, objective: Objective, expand: Expansion, data: Batch, held: Batch, book: Bookkeeping
) -> None:
    """Train the network in place until the bookkeeping says that it is finished.

    `held` may be empty. Errors: ConfigError (no GPU), CorruptFileError (checkpoint), NonFiniteError (diverged).
    """
    resume = _checkpoint(book.checkpoint, book.fingerprint)
    if resume:
        book.load_state_dict(resume)
    loader = EpochBatches(lambda epoch: _batches(data, book, "epoch", epoch), lambda: book.epoch)
    validation: Batches | list[Batch] = _batches(held, book, "validation", 0) if len(held) else []
    module = TrainingModule(network, objective, expand, book, book.config.epochs * len(loader))
    with _quiet_lightning():
        trainer = _trainer(book, validate=len(held) > 0)
        if not resume or not book.finished:
            trainer.fit(module, loader, validation, ckpt_path=book.checkpoint if resume else None, weights_only=True)
        else:
            state = torch.load(book.checkpoint, map_location="cpu", weights_only=True)["state_dict"]
            module.load_state_dict(state)
    if book.best is not None:
        network.load_state_dict(book.best)


def _batches(data: Batch, book: Bookkeeping, name: str, epoch: int) -> Batches:
    """The batches of one epoch, in an order that depends on (seed, name, epoch) only."""
    rng = generator(book.seed, "train", "order", name, epoch)
    order = epoch_order(data.target.numpy(), book.config.balance, book.config.balance_power, rng)
    return Batches(data, order, book.config.batch_size)


def _trainer(book: Bookkeeping, validate: bool) -> pl.Trainer:
    config = book.config
    try:
        return pl.Trainer(
            accelerator=config.device,
            devices=1,
            precision=PRECISIONS[config.precision],
            max_epochs=config.epochs,
            gradient_clip_val=config.gradient_clip,
            callbacks=[book],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=1.0 if validate else 0,
            default_root_dir=book.checkpoint.parent,
        )
    except MisconfigurationException as error:
        raise ConfigError(f"device '{config.device}' cannot be used here ({error}); try device: auto") from error


def _checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The bookkeeping in a checkpoint of this very training; one of another training is removed."""
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state: dict[str, Any] = content["callbacks"][Bookkeeping.__qualname__]
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise CorruptFileError(
            f"checkpoint {path} is damaged ({error!r}); delete it to train from the start"
        ) from error
    if state["fingerprint"] == fingerprint:
        return state
    path.unlink()
    return None


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notices about devices and tips off the terminal."""
    # Lightning 2.6 still uses a class that torch 2.13 has deprecated; nothing that a user could act on.
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)
