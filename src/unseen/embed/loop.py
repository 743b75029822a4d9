"""The Lightning side of training: batches of an epoch, one step, and the schedule of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from unseen.embed.bookkeeping import Bookkeeping
from unseen.embed.data import Batch, Batches, Table, epoch_order
from unseen.embed.diagnosis import STEPS_BETWEEN_LOOKS, Step, Watch
from unseen.embed.gather import rank, total, world_size
from unseen.embed.objectives import Objective
from unseen.embed.settings import TrainingConfig
from unseen.seeds import generator, small_seed

__all__ = ["EpochBatches", "TrainingModule", "learning_rate_factor"]


def learning_rate_factor(step: int, steps: int, config: TrainingConfig) -> float:
    """Linear warm-up to 1, then half a cosine down to `lr_floor`."""
    warm = round(config.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    done = min(1.0, (step - warm) / max(1, steps - warm))
    return config.lr_floor + (1.0 - config.lr_floor) * 0.5 * (1.0 + math.cos(math.pi * done))


class EpochBatches:
    """A loader that asks which epoch it is whenever it starts, so that a resumed training sees the same batches.

    The order, and which partners events get, depend on (seed, kind, epoch) only; the validation has one order.
    """

    # No dataclass: Lightning copies those, field by field, on their way to another process.
    def __init__(self, data: Table, book: Bookkeeping, kind: Literal["epoch", "validation"]):
        self.data, self.book, self.kind = data, book, kind

    def __len__(self) -> int:
        return len(self._batches(self.data.rows, 0))

    def __iter__(self) -> Iterator[Batch]:
        config = self.book.config
        epoch = self.book.epoch if self.kind == "epoch" else 0
        rng = generator(self.book.seed, "train", "order", self.kind, epoch)
        order = epoch_order(self.data.targets, config.balance, config.balance_power, rng)
        yield from self._batches(order, small_seed(self.book.seed, "train", "partners", self.kind, epoch))

    def _batches(self, order: Any, seed: int) -> Batches:
        return Batches(self.data, order, self.book.config.batch_size, rank(), world_size(), seed)


class TrainingModule(pl.LightningModule):
    """Network and objective under an optimiser."""

    def __init__(self, network: nn.Module, objective: Objective, expand: nn.Module, book: Bookkeeping, steps: int):
        super().__init__()
        self.network = network
        self.objective = objective
        self.expand = expand
        self.book = book
        self.config = book.config
        self.steps = steps
        self.losses: dict[str, list[Tensor]] = {"train": [], "val": []}
        self.watch = Watch()
        self.current: tuple[int, Tensor, Batch] | None = None

    def rows(self, batch: Batch, kind: str, index: int) -> Batch:
        """The rows that the objective sees of a batch of events.

        Views depend on (seed, epoch, batch, process) only, so that a resumed training sees the same ones.
        """
        part = (rank(),) if rank() else ()
        epoch = self.book.epoch if kind == "train" else 0
        seed = small_seed(self.book.seed, "train", "views", kind, epoch, index, *part)
        rows: Batch = self.expand(batch, torch.Generator(self.device).manual_seed(seed))
        return rows

    def loss(self, rows: Batch) -> Tensor:
        """The objective on rows."""
        embedding = self.network(rows.objects, rows.present)
        # Similarities at small temperatures need all bits, whatever the encoder ran in.
        with torch.autocast(self.device.type, enabled=False):
            loss: Tensor = self.objective(embedding.float(), rows)
        return loss

    def on_fit_start(self) -> None:
        """Look at every step where that costs nothing."""
        self.watch = Watch(every=1 if self.device.type == "cpu" else STEPS_BETWEEN_LOOKS)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The objective on one batch."""
        rows = self.rows(batch, "train", index)
        loss = self.loss(rows)
        self.current = (index, loss.detach(), rows)
        self.losses["train"].append(loss.detach())
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        """The objective on one held-out batch."""
        rows = self.rows(batch, "val", index)
        loss = self.loss(rows)
        self.losses["val"].append(loss)
        self._stop_at(self.watch.seen(index, loss, torch.zeros_like(loss), rows, self), "validation")

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient, and stop before a step that is not finite."""
        limit = math.inf if self.config.gradient_clip is None else self.config.gradient_clip
        norm = nn.utils.clip_grad_norm_(self.trained(), limit)
        assert self.current is not None
        (index, loss, rows), self.current = self.current, None
        self._stop_at(self.watch.seen(index, loss, norm, rows, self), "training")

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Let a teacher follow the network."""
        self.objective.after_step(self.network)

    def on_validation_epoch_start(self) -> None:
        """Look at the last training steps before the held-out ones are noted."""
        self._stop_at(self.watch.look(), "training")

    def on_validation_epoch_end(self) -> None:
        """Look at the last held-out batches."""
        self._stop_at(self.watch.look(), "validation")

    def on_train_epoch_end(self) -> None:
        """Hand the losses of the epoch to the bookkeeping."""
        train, val = self.mean_loss("train"), self.mean_loss("val")
        self.book.epoch_done(self.trainer, self.network, train, val, self.measured())

    def measured(self) -> dict[str, float | None]:
        """What else there is to say about the epoch that ends, by name."""
        return {}

    def _stop_at(self, step: Step | None, kind: str) -> None:
        if step is not None:
            raise self.book.diverged(step, kind, self.steps // self.config.epochs)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch."""
        return batch.to(device)

    def mean_loss(self, kind: str) -> float | None:
        """The mean over the batches (of all processes) since the last call; None if there were none."""
        self._stop_at(self.watch.look(), "training")
        losses, self.losses[kind] = self.losses[kind], []
        if not losses:
            return None
        mean = torch.stack(losses).double().mean()
        return float(total(mean)) / world_size()

    def trained(self) -> list[Tensor]:
        """The weights that the optimiser moves; those of a teacher follow by themselves."""
        return [p for p in self.parameters() if p.requires_grad]

    def configure_optimizers(self) -> Any:
        """The optimiser with warm-up and cosine, stepped every batch."""
        config = self.config
        optimizer = config.optimiser.build(self.trained(), config.lr, config.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, self.steps, config)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
