"""The Lightning side of training: one step, the schedule, and the bookkeeping at the end of every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from unseen.embed.data import Batch, Batches
from unseen.embed.expand import Expansion
from unseen.embed.objectives import Objective
from unseen.embed.settings import TrainingConfig
from unseen.errors import NonFiniteError
from unseen.events.atomic import write_whole
from unseen.seeds import small_seed

__all__ = ["Bookkeeping", "EpochBatches", "TrainingModule", "learning_rate_factor"]

Progress = Callable[[int, int, Mapping[str, float]], None]


def learning_rate_factor(step: int, steps: int, config: TrainingConfig) -> float:
    """Linear warm-up to 1, then half a cosine down to `lr_floor`."""
    warm = round(config.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    done = min(1.0, (step - warm) / max(1, steps - warm))
    return config.lr_floor + (1.0 - config.lr_floor) * 0.5 * (1.0 + math.cos(math.pi * done))


@dataclass
class EpochBatches:
    """A loader that asks which epoch it is whenever it starts, so that a resumed training sees the same batches."""

    of_epoch: Callable[[int], Batches]
    epoch: Callable[[], int]

    def __len__(self) -> int:
        return len(self.of_epoch(0))

    def __iter__(self) -> Iterator[Batch]:
        yield from self.of_epoch(self.epoch())


class TrainingModule(pl.LightningModule):
    """Network and objective under AdamW."""

    def __init__(self, network: nn.Module, objective: Objective, expand: Expansion, book: Bookkeeping, steps: int):
        super().__init__()
        self.network = network
        self.objective = objective
        self.expand = expand
        self.book = book
        self.config = book.config
        self.steps = steps
        self.losses: dict[str, list[Tensor]] = {"train": [], "val": []}

    def _loss(self, batch: Batch, kind: str, index: int) -> Tensor:
        # Views depend on (seed, epoch, batch) only, so that a resumed training sees the same ones.
        seed = small_seed(self.book.seed, "train", "views", kind, self.book.epoch if kind == "train" else 0, index)
        batch = self.expand(batch, torch.Generator(self.device).manual_seed(seed))
        embedding = self.network(batch.objects, batch.present)
        # Similarities at small temperatures need all bits, whatever the encoder ran in.
        with torch.autocast(self.device.type, enabled=False):
            loss: Tensor = self.objective(embedding.float(), batch)
        self.losses[kind].append(loss.detach())
        return loss

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The objective on one batch."""
        return self._loss(batch, "train", index)

    def validation_step(self, batch: Batch, index: int) -> None:
        """The objective on one held-out batch."""
        self._loss(batch, "val", index)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Let a teacher follow the network."""
        self.objective.after_step(self.network)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        return batch.to(device)

    def mean_loss(self, kind: str) -> float | None:
        """The mean over the batches since the last call; None if there were none. NonFiniteError if it diverged."""
        losses, self.losses[kind] = self.losses[kind], []
        if not losses:
            return None
        mean = float(torch.stack(losses).double().mean())
        if not math.isfinite(mean):
            raise NonFiniteError(f"the {kind} loss is {mean}: training diverged; lower lr (now {self.config.lr:g})")
        return mean

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine, stepped every batch."""
        config = self.config
        optimizer = torch.optim.AdamW(self.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, self.steps, config)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


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
        return {"fingerprint": self.fingerprint, "history": self.history, "best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.history, self.best = state_dict["history"], state_dict["best"]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Random numbers inside an epoch (dropout, views) depend on (seed, epoch) only."""
        torch.manual_seed(small_seed(self.seed, "train", "epoch", self.epoch))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record, decide, save."""
        assert isinstance(pl_module, TrainingModule)
        train, val = pl_module.mean_loss("train"), pl_module.mean_loss("val")
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.history.append({"epoch": self.epoch, "train_loss": train, "val_loss": val, "learning_rate": rate})
        if self.config.early_stopping is not None and self._best_epoch() == self.epoch - 1:
            self.best = {k: v.detach().cpu().clone() for k, v in pl_module.network.state_dict().items()}
        trainer.should_stop = trainer.should_stop or self.finished
        with write_whole(self.checkpoint) as temporary:
            trainer.save_checkpoint(temporary)
        if self.progress is not None:
            values = {"train_loss": train, "val_loss": val, "learning_rate": rate}
            self.progress(self.epoch, self.config.epochs, {k: v for k, v in values.items() if v is not None})
