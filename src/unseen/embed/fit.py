"""Run Lightning on a network and an objective, from a checkpoint where there is one."""

from __future__ import annotations

import contextlib
import logging
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn
from torch.multiprocessing.spawn import ProcessRaisedException

from unseen import errors
from unseen.embed.bookkeeping import Bookkeeping
from unseen.embed.checkpoint import read_checkpoint
from unseen.embed.data import Batch, Table
from unseen.embed.launch import Launch
from unseen.embed.loop import EpochBatches, TrainingModule
from unseen.embed.objectives import Objective
from unseen.embed.progress import relayed
from unseen.errors import ConfigError, NotEnoughEventsError

__all__ = ["fit_network"]

LOGGERS = ("lightning.pytorch", "lightning.fabric")
PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed"}


def fit_network(
    network: nn.Module,
    objective: Objective,
    expand: nn.Module,
    data: Table,
    held: Table,
    book: Bookkeeping,
    launch: Launch,
    kind: type[TrainingModule] = TrainingModule,
) -> None:
    """Train the network in place until the bookkeeping says that it is finished.

    `held` may be empty; `kind`: what makes a step of a batch. Errors: ConfigError (no such devices),
    NotEnoughEventsError (fewer than two for every device), CorruptFileError (checkpoint), NonFiniteError (diverged).
    """
    _check_sizes(data, held, book, launch)
    checkpoint = read_checkpoint(book.checkpoint)
    if checkpoint and checkpoint["book"]["fingerprint"] != book.fingerprint:
        checkpoint = None  # of another training: its first epoch will replace it
    if checkpoint:
        book.load_state_dict(checkpoint["book"])
    loader = EpochBatches(data, book, "epoch")
    validation: EpochBatches | list[Batch] = EpochBatches(held, book, "validation") if len(held) else []
    module = kind(network, objective, expand, book, book.config.epochs * len(loader))
    if not checkpoint or not book.finished:
        resume = book.checkpoint if checkpoint else None
        relay = relayed if launch.spawns else contextlib.nullcontext
        with _quiet_lightning(), _errors_of_processes(), _interrupts(), relay(book.progress) as book.progress:
            trainer = _trainer(book, launch, validate=len(held) > 0)
            trainer.fit(module, loader, validation, ckpt_path=resume, weights_only=True)
        checkpoint = read_checkpoint(book.checkpoint) if launch.spawns else None
    if checkpoint:
        # Trained earlier, or by other processes: all that they found is in their last checkpoint.
        book.load_state_dict(checkpoint["book"])
        module.load_state_dict(checkpoint["state_dict"])
    if book.best is not None:
        network.load_state_dict(book.best)


def _check_sizes(data: Table, held: Table, book: Bookkeeping, launch: Launch) -> None:
    least = 2 * launch.processes
    if launch.processes > 1 and (min(len(data), book.config.batch_size) < least or 0 < len(held) < least):
        raise NotEnoughEventsError(
            f"{len(data)} training and {len(held)} validation events in batches of {book.config.batch_size} cannot be "
            f"shared by {launch.processes} devices: each needs two events of every batch"
        )


def _trainer(book: Bookkeeping, launch: Launch, validate: bool) -> pl.Trainer:
    config = book.config
    try:
        return pl.Trainer(
            accelerator=config.device,
            devices=config.devices,
            num_nodes=config.nodes,
            precision=PRECISIONS[config.precision],
            max_epochs=config.epochs,
            callbacks=[_Quiet(), book],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            limit_val_batches=1.0 if validate else 0,
            default_root_dir=book.checkpoint.parent,
            **launch.strategy(),
        )
    except MisconfigurationException as error:
        raise ConfigError(
            f"device '{config.device}', devices {config.devices} cannot be used here ({error}); try device: auto"
        ) from error


@contextlib.contextmanager
def _errors_of_processes() -> Iterator[None]:
    """Give an error of unseen in a spawned process its own type here; anything else stays as torch reports it."""
    try:
        yield
    except ProcessRaisedException as error:
        last = str(error).strip().splitlines()[-1]
        name, _, message = last.partition(": ")
        kind = getattr(errors, name.rpartition(".")[2], None)
        if name.startswith("unseen.errors.") and isinstance(kind, type) and issubclass(kind, errors.UnseenError):
            raise kind(message) from error
        raise


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt: Lightning ends the interpreter and leaves the signal ignored."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from error
        raise


class _Quiet(pl.Callback):
    """Reaches a spawned process before Lightning says its first word there, and keeps it quiet."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _quiet_process, ()


def _quiet_process() -> _Quiet:
    _hush()
    return _Quiet()


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notices about devices and tips off the terminal."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        with warnings.catch_warnings():
            _hush()
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _hush() -> None:
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Lightning 2.6 still uses a class that torch 2.13 has deprecated; nothing that a user could act on.
    warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*", category=FutureWarning)
