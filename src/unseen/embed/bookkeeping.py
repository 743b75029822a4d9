"""What a training notes at the end of every epoch, and keeps in its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from unseen.embed.checkpoint import BOOK, CHECKPOINT_FORMAT, seal_checkpoint
from unseen.embed.diagnosis import DIAGNOSIS, Step, write_diagnosis
from unseen.embed.gather import rank
from unseen.embed.settings import TrainingConfig
from unseen.errors import NonFiniteError
from unseen.events.atomic import write_whole
from unseen.seeds import small_seed

__all__ = ["Bookkeeping"]

Progress = Callable[[int, int, Mapping[str, float]], None]


@dataclass(eq=False)
class Bookkeeping(pl.Callback):
    """History, best weights, early stop, progress, and a checkpoint after every epoch. Its state is in the checkpoint.

    The number of entries in `history` is the number of finished epochs.
    """

    config: TrainingConfig
    seed: int
    fingerprint: str
    checkpoint: Path
    progress: Progress | None = None
    history: list[dict[str, float | int | None]] = field(default_factory=list)
    best: dict[str, Tensor] | None = None

    @property
    def state_key(self) -> str:
        """Under which Lightning keeps the state in the checkpoint."""
        return BOOK

    @property
    def epoch(self) -> int:
        """The epoch that is running or about to run, from 0."""
        return len(self.history)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or the validation loss has not fallen for `early_stopping` epochs."""
        patience = self.config.early_stopping
        stale = patience is not None and self.epoch - 1 - self._best_epoch() >= patience
        return self.epoch >= self.config.epochs or stale

    def _best_epoch(self) -> int:
        losses = [entry["val_loss"] for entry in self.history]
        return min(range(len(losses)), key=lambda i: (losses[i] is None, losses[i]), default=-1)

    def state_dict(self) -> dict[str, Any]:
        """Plain containers and tensors only."""
        return {
            "format": CHECKPOINT_FORMAT,
            "fingerprint": self.fingerprint,
            "history": self.history,
            "best": self.best,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.history, self.best = state_dict["history"], state_dict["best"]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Random numbers inside an epoch (dropout) depend on (seed, epoch, process) only."""
        part = (rank(),) if rank() else ()
        torch.manual_seed(small_seed(self.seed, "train", "epoch", self.epoch, *part))

    def epoch_done(
        self,
        trainer: pl.Trainer,
        network: nn.Module,
        train: float | None,
        val: float | None,
        measured: Mapping[str, float | None],
    ) -> None:
        """Record the mean losses of an epoch and what else was `measured`, decide whether to stop, save."""
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        entry = {"epoch": self.epoch, "train_loss": train, "val_loss": val, "learning_rate": rate}
        self.history.append({**entry, **measured})
        if self.config.early_stopping is not None and self._best_epoch() == self.epoch - 1:
            self.best = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
        trainer.should_stop = trainer.should_stop or self.finished
        self._save(trainer)
        if self.progress is not None and trainer.is_global_zero:
            values = {"train_loss": train, "val_loss": val, "learning_rate": rate}
            self.progress(self.epoch, self.config.epochs, {k: v for k, v in values.items() if v is not None})

    def _save(self, trainer: pl.Trainer) -> None:
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.checkpoint)  # all processes take part; only the first one writes
            return
        with write_whole(self.checkpoint) as temporary:
            trainer.save_checkpoint(temporary)
            seal_checkpoint(temporary)

    def diverged(self, step: Step, kind: str, n_steps: int) -> NonFiniteError:
        """The error for a step that is not finite, whose batch and weights are written beside the checkpoint."""
        path = self.checkpoint.parent / DIAGNOSIS
        path = path.with_stem(f"{path.stem}-{rank()}") if rank() else path
        return write_diagnosis(path, step, kind, self.epoch, n_steps, self.config.lr)
